"""A pause: a person's word that nothing new starts, until another ends it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from loopsmith.campaign.stop import Stop
from loopsmith.live import RequestKind, RequestStatus
from loopsmith.tracker import Store

TOGETHER: ContextVar[bool] = ContextVar("TOGETHER", default=False)  # in a pair, which no pause parts


class Pause:
    """Whether the campaign is paused, and the gate at which it waits for the end of that."""

    def __init__(self, stop: Stop) -> None:
        self._stop, self._over = stop, asyncio.Event()
        self._over.set()
        self._seconds, self._since = 0.0, 0.0

    @property
    def on(self) -> bool:
        return not self._over.is_set()

    @property
    def seconds(self) -> float:
        """All that it took in this run so far."""
        return self._seconds + (time.monotonic() - self._since if self.on else 0.0)

    def begin(self) -> None:
        self._since = time.monotonic()
        self._over.clear()

    def end(self) -> None:
        self._seconds = self.seconds
        self._over.set()

    async def over(self) -> None:
        """Wait until it is not paused."""
        await self._over.wait()

    async def gate(self) -> None:
        """Wait before something new starts, while it is paused.

        Raises:
            Stopped: the campaign is to end meanwhile.
        """
        if self.on and not TOGETHER.get():
            await self._stop.unless(self._over.wait())

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Measurements that belong together: a pause waits for their end.

        Raises:
            Stopped: as `gate`.
        """
        await self.gate()
        token = TOGETHER.set(True)
        try:
            yield
        finally:
            TOGETHER.reset(token)


def paused(store: Store, campaign_id: str) -> bool:
    """Whether the last word of a person was a pause, as the tracker has it."""
    kinds = (RequestKind.PAUSE, RequestKind.RESUME)
    last = store.requests(campaign_id, kinds=kinds, status=RequestStatus.DONE, limit=1, newest_first=True)
    return any(request.kind is RequestKind.PAUSE for request in last)
