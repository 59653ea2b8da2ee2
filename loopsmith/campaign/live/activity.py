"""What goes on now, for who watches from another process: the tracker is told twice a second, where it changed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from loopsmith.campaign.context import Context
from loopsmith.campaign.measure.leases import Lease
from loopsmith.errors import HarnessError
from loopsmith.live import Doing
from loopsmith.records import Candidate

BEAT = 0.5  # seconds between two looks at what changed


@asynccontextmanager
async def leased(
    context: Context, what: str, candidate: Candidate | None = None, *, subject: str = "baseline"
) -> AsyncIterator[Lease]:
    """Wait for the machine and hold it, in everybody's sight.

    Args:
        what: what it is needed for, in words.
        subject: whose run it is where it is no candidate's.
    """
    board, candidate_id = context.board, candidate.id if candidate else None
    name = f"c{candidate.number}" if candidate else subject
    before = board.now.get(name)
    board.put(name, Doing.QUEUED, what, candidate_id=candidate_id)
    try:
        async with context.leases.lease() as lease:
            board.put(name, Doing.MEASURING, what, candidate_id=candidate_id, lease=lease.words)
            yield lease
    finally:
        board.end(name, before)


@contextmanager
def asked(context: Context, role: str, candidate_id: str | None) -> Iterator[None]:
    """Show that a role is asked while in the block."""
    about = f" on c{candidate_id.rpartition('.')[2]}" if candidate_id else ""
    context.board.put(role + about, Doing.WORKING, "is asked", candidate_id=candidate_id)
    try:
        yield
    finally:
        context.board.end(role + about)


@asynccontextmanager
async def shown(context: Context) -> AsyncIterator[None]:
    """Write down what goes on while in the block, and that nothing does behind it."""
    board, store = context.board, context.store

    def write() -> None:
        now = [board.now[subject] for subject in sorted(board.changed) if subject in board.now]
        store.set_activity(context.id, now, ended=board.changed)
        board.changed = set()

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT)
            if board.changed:
                with suppress(HarnessError):  # such as a lock that passes; it is written when it can be
                    write()

    store.set_activity(context.id)
    context.observers.insert(0, board.observe)  # before who shows it
    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        context.observers.remove(board.observe)
        store.set_activity(context.id)
