"""One writer for a state folder: an advisory lock that the kernel drops when its holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopsmith.errors import HarnessError, UsageError

LOOKS = 10  # until a lock that another process has is that of a campaign


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock at `path` while in the block; the file names the holder's process.

    Raises:
        UsageError: another process holds it.
        HarnessError: the lock file cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror}; make it writable or pass --state DIR") from error
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
        yield
    finally:
        os.close(handle)


def holder(path: Path) -> int | None:
    """The process that holds the lock at `path`; None when nobody does."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(handle, 20, 0).decode()
        return int(text) if text.isdigit() else None
    finally:
        os.close(handle)
    return None
