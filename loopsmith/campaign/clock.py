"""The campaign's clock: time used over all runs, pauses left out, and the limit on it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loopsmith import log
from loopsmith.campaign.context import Context
from loopsmith.errors import HarnessError, amount
from loopsmith.search.budget import End

BEAT = 2.0  # seconds between two notes of the time used; a kill loses at most one


@asynccontextmanager
async def clock(context: Context) -> AsyncIterator[None]:
    """Note the time used while in the block, and ask for the end when `budget.wall_clock` is used up."""
    last = time.monotonic() - context.pause.seconds
    used = context.store.campaign(context.id).elapsed

    def note() -> float:
        """Gives the seconds used so far, all runs together."""
        nonlocal last
        now = time.monotonic() - context.pause.seconds
        elapsed = context.store.add_elapsed(context.id, now - last).elapsed
        last = now
        return elapsed

    async def beat(used: float) -> None:
        asked = False
        while True:
            bound = context.settings.budget.wall_clock  # a person may change it
            left = None if bound is None or asked or context.pause.on else bound - used
            await asyncio.sleep(BEAT if left is None else max(0.0, min(BEAT, left)))
            try:
                used = note()
            except HarnessError as error:  # such as a lock that passes; the time is noted when it can be
                log.warning("clock.failed", campaign=context.id, reason=str(error))
                await asyncio.sleep(BEAT)
                continue
            bound = context.settings.budget.wall_clock
            if bound is not None and used >= bound and not asked:
                message = f"{amount(bound)} of {amount(bound)} seconds of wall clock used (budget.wall_clock)"
                context.stop.request(End(reason="wall_clock", message=message))
                asked = True

    beating = asyncio.create_task(beat(used))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        note()
