"""How a campaign is asked to end: once, with a reason, by a person or by a limit."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from loopsmith.search.budget import End

T = TypeVar("T")


class Stopped(Exception):
    """Work was cut short because the campaign stops; it starts again when the campaign is resumed."""


class Stop:
    """A request to end. What is being decided is finished; workers are cut short."""

    def __init__(self) -> None:
        self.end: End | None = None
        self._event = asyncio.Event()

    def request(self, end: End) -> None:
        """Ask for the end; the first reason stands."""
        if self.end is None:
            self.end = end
            self._event.set()

    async def unless(self, work: Coroutine[Any, Any, T], *others: "Stop") -> T:
        """The result of `work`.

        Raises:
            Stopped: this end, or another one, was asked for first; `work` was cancelled and has ended.
        """
        task = asyncio.create_task(work)
        waiters = [asyncio.create_task(stop._event.wait()) for stop in (self, *others)]
        try:
            await asyncio.wait((task, *waiters), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Stopped
        finally:
            for each in (task, *waiters):
                each.cancel()
            await asyncio.gather(task, *waiters, return_exceptions=True)
