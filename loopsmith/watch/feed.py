"""What the view shows, read from the tracker: opened for reading only, and again when it was away or replaced."""

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from loopsmith import report
from loopsmith.campaign.lock import holder
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import LoopsmithError, TrackerError
from loopsmith.live import Activity, Request
from loopsmith.records import Campaign, Event
from loopsmith.report.progress.curve import Curve, curve
from loopsmith.tracker import Store, open_store

T = TypeVar("T")

BUSY_TIMEOUT = 1.0  # seconds; a reader in WAL mode waits only for a program that holds the whole file
FIRST_EVENTS, NEW_EVENTS, KEPT_EVENTS = 1000, 500, 5000  # read at first, in one look, and kept
REQUESTS = 100  # the newest, that are shown
REST = 4.0  # times as long as it took to sum up the campaign
STALE = 5.0  # seconds after which money and time are summed up again while a campaign runs
POINTS = 1000  # of the curve beside the kept steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a campaign is read.

    Attributes:
        tracker: a path, or a SQLAlchemy URL.
        where: the options with which a command finds it again; may be empty.
        elsewhere: the tracker is not the state folder's own, so that the campaign may run on another machine.
    """

    tracker: str | Path
    state: StateFolder
    campaign_id: str
    where: str = ""
    elsewhere: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A campaign at one moment.

    Attributes:
        now: the time, by the later of this machine's clock and the tracker's newest record.
        view: as `report.status` gives it.
        events: newest first, the newest few thousand.
        where: as in `Source`.
    """

    now: datetime
    view: dict[str, Any]
    curve: Curve
    activity: tuple[Activity, ...] = ()
    requests: tuple[Request, ...] = ()
    events: tuple[Event, ...] = field(default=(), repr=False)
    where: str = ""

    @property
    def status(self) -> str:
        return str(self.view["campaign"]["status"])

    @property
    def live(self) -> bool:
        """Whether a process runs it now."""
        return self.view["campaign"]["process"] is not None


class Reader:
    """A tracker that may vanish and come back. From any thread; one reads at a time."""

    def __init__(self, source: Source):
        self.source = source
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._file: tuple[int, int] | None = None
        self.opened = 0  # how often; what is known of a tracker ends with it

    def read(self, what: Callable[[Store], T]) -> T:
        """What `what` makes of the store.

        Raises:
            TrackerError: it cannot be read now; the next call tries again from the start.
        """
        with self._lock:
            try:
                return what(self._opened())
            except LoopsmithError:
                self._close()
                raise
            except (OSError, ValueError, KeyError, TypeError) as error:  # rows that no loopsmith wrote
                self._close()
                raise TrackerError(
                    f"the tracker {self.place} cannot be understood: {type(error).__name__}: {error}"
                ) from error

    def close(self) -> None:
        with self._lock:
            self._close()

    @property
    def place(self) -> str:
        """In few letters: whoever watches knows which one is meant."""
        return Path(self.source.tracker).name if self.is_file else "of this campaign"

    def short(self, error: Exception) -> str:
        """An error's words with the tracker's name in place of its path, which may be long."""
        return str(error).replace(str(self.source.tracker), self.place)

    @property
    def is_file(self) -> bool:
        return "://" not in str(self.source.tracker)

    def _opened(self) -> Store:
        if self.is_file:
            self._look_at(Path(self.source.tracker))
        if self._store is None:
            self._store = open_store(self.source.tracker, read_only=True, busy_timeout=BUSY_TIMEOUT)
            self.opened += 1
        return self._store

    def _look_at(self, path: Path) -> None:
        """An open file goes on answering when its name is gone, or another file's."""
        try:
            found = os.stat(path)
        except OSError as error:
            raise TrackerError(
                f"the tracker {self.place} is gone ({(error.strerror or str(error)).lower()})"
            ) from error
        if self._file != (found.st_dev, found.st_ino):
            self._close()
            self._file = (found.st_dev, found.st_ino)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store, self._file = None, None


class Feed:
    """Takes pictures of one campaign; from one thread at a time.

    What sums up the whole campaign is read again only where something happened, and after a rest where it takes long:
    who watches shares the machine with who measures.
    """

    def __init__(self, source: Source):
        self.source = source
        self.reader = Reader(source)
        self._opened = 0  # the reader's count, of which the rest is known
        self._events: tuple[Event, ...] = ()  # newest first
        self._whole: tuple[dict[str, Any], Curve] | None = None
        self._as_of: tuple[object, ...] = ()  # what it depends on
        self._due = 0.0  # when it may be read again, by the monotonic clock
        self._stale = 0.0  # when it is, though nothing happened

    def look(self, *, everything: bool = False) -> Picture:
        """The campaign now.

        Args:
            everything: without a rest.

        Raises:
            LoopsmithError: the tracker cannot be read, or does not hold the campaign.
        """
        if everything:
            self._due = self._stale = 0.0
        return self.reader.read(self._look)

    def _look(self, store: Store) -> Picture:
        if self._opened != self.reader.opened:
            self._opened, self._events, self._whole = self.reader.opened, (), None
        campaign = store.campaign(self.source.campaign_id)
        activity = store.activity(campaign.id)
        requests = store.requests(campaign.id, limit=REQUESTS, newest_first=True)
        events = self._newest(store)
        view, progress = self._sums(store, campaign, events[0].id if events else 0)
        moments = [campaign.updated_at, *(item.updated_at for item in activity)]
        moments += [item.created_at for item in requests[:1]] + [item.created_at for item in events[:1]]
        return Picture(
            now=max(datetime.now(UTC), *moments),
            view=view,
            curve=progress,
            activity=activity,
            requests=requests,
            events=events,
            where=self.source.where,
        )

    def _sums(self, store: Store, campaign: Campaign, newest: int) -> tuple[dict[str, Any], Curve]:
        """Status and curve: new ones where something happened, but after long work only after a rest."""
        process = holder(self.source.state.lock, campaign.id)
        began = time.monotonic()
        as_of = (newest, campaign.status, process)
        if self._whole is None or (began >= self._due and (as_of != self._as_of or began >= self._stale)):
            self._whole = report.status(store, campaign, process=process), curve(store, campaign, POINTS)
            ended = time.monotonic()
            self._as_of, self._due = as_of, ended + REST * (ended - began)
            self._stale = ended + STALE if process is not None else math.inf
        self._whole[0]["budget"]["wall_clock"]["used"] = campaign.elapsed
        return self._whole

    def _newest(self, store: Store) -> tuple[Event, ...]:
        """The newest events: only those that were not read before, and of very many only the last."""
        last = self._events[0].id if self._events else 0
        limit = NEW_EVENTS if last else FIRST_EVENTS
        newest = store.events(self.source.campaign_id, after=last, limit=limit, newest_first=True)
        if newest:
            self._events = (*newest, *self._events)[:KEPT_EVENTS]
        return self._events
