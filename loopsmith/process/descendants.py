"""Everything that descends from a command, found and ended.

The whole tree of a command carries `LOOPSMITH_MARK` in its environment. On Linux loopsmith is a child subreaper
(prctl(2), PR_SET_CHILD_SUBREAPER), so a descendant that daemonises becomes a child of loopsmith and is found when
its command ends; one that also dropped the mark is ended as soon as no command that may have started it runs.
Other children of loopsmith, a plug-in's for example, stay in loopsmith's own session and are never touched.
"""

import asyncio
import ctypes
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

from loopsmith.errors import HarnessError

MARK = "LOOPSMITH_MARK"
PATIENCE = 30.0  # seconds for a killed process to be gone
LINUX = sys.platform == "linux"

Over = asyncio.Future[None]

_live: "dict[str, Descendants]" = {}
_numbers = itertools.count(1)


class Descendants:
    """The processes of one command, from before it starts until `end`.

    Args:
        mark: what `sweep` finds them by; a suffix makes it unique.
    """

    def __init__(self, mark: str):
        become_subreaper()
        self.mark = f"{mark}:{os.getpid()}.{next(_numbers)}"
        self.first: subprocess.Popen[bytes] | None = None  # leader of the command's session and group
        self.ended: set[int] = set()  # those that outlived it and that the kernel would have left
        self._started = uptime()
        _live[self.mark] = self

    async def end(self) -> None:
        """Kill what is left, and wait until it is gone; a cancellation meanwhile is held back until then.

        The first process is killed too when it is alive, and reaped here, with its return code.

        Raises:
            HarnessError: a process does not go.
        """
        cancelled: asyncio.CancelledError | None = None
        deadline = time.monotonic() + PATIENCE
        loop = asyncio.get_running_loop()
        try:
            while left := self._end_once():
                if time.monotonic() > deadline:
                    raise HarnessError(f"process {left} cannot be ended; see what it waits for, and run again")
                try:
                    with watching(left, over := loop.create_future()):
                        await asyncio.wait([over], timeout=0.1)
                except asyncio.CancelledError as error:
                    cancelled = error
        finally:
            del _live[self.mark]
        if cancelled:
            raise cancelled

    def _end_once(self) -> int | None:
        """Kill and reap what there is now; one that may not be the last, or None when there was none."""
        if self.first is None:
            return None
        left = None
        for pid in _adopted() if LINUX else [pid for pid, mark in _marked() if mark == self.mark]:
            if (stat := _stat(pid)) and self._own(pid, stat):
                left = pid
                if stat.state not in "ZX":
                    if not _in_sandbox(pid):
                        self.ended.add(pid)
                    # The whole group at once, so that none of it can fork itself away meanwhile.
                    kill(stat.group, group=True)
                _reap(pid)
        if self.first.returncode is None:
            kill(self.first.pid, group=True)  # before it is reaped: until then no other group has this number
            if self.first.poll() is None:
                left = self.first.pid
        return left

    def _own(self, pid: int, stat: "_Stat") -> bool:
        """Whether an orphan is of this command, or may be and cannot be of another that runs."""
        if pid in self.ended or (self.first and stat.session == self.first.pid):
            return True
        mark = _mark_of(pid)
        if mark == self.mark or not LINUX:
            return mark == self.mark
        if mark in _live or stat.session == os.getsid(0):
            return False
        born = stat.started + 0.02  # the kernel counts in ticks of 10 ms
        others = [other for other in tuple(_live.values()) if other is not self]
        return born >= self._started and not any(other._started <= born for other in others)


@contextmanager
def watching(pid: int, over: Over) -> Iterator[None]:
    """While in the block, `over` is resolved when our child is dead; it stays a zombie, so its number its own."""
    loop = asyncio.get_running_loop()

    def notice() -> None:
        if not over.done():
            over.set_result(None)

    if not hasattr(os, "pidfd_open"):
        polling = loop.create_task(_poll(pid, notice))
        try:
            yield
        finally:
            polling.cancel()
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:  # reaped by now
        notice()
        yield
        return
    except OSError as error:
        raise HarnessError(f"cannot watch a process: {error.strerror}; raise the limit of open files") from error
    loop.add_reader(handle, lambda: (loop.remove_reader(handle), notice()))
    try:
        yield
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def _poll(pid: int, notice: Callable[[], None]) -> None:
    import psutil

    try:
        process = psutil.Process(pid)
        while process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            await asyncio.sleep(0.005)
    except psutil.NoSuchProcess:
        pass
    notice()


def sweep(mark_prefix: str) -> int:
    """End the processes that a killed loopsmith left behind.

    Args:
        mark_prefix: the start of the marks they were run with. End it where the name ends: `c1` also finds `c10`.

    Returns:
        how many were ended.

    Raises:
        HarnessError: one of them does not go.
    """
    if not mark_prefix:
        raise ValueError("an empty prefix would end the processes of every loopsmith")
    ended: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while found := [pid for pid, mark in _marked() if mark.startswith(mark_prefix) and mark not in _live]:
        for pid in found:
            ended.add(pid)
            kill(pid)
        if time.monotonic() > deadline:
            raise HarnessError(f"process {found[0]} of an earlier run does not end; end it and run again")
        time.sleep(0.002)
    return len(ended)


def kill(pid: int, number: signal.Signals = signal.SIGKILL, *, group: bool = False) -> None:
    """Send a signal to a process or its group; no error when it is gone, or another user's."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if LINUX else time.monotonic()


@cache
def become_subreaper() -> None:
    if LINUX:
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


class _Stat(NamedTuple):
    state: str
    group: int
    session: int
    started: float  # seconds since boot


def _stat(pid: int) -> _Stat | None:
    """See proc_pid_stat(5); None when the process is gone."""
    try:
        if not LINUX:
            return _Stat("R", os.getpgid(pid), os.getsid(pid), 0.0)
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return _Stat(fields[0].decode(), int(fields[2]), int(fields[3]), int(fields[19]) / os.sysconf("SC_CLK_TCK"))


def _adopted() -> list[int]:
    """Our children, apart from the first processes of running commands."""
    try:  # adopted children go to the main thread
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        import psutil

        children = [child.pid for child in psutil.Process().children()]
    first = {command.first.pid for command in tuple(_live.values()) if command.first}
    return [pid for pid in children if pid not in first]


def _mark_of(pid: int) -> str | None:
    if not LINUX:
        return dict(_marked()).get(pid)
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = b"\0" + file.read()
    except OSError:
        return None
    _, found, rest = environment.partition(b"\0" + MARK.encode() + b"=")
    return rest.partition(b"\0")[0].decode("utf-8", "replace") if found else None


def _marked() -> Iterator[tuple[int, str]]:
    """Every process of this machine that carries a mark, apart from ourselves."""
    if LINUX:
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid() and (mark := _mark_of(int(name))):
                yield int(name), mark
        return
    import psutil

    for process in psutil.process_iter(["environ"]):
        mark = (process.info["environ"] or {}).get(MARK)
        if mark and process.pid != os.getpid():
            yield process.pid, mark


def _in_sandbox(pid: int) -> bool:
    """Whether it is in a PID namespace of its own: the kernel ends all of that with its first process."""
    try:
        return LINUX and os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    except OSError:
        return False


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
