"""One command, from its start until nothing of it is left."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from loopsmith.errors import HarnessError
from loopsmith.process.descendants import MARK, Descendants, Over, kill, watching
from loopsmith.process.group import Group
from loopsmith.process.limits import LOOK, Limits, Watch, prefer_to_kill
from loopsmith.process.output import CappedLog
from loopsmith.records import Completed

GRACE = 1.0  # seconds between SIGTERM and SIGKILL on a timeout
_CHUNK = 65_536


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None,
    log: Path,
    log_limit: int = 10_000_000,
    mark: str,
    cores: Collection[int] | None = None,
    stdin: bytes | None = None,
    limits: Limits | None = None,
    folders: Sequence[Path] = (),
    feed: Callable[[bytes], None] | None = None,
) -> Completed:
    """Run a command to its end; afterwards no process that it started is alive, however this function ends.

    Args:
        env: the whole environment, apart from the mark.
        timeout: seconds; then SIGTERM to the process group, and SIGKILL after `GRACE`. None: no limit.
        log: file that gets stdout and stderr together; replaced when it exists.
        log_limit: bytes on disk (at least 1000); of more output, head and tail are kept, by whole lines.
        mark: what `sweep` finds the processes by, should loopsmith be killed; need not be unique.
        cores: the CPUs to run on; None, or a system without affinity, leaves that as it is.
        stdin: what the command reads; None is an empty input.
        limits: what is looked at while it runs; the command is ended when it is over one. Those that the kernel holds
            are set by `Limits.script`.
        folders: beside `cwd`, where it can write.
        feed: gets each piece of the output as it comes, unmasked; must not raise.

    Returns:
        how it ended. Arguments that the system cannot pass on (too long, a NUL byte) end as in a shell, with
        exit code 126 and the reason in the log.

    Raises:
        HarnessError: the command cannot be started, its log not written, or a process not ended.
    """
    over: Over = asyncio.get_running_loop().create_future()  # resolved by death, or when the log cannot be written
    timed_out, limit = False, ""
    with CappedLog(log, log_limit) as output:
        async with _reading(output, over, feed) as writer:
            descendants = Descendants(mark)
            group = Group.make(limits) if limits is not None else None
            began = time.monotonic()
            try:
                with _affinity(cores), _input(stdin) as source:
                    environment = {**env, MARK: descendants.mark}
                    descendants.first = process = _start(
                        group.enter(argv) if group else argv, cwd, environment, source, writer, output
                    )
                if process is None:
                    return _completed(argv, 126, log, output.size)
                prefer_to_kill(process.pid)
                with watching(process.pid, over):
                    if limits is None or sys.platform != "linux":
                        await asyncio.wait([over], timeout=timeout)
                    else:
                        limit = await _watched(over, timeout, Watch(limits, process.pid, (cwd, *folders)), descendants)
                    if not over.done() and not limit:
                        timed_out = True
                        kill(process.pid, signal.SIGTERM, group=True)
                        await asyncio.wait([over], timeout=GRACE)
                seconds = time.monotonic() - began
            finally:
                if group and (limit or timed_out):
                    group.kill()
                try:
                    await descendants.end()
                finally:
                    if group and limits:
                        limit = limit or group.over(limits)
                        group.remove()
        return _completed(argv, process.wait(), log, output.size, timed_out, seconds, descendants.leftovers, limit)


async def _watched(over: Over, timeout: float | None, watch: Watch, descendants: Descendants) -> str:
    """Wait for the end or the time limit, and look at the command meanwhile; gives the limit that it is over."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = LOOK if end is None else min(LOOK, end - time.monotonic())
        await asyncio.wait([over], timeout=max(0.0, left))
        if over.done() or left < LOOK:
            return ""
        if limit := watch.broken(descendants.adopted()):
            return limit


def _start(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    source: int | IO[bytes],
    writer: int,
    output: CappedLog,
) -> subprocess.Popen[bytes] | None:
    """Start the process; None, and the reason in the log, when its arguments cannot be passed on."""
    try:
        return subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=source, stdout=writer, stderr=writer, start_new_session=True
        )
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno != errno.E2BIG:
            where = f" ({error.filename})" if error.filename else ""
            raise HarnessError(f"cannot run {argv[0]} in {cwd}: {error.strerror}{where}") from error
        output.write(f"cannot run the command: {error}\n".encode())
        return None


@asynccontextmanager
async def _reading(output: CappedLog, over: Over, feed: Callable[[bytes], None] | None) -> AsyncIterator[int]:
    """Copy a pipe to the log while in the block, and what it still holds afterwards; gives the end to write to.

    Nobody waits for the end of the pipe: a process elsewhere that keeps it open does not hold us up.
    """
    loop = asyncio.get_running_loop()
    try:
        reader, writer = os.pipe()
    except OSError as error:
        raise HarnessError(f"cannot make a pipe: {error.strerror}; raise the limit of open files") from error
    os.set_blocking(reader, False)

    def copy() -> bool:
        """Whether there may be more now."""
        try:
            data = os.read(reader, _CHUNK)
        except BlockingIOError:
            return False
        output.write(data)
        if feed and data:
            feed(data)
        if output.failure and not over.done():
            over.set_result(None)
        if output.failure or not data:
            loop.remove_reader(reader)
            return False
        return True

    loop.add_reader(reader, copy)
    try:
        try:
            yield writer
        finally:
            os.close(writer)
        while copy():  # its writers are dead, so what is left is bounded by the size of the pipe
            pass
    finally:
        loop.remove_reader(reader)
        os.close(reader)


@contextmanager
def _affinity(cores: Collection[int] | None) -> Iterator[None]:
    """Our thread's own affinity, changed for the moment of the fork: the child has it from its first instruction."""
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        raise HarnessError(f"cannot run on cores {sorted(cores)}: {error.strerror}") from error
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _input(stdin: bytes | None) -> Iterator[int | IO[bytes]]:
    if stdin is None:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        yield file


def _completed(
    argv: Sequence[str],
    code: int,
    log: Path,
    size: int,
    timed_out: bool = False,
    seconds: float = 0.0,
    leftovers: int = 0,
    limit: str = "",
) -> Completed:
    return Completed(
        argv=tuple(argv),
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        timed_out=timed_out,
        seconds=seconds,
        log=log,
        output_bytes=size,
        leftovers=leftovers,
        limit=limit,
    )
