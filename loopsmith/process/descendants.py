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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

from loopsmith.errors import HarnessError

MARK = "LOOPSMITH_MARK"
PATIENCE = 30.0  # seconds for a killed process to be gone
LOOKS = 10  # at a process without any environment, until it counts as one that has none
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
        self.leftovers = 0  # descendants that outlived the command and that only we ended
        self._killed: set[int] = set()
        self._looks: Counter[int] = Counter()
        self._started = uptime()
        _live[self.mark] = self

    def adopted(self) -> list[int]:
        """The processes of the command that made themselves daemons, while it runs."""
        return [pid for pid in _adopted() if _mark_of(pid) == self.mark]

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
                        await asyncio.wait([over], timeout=0.01)
                except asyncio.CancelledError as error:
                    cancelled = error
        finally:
            del _live[self.mark]
        if cancelled:
            raise cancelled

    def _end_once(self) -> int | None:
        """Kill and reap what there is now; one that may not be the last, or None when there is none any more."""
        if self.first is None:
            return None
        left = None
        listed = _adopted() if LINUX else [pid for pid, mark in _marked() if mark == self.mark]
        for pid in listed:
            if (stat := _stat(pid)) is None:
                continue
            own = self._own(pid, stat)
            if own or own is None:
                left = pid
            if own:
                if stat.state not in "ZX":
                    self.leftovers += pid not in self._killed and not _in_sandbox(pid)
                    self._killed.add(pid)
                    kill(stat.group, group=True)  # all at once, so that none of it can fork itself away meanwhile
                _reap(pid)
        died = bool(listed)
        if self.first.returncode is None:
            kill(self.first.pid, group=True)  # before it is reaped: until then no other group has this number
            if self.first.poll() is None:
                left = self.first.pid
            died = True
        if died and left is None and LINUX:  # one that died after the list was made handed its children on
            left = next(iter(set(_adopted()) - set(listed)), None)
        return left

    def _own(self, pid: int, stat: "_Stat") -> bool | None:
        """Whether an orphan is of this command, or may be and cannot be of another that runs; None: look again."""
        if pid in self._killed or (self.first and stat.session == self.first.pid):
            return True
        mark = _mark_of(pid)
        if mark == self.mark or not LINUX:
            return mark == self.mark
        if mark in _live or stat.session == os.getsid(0):
            return False
        if stat.state in "ZX" and all(command.first for command in tuple(_live.values())):
            _reap(pid)  # of whichever command: nobody else waits for it
            return False
        born = stat.started + 0.02  # the kernel counts in ticks of 10 ms
        others = [other for other in tuple(_live.values()) if other is not self]
        if born >= self._started and not any(other._started <= born for other in others):
            return True
        if mark == "":  # as between two programs, and on the way out
            self._looks[pid] += 1
            return None if self._looks[pid] < LOOKS or not stat.memory else False
        return False


@contextmanager
def watching(pid: int, over: Over) -> Iterator[None]:
    """While in the block, `over` is resolved when our child is dead; it stays a zombie, so its number its own."""
    loop = asyncio.get_running_loop()
    handle = -1

    def notice() -> None:
        if handle >= 0:
            loop.remove_reader(handle)
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
    loop.add_reader(handle, notice)
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
    memory: int  # bytes, virtual; 0 on the way out


def _stat(pid: int) -> _Stat | None:
    """See proc_pid_stat(5); None when the process is gone."""
    try:
        if not LINUX:
            return _Stat("R", os.getpgid(pid), os.getsid(pid), 0.0, 1)
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return _Stat(fields[0].decode(), int(fields[2]), int(fields[3]), started, int(fields[20]))


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
    """The mark in a process's environment; None when that has none, empty when it is empty or cannot be read."""
    if not LINUX:
        return dict(_marked()).get(pid)
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return ""
    if not environment:
        return ""
    _, found, rest = (b"\0" + environment).partition(b"\0" + MARK.encode() + b"=")
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
