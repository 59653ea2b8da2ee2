"""News for who watches: one look at the tracker a second for all of them, one short message for all that changed."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from loopsmith.errors import LoopsmithError

PACE = 1.0  # seconds between two looks
STILL = 15.0  # seconds after which a silent connection is shown to be alive
RETRY = 2000  # milliseconds after which a browser connects again

Look = Callable[[str], str]


class Watch:
    """Who follows which campaign, and the version of each that was last seen.

    Args:
        look: gives the version of a topic, a campaign's id or "" for the list of them; may raise LoopsmithError.
    """

    def __init__(self, look: Look):
        self.look = look
        self.ended = False
        self._followers: Counter[str] = Counter()
        self._seen: dict[str, tuple[str, str]] = {}  # topic: event and its data
        self._changed = asyncio.Event()

    def end(self) -> None:
        """No more news: every follower's stream ends."""
        self.ended = True
        self._wake()

    async def run(self) -> None:
        """Look as long as anybody follows."""
        while not self.ended:
            began = time.monotonic()
            changed = False
            for topic in list(self._followers):
                news = await asyncio.to_thread(self._news, topic)
                if news != self._seen.get(topic):
                    self._seen[topic], changed = news, True
            for topic in [topic for topic in self._seen if topic not in self._followers]:
                del self._seen[topic]
            if changed:
                self._wake()
            due = began + PACE
            while not self.ended and (time.monotonic() < due or not self._followers):
                await asyncio.sleep(0.05 if self._followers else 0.2)

    async def follow(self, topic: str) -> AsyncIterator[str]:
        """A topic's news as server-sent events: `changed` with the version, or `gone` with the reason."""
        self._followers[topic] += 1
        told = None
        try:
            yield f"retry: {RETRY}\n\n"
            while not self.ended:
                changed, news = self._changed, self._seen.get(topic)
                if news is not None and news != told:
                    told = news
                    yield f"event: {news[0]}\ndata: {news[1]}\n\n"
                    continue
                if not await happens(changed, STILL):
                    yield ": still here\n\n"
        finally:
            self._followers[topic] -= 1
            if not self._followers[topic]:
                del self._followers[topic]

    async def pause(self) -> None:
        """Until there is news of anything, or a second has gone."""
        if not self.ended:
            await happens(self._changed, PACE)

    def _news(self, topic: str) -> tuple[str, str]:
        try:
            return "changed", json.dumps({"version": self.look(topic)})
        except LoopsmithError as error:
            return "gone", json.dumps({"message": str(error).splitlines()[0]})

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event comes in time."""
    with suppress(TimeoutError):
        return await asyncio.wait_for(event.wait(), seconds)
    return False
