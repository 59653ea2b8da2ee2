"""A control group of its own for each command, where one can be made: the kernel then holds all of it to its limits.

Version 2 (https://docs.kernel.org/admin-guide/cgroup-v2.html) holds memory and the number of processes, version 1 here
the number of processes alone. One can be made by root outside a container, and by a user to whom systemd delegates.
"""

import itertools
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from loopsmith.process.limits import Limits, machine_memory

ROOT = Path("/sys/fs/cgroup")
NAME = "loopsmith."  # a group is named by this, our process and a number
OWN = 6  # processes of the sandbox itself
ENTER = 'echo 0 > "$0" && exec "$@"'
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Group:
    """The group of one command, from before it starts until `remove`."""

    folder: Path

    @classmethod
    def make(cls, limits: Limits) -> "Group | None":
        """A new group with these limits; None where none can be made."""
        above = place()
        if above is None:
            return None
        group = cls(above / f"{NAME}{os.getpid()}.{next(_numbers)}")
        try:
            group.folder.mkdir()
            if limits.processes is not None:
                group.write("pids.max", limits.processes + OWN)
            if (group.folder / "memory.max").exists():
                group.write("memory.max", machine_memory() if limits.memory is None else limits.memory)
                group.write("memory.oom.group", 1)
                with suppress(OSError):  # where there is no swap
                    group.write("memory.swap.max", 0)
        except OSError:
            group.remove()
            return None
        return group

    def write(self, name: str, value: int) -> None:
        (self.folder / name).write_text(str(value))

    def enter(self, argv: Sequence[str]) -> list[str]:
        """The command line that joins the group, then becomes `argv`."""
        return ["/bin/sh", "-c", ENTER, str(self.folder / "cgroup.procs"), *argv]

    def over(self, limits: Limits) -> str:
        """The limit that the kernel had to hold it to, in words; empty when there was none."""
        if self._events("pids.events", "max"):
            return f"ran more than {limits.processes} processes and threads (verify.limits.processes)"
        if self._events("memory.events", "oom_kill"):
            return "used more memory than it may (verify.limits.memory)"
        return ""

    def _events(self, name: str, key: str) -> int:
        try:
            words = (self.folder / name).read_text().split()
        except OSError:
            return 0
        return int(words[words.index(key) + 1]) if key in words else 0

    def kill(self) -> None:
        """End everything in it at once, where the kernel can."""
        with suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Remove the group. Its processes have ended, so that this waits for the kernel alone, and not long."""
        for _ in range(100):
            try:
                self.folder.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.001)


@cache
def place() -> Path | None:
    """The folder to make groups in, found by making one and joining it; None where that does not work."""
    for above in _places():
        test = above / f"{NAME}{os.getpid()}.0"
        try:
            test.mkdir()
        except OSError:
            continue
        try:
            if (test / "pids.max").exists():
                joined = subprocess.run(
                    ["/bin/sh", "-c", ENTER, str(test / "cgroup.procs"), "true"], capture_output=True, timeout=10
                )
                if joined.returncode == 0:
                    _sweep(above)
                    return above
        except (OSError, subprocess.TimeoutExpired):
            continue
        finally:
            Group(test).remove()
    return None


def can_group() -> bool:
    """Whether the kernel holds a command as a whole to a number of processes here."""
    return place() is not None


def _places() -> Iterator[Path]:
    """Our own group and those above it, by the versions that have a count of processes."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers and (ROOT / "cgroup.controllers").exists():
            own = ROOT / path.lstrip("/")
            yield from (above for above in (own, *own.parents) if above.is_relative_to(ROOT))
        elif "pids" in controllers.split(","):
            yield ROOT / "pids" / path.lstrip("/")


def _sweep(above: Path) -> None:
    """Remove the groups that a killed loopsmith left; one with processes in it stays."""
    for left in above.glob(f"{NAME}*"):
        owner = left.name.removeprefix(NAME).partition(".")[0]
        if owner != str(os.getpid()) and not Path("/proc", owner).exists():
            with suppress(OSError):
                left.rmdir()
