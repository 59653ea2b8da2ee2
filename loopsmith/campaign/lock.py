"""One writer for a state folder: an advisory lock that the kernel drops when its holder dies."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loopsmith.errors import HarnessError, UsageError

LOOKS = 10  # until a lock that another process has is that of a campaign


@contextmanager
def exclusive(path: Path) -> Iterator[Callable[[str], None]]:
    """Hold the lock at `path` while in the block; the file names the holder's process.

    Gives what notes there as well which campaign the process runs.

    Raises:
        UsageError: another process holds it.
        HarnessError: the lock file cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror}; make it writable or pass --state DIR") from error

    def note(campaign_id: str) -> None:
        os.pwrite(handle, f"{os.getpid()} {campaign_id}".encode(), 0)

    try:
        for _ in range(LOOKS):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)  # `holder` has it too, for a moment, wherever somebody watches
        else:
            raise UsageError(
                f"a campaign runs here already, in process {holder(path) or 'unknown'}; "
                "watch it with `loopsmith watch`, end it with `loopsmith stop`"
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield note
    finally:
        os.close(handle)


def holder(path: Path, campaign_id: str | None = None) -> int | None:
    """The process that holds the lock at `path`; None when nobody does, or it runs another campaign than this one."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        process, _, runs = os.pread(handle, 200, 0).decode().partition(" ")
        other = campaign_id is not None and runs not in ("", campaign_id)
        return int(process) if process.isdigit() and not other else None
    finally:
        os.close(handle)
    return None
