"""A program that is talked to over its standard input and output while it runs."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from loopsmith.errors import HarnessError
from loopsmith.process.descendants import MARK, Descendants, Over, watching
from loopsmith.process.group import Group
from loopsmith.process.limits import LOOK, Limits, Watch, prefer_to_kill
from loopsmith.process.output import CappedLog

_CHUNK = 65_536
_ERRORS = 10_000_000  # bytes of standard error that are kept


class Piped:
    """A running program. Its standard error goes to the file `errors`."""

    def __init__(self, process: subprocess.Popen[bytes], over: Over, errors: Path):
        self._process, self._over, self.errors = process, over, errors
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self._writing = asyncio.Lock()
        self.limit = ""  # the limit that it was ended for, in words

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal; None while it runs."""
        return self._process.poll() if self._over.done() else None

    async def ended(self, timeout: float) -> bool:
        """Wait until it ended, at most `timeout` seconds; whether it did."""
        await asyncio.wait([self._over], timeout=timeout)
        return self._over.done()

    async def read(self) -> bytes:
        """What it printed since, at least a byte; nothing when it closed its output or ended."""
        while True:
            try:
                return os.read(self._stdout, _CHUNK)
            except BlockingIOError:
                if self._over.done():  # what it left running may hold the pipe open
                    return b""
                await self._ready(self._stdout, reading=True)

    async def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            ConnectionError: it reads no more.
        """
        async with self._writing:
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(self._stdin, view) :]
                except BlockingIOError:
                    if self._over.done():
                        raise ConnectionResetError("the program ended") from None
                    await self._ready(self._stdin, reading=False)

    def close(self) -> None:
        """Close both pipes; a second time does nothing."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    async def _ready(self, handle: int, *, reading: bool) -> None:
        """Wait until the pipe can be used, or the program ended."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)
        add(handle, ready.set)
        waiting = asyncio.ensure_future(ready.wait())
        awaited: tuple[asyncio.Future[Any], ...] = (waiting, self._over)
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            remove(handle)
            waiting.cancel()


@asynccontextmanager
async def piped(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    errors: Path,
    mark: str,
    limits: Limits | None = None,
    folders: Sequence[Path] = (),
) -> AsyncIterator[Piped]:
    """Run a program while in the block; afterwards no process that it started is alive, however the block ends.

    Args:
        env: the whole environment, apart from the mark.
        errors: file that gets its standard error, masked; replaced when it exists.
        mark: what `sweep` finds its processes by.
        limits: looked at while it runs, as by `run`; `Piped.limit` then says which one ended it.
        folders: beside `cwd`, where it can write.

    Raises:
        HarnessError: it cannot be started, or a process not ended.
    """
    loop = asyncio.get_running_loop()
    over: Over = loop.create_future()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with CappedLog(errors, _ERRORS) as log:

        def copy() -> bool:
            try:
                data = os.read(reader, _CHUNK)
            except BlockingIOError:
                return False
            log.write(data)
            if not data or log.failure:
                loop.remove_reader(reader)
            return bool(data) and not log.failure

        descendants = Descendants(mark)
        group = Group.make(limits) if limits is not None else None
        loop.add_reader(reader, copy)
        program: Piped | None = None
        try:
            try:
                descendants.first = process = subprocess.Popen(
                    group.enter(argv) if group else argv,
                    cwd=cwd,
                    env={**env, MARK: descendants.mark},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=writer,
                    bufsize=0,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise HarnessError(f"cannot run {argv[0]} in {cwd}: {getattr(error, 'strerror', error)}") from error
            finally:
                os.close(writer)
            prefer_to_kill(process.pid)
            program = Piped(process, over, errors)
            with watching(process.pid, over):
                look = None
                if limits is not None and sys.platform == "linux":
                    look = loop.create_task(_look(program, Watch(limits, process.pid, (cwd, *folders)), descendants))
                try:
                    yield program
                finally:
                    if look is not None:
                        look.cancel()
        finally:
            if group and program and program.limit:
                group.kill()
            try:
                await descendants.end()
            finally:
                if group and limits:
                    if program:
                        program.limit = program.limit or group.over(limits)
                    group.remove()
                loop.remove_reader(reader)
                while copy():
                    pass
                os.close(reader)
                if program:
                    program.close()


async def _look(program: Piped, watch: Watch, descendants: Descendants) -> None:
    """Look at the program until it is over a limit, and end it then."""
    while not program._over.done():
        await asyncio.sleep(LOOK)
        if limit := watch.broken(descendants.adopted()):
            program.limit = limit
            program._process.kill()
            return
