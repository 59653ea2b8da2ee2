"""What one command may use of the machine, together with everything that descends from it.

The kernel holds each process to what it can (setrlimit(2)): the size of a file, CPU time, and the number of processes
where they are counted for a user namespace of the command's own. The sums over a command's processes are looked at
every `LOOK` seconds, by `Watch`: no limit on address space, which CUDA and sanitizers reserve in terabytes, and none
per user, which would count what others run. A burst can pass a limit for that long; the kernel's own killer takes a
command before anything else (`oom_score_adj`).
"""

import os
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOOK = 0.1  # seconds between two looks
PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 20  # a look at folders is followed by a rest of this many times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one command; None is unlimited.

    `memory`, `file_size` and `disk` are bytes, `cpu_time` seconds of each process, `processes` counts threads too.
    `tmpfs` names folders, as the command sees them, whose content is memory.
    """

    memory: int | None = None
    processes: int | None = None
    file_size: int | None = None
    disk: int | None = None
    cpu_time: float | None = None
    tmpfs: tuple[str, ...] = ()

    def script(self, command: str, *, own_users: bool) -> str:
        """A command line for sh, held by the kernel to what it can hold each process to.

        Args:
            own_users: it runs in a user namespace of its own, so that only its own processes are counted. The
                superuser's are never held to a number.
        """
        words = ["ulimit -c 0"]
        if self.file_size is not None:
            words.append(f"ulimit -f {max(1, self.file_size // 512)}")
        if self.cpu_time is not None:
            seconds = max(1, round(self.cpu_time))  # SIGXCPU, and SIGKILL for what does not mind
            words.append(f"ulimit -S -t {seconds}; ulimit -H -t {seconds + 1}")
        if self.processes is not None and own_users and os.getuid() != 0:
            words.append(f"ulimit -u {self.processes} 2>&- || ulimit -p {self.processes}")  # bash, or dash and busybox
        # A limit that is lower already cannot be raised, and need not be.
        return f"{{ {'; '.join(words)}; }} 2>/dev/null; {command}"


class Watch:
    """Looks at a running command.

    Args:
        pid: of its first process.
        folders: where it writes; what it adds there counts as its disk space.
    """

    def __init__(self, limits: Limits, pid: int, folders: Sequence[Path]):
        self.limits, self.pid, self.folders = limits, pid, folders
        self._memory = limits.memory if limits.memory is not None else machine_memory()
        free = free_space(folders[0])
        self._disk = free // 2 if limits.disk is None else min(limits.disk, free // 2)
        self._floor = free - self._disk
        self._next = 0.0

    def broken(self, adopted: Iterable[int] = ()) -> str:
        """The limit that the command is over, in words; empty while it keeps within all.

        Args:
            adopted: its processes that are no longer below the first.
        """
        pids, tasks = tree([self.pid, *adopted], self.limits.processes)
        if self.limits.processes is not None and tasks > self.limits.processes:
            return f"ran more than {self.limits.processes} processes and threads (verify.limits.processes)"
        files = self._in_tmpfs(pids)
        if all(sum(map(measure, pids)) + files > self._memory for measure in (resident, proportional)):
            return f"used more than {self._memory:,} bytes of memory (verify.limits.memory)"
        if free_space(self.folders[0]) < self._floor and time.monotonic() >= self._next:
            begun = time.monotonic()
            if sum(map(folder_size, self.folders)) + deleted_size(pids) > self._disk:
                return f"wrote more than {self._disk:,} bytes to disk (verify.limits.disk)"
            now = time.monotonic()
            self._next = now + PATIENCE * (now - begun)
        return ""

    def _in_tmpfs(self, pids: Sequence[int]) -> int:
        """What the command's own memory file systems hold; seen through its innermost process."""
        if not self.limits.tmpfs or not pids:
            return 0
        ours, total = os.stat(self.folders[0]).st_dev, 0
        for path in self.limits.tmpfs:
            with suppress(OSError):
                inside = f"/proc/{pids[-1]}/root{path}"
                if os.stat(inside).st_dev not in (ours, os.stat("/").st_dev):
                    found = os.statvfs(inside)
                    total += (found.f_blocks - found.f_bfree) * found.f_frsize
        return total


def tree(roots: Iterable[int], most: int | None) -> tuple[list[int], int]:
    """The processes below some, themselves included, and how many tasks (threads) they have; stops above `most`."""
    found: list[int] = []
    tasks, waiting = 0, list(roots)
    while waiting and (most is None or tasks <= most):
        pid = waiting.pop()
        try:
            threads = os.listdir(f"/proc/{pid}/task")
            for thread in threads:
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    waiting += map(int, file.read().split())
        except OSError:  # it ended meanwhile
            continue
        tasks += len(threads)
        found.append(pid)
    return found, tasks


def resident(pid: int) -> int:
    """Memory of a process that is not a file's; what it shares with others since a fork counts in each."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            fields = file.read().split()
        return (int(fields[1]) - int(fields[2])) * PAGE
    except (OSError, IndexError):
        return 0


def proportional(pid: int) -> int:
    """As `resident`, with what is shared divided among those that share it; slower."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss_Anon:"))
    except OSError:
        return 0


def machine_memory() -> int:
    """Nine tenths of this machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * PAGE * 9 // 10


def free_space(path: Path) -> int:
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def folder_size(path: Path) -> int:
    """Bytes on disk of everything below a folder, links not followed."""
    total, waiting = 0, [os.fspath(path)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    total += status.st_blocks * 512
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(entry.path)
        except OSError:
            continue
    return total


def deleted_size(pids: Iterable[int]) -> int:
    """Bytes on disk of files that processes hold open although they have no name any more."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    status = os.stat(f"/proc/{pid}/fd/{name}")
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                        found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def prefer_to_kill(pid: int) -> None:
    """Let the kernel, when memory runs out, end this process and its descendants before any other."""
    with suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:
        file.write("1000")
