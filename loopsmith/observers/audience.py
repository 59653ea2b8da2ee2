"""The observers of a campaign, together behind one queue in one thread."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from loopsmith.log import mask
from loopsmith.observers.feed import Feed
from loopsmith.protocols import Happening, Observer, Watched
from loopsmith.records import Candidate
from loopsmith.workflow.quote import one_line

ROOM = 10_000  # happenings that may wait
FAILED, LOST = "observer.failed", "observer.lost"
QUIET = ("worker.progress",)  # what a worker says of itself, many times a second
Tell = Callable[..., None]


class Audience:
    """Tells each observer what happens; one that raises is told no more.

    Args:
        tell: writes an event (name and data) into the tracker, from any thread.
    """

    def __init__(self, members: Mapping[str, Observer], campaign: Watched, tell: Tell):
        self.members, self.campaign, self.tell = dict(members), campaign, tell
        self.feed: Feed[Happening] = Feed("observers", self._take, size=ROOM, begin=self._begin, end=self._end)

    def observe(self, name: str, candidate: Candidate | None, data: Mapping[str, Any]) -> None:
        """Queue what happened; called by the campaign, which does not wait."""
        if name in QUIET:
            return
        number = candidate.number if candidate else None
        round_ = int(candidate.round_id.rpartition(".r")[2]) if candidate else None
        if round_ is None and name.startswith("round."):
            round_ = data.get("number")
        self.feed.give(Happening(name=name, at=datetime.now(UTC), round=round_, candidate=number, data=dict(data)))

    def close(self) -> None:
        """Take no more; `done` is set when all was told what waits."""
        self.feed.close()

    @property
    def done(self) -> bool:
        return self.feed.done.is_set()

    def _begin(self) -> None:
        self._each(lambda observer: observer.start(self.campaign))

    def _take(self, happening: Happening) -> None:
        self._each(lambda observer: observer.observe(happening))

    def _end(self) -> None:
        self._each(lambda observer: observer.close())
        if self.feed.lost:
            self.tell(LOST, happenings=self.feed.lost)

    def _each(self, action: Callable[[Observer], None]) -> None:
        for name, observer in tuple(self.members.items()):
            try:
                action(observer)
            except (Exception, SystemExit) as error:
                del self.members[name]
                self.tell(FAILED, observer=name, reason=one_line(mask(f"{type(error).__name__}: {error}")))
