"""The campaign's clock: time used over all runs, and the limit on it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loopsmith.campaign.context import Context
from loopsmith.search.budget import End

BEAT = 2.0  # seconds between two notes of the time used; a kill loses at most one


@asynccontextmanager
async def clock(context: Context) -> AsyncIterator[None]:
    """Note the time used while in the block, and ask for the end when `budget.wall_clock` is used up."""
    last = time.monotonic()

    def note() -> None:
        nonlocal last
        now = time.monotonic()
        context.store.add_elapsed(context.id, now - last)
        last = now

    async def beat() -> None:
        bound = context.settings.budget.wall_clock
        left = None if bound is None else bound - context.store.campaign(context.id).elapsed
        start = time.monotonic()
        while True:
            rest = BEAT if left is None else min(BEAT, left - (time.monotonic() - start))
            await asyncio.sleep(max(0.0, rest))
            note()
            if bound is not None and left is not None and time.monotonic() - start >= left:
                message = f"{bound:g} of {bound:g} seconds of wall clock used (budget.wall_clock)"
                context.stop.request(End(reason="wall_clock", message=message))
                left = None

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        note()
