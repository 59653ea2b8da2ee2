"""What the campaigns of one machine agree on: who measures on which core and GPU. Locks die with their holder."""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

PLACE = "LOOPSMITH_LOCKS"  # a folder that containers of one machine may share
LOOK, PATIENT = 0.05, 1.0  # seconds between two looks for what is free: at first, and at most
HERE: set[str] = set()  # what this process holds, where there can be no locks too


def place() -> Path:
    """The folder of the locks, the same for all users."""
    return Path(os.environ.get(PLACE) or Path(tempfile.gettempdir()) / "loopsmith-locks")


@asynccontextmanager
async def held(names: Sequence[str], count: int | None) -> AsyncIterator[tuple[str, ...]]:
    """Wait until nobody else holds `count` of what is named (None: all of it), and hold them.

    Some are taken together or not at all, and all one after the other in one order, so that no two wait for each other.
    Where the folder cannot be used, other processes are not asked.
    """
    locks: dict[str, int | None] = {}
    ordered = names if count is not None else sorted(names)
    wanted, wait = len(names) if count is None else count, LOOK
    try:
        while len(locks) < wanted:
            for name in ordered:
                if len(locks) == wanted or (not take(name, locks) and count is None):
                    break
            if len(locks) < wanted:
                if count is not None:
                    release(locks)
                await asyncio.sleep(wait)
                wait = min(PATIENT, wait * 2)
        yield tuple(locks)
    finally:
        release(locks)


def take(name: str, locks: dict[str, int | None]) -> bool:
    """Add what is named to `locks`, unless it is there; False where another holds it."""
    if name in locks:
        return True
    if name in HERE:
        return False
    try:
        handle = opened(place() / name)
    except OSError:
        handle = None
    if handle is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
    HERE.add(name)
    locks[name] = handle
    return True


def opened(path: Path) -> int:
    """A file to lock. It is made only where it is missing: Linux guards those of other users in /tmp."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o1777)
    with suppress(FileExistsError):
        made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o444)
        os.fchmod(made, 0o444)
        return made
    return os.open(path, flags)


def release(locks: dict[str, int | None]) -> None:
    for name, handle in locks.items():
        HERE.discard(name)
        if handle is not None:
            os.close(handle)
    locks.clear()
