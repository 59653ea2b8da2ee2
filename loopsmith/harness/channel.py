"""The verifier's end of the process in which a candidate runs: ask, wait, and hold it still between two questions."""

import array
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from loopsmith.errors import HarnessError, LoopsmithError
from loopsmith.harness.lockdown import FORKS

LINES = 15  # of what a failed candidate printed are shown
STOPPING = 1.0  # seconds to wait for a process to stand still; one that does not is found by what it uses
SCHEDSTAT = "/proc/{}/schedstat"
SETTLING = 100  # looks, 0.01 s apart
QUIET = 0.02  # seconds of CPU time that a stopped process may have used by the clock's ticks


class Rejected(LoopsmithError):
    """The candidate is wrong, or does what an honest one does not; there is no score."""

    exit_code = 1


class Answer(NamedTuple):
    """Results still packed, their memory, and the seconds from question to answer.

    Of these, `waited` are those in which the child or this process was ready and had no processor; None where the
    kernel does not tell, or where the child can leave work to other processes. `cpu` is the child's CPU time.
    """

    results: list[Any]
    memory: bytearray
    seconds: float
    cpu: float
    waited: float | None

    @property
    def awake(self) -> float:
        """The seconds without those in which another program had the processor, and never below the CPU time.

        So the work of all threads counts, and so does waiting for anything else, such as a sleep, a disk or a device.
        """
        return self.seconds if self.waited is None else max(self.cpu, self.seconds - self.waited)


class Child:
    """A process for a candidate; stopped (SIGSTOP) whenever it is not asked, and gone at the end of the context.

    Args:
        folder: where it works.
        hide: files and folders that it cannot see.
        processes: whether the candidate may start processes.
        timeout: seconds for each question.
        size_limit: bytes of an answer, and of what it prints.
    """

    def __init__(self, folder: str, *, hide: Sequence[str], processes: bool, timeout: float, size_limit: int):
        self._timeout, self._limit, self._processes = timeout, size_limit, processes
        self._output, self._results = _file(), _file()
        self._channel, theirs = socket.socketpair()
        self._temporary = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"harness-{os.urandom(8).hex()}")
        os.mkdir(self._temporary, 0o777)
        os.chmod(self._temporary, 0o777)  # for another user too; nobody else knows its name
        for number in (theirs.fileno(), self._results):
            os.set_inheritable(number, True)
        program = [sys.executable, "-P", os.path.join(os.path.dirname(__file__), "child.py")]
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            *((os.POSIX_SPAWN_DUP2, self._output, number) for number in (1, 2)),
        ]
        words = [*program, str(theirs.fileno()), str(self._results)]
        self._spawned = os.posix_spawn(sys.executable, words, _environment(), file_actions=actions, setsid=True)
        theirs.close()
        self._pid, self._handle = self._spawned, -1
        self._idle: float | None = None  # CPU time when it was stopped
        self._waited: float | None = None  # of the last question
        how = {
            "folder": folder,
            "writable": self._temporary,
            "hide": list(hide),
            "readable": [folder, os.__file__, *filter(os.path.exists, sys.path)],
            "processes": processes,
            "file_size": size_limit,
        }
        if hasattr(socket, "SO_PASSCRED"):
            self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            self.missing: list[str] = self.ask("enter", how=how)[0]["missing"]
            if hasattr(os, "pidfd_open"):
                self._handle = os.pidfd_open(self._pid)
        except (OSError, LoopsmithError) as error:
            self.close()
            raise HarnessError(f"cannot start a process for the candidate: {error}") from error
        if hasattr(socket, "SO_PASSCRED"):
            self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        self._hold()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and all that it started."""
        with suppress(ProcessLookupError):
            for pid in {*_tree(self._spawned), self._pid, self._spawned}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._spawned, 0)
        self._channel.close()
        for number in (self._output, self._results, self._handle):
            if number >= 0:
                os.close(number)
        try:
            os.rmdir(self._temporary)
        except OSError:  # the candidate left something in it
            import shutil

            shutil.rmtree(self._temporary, ignore_errors=True)

    def call(self, calls: Sequence[Any], memory: int | None) -> Answer:
        """Let it call the function with each of several lists of packed arguments.

        Args:
            memory: descriptor of the file that holds their arrays; the child sees it only now.
        """
        before = self.cpu()
        answer, seconds = self.ask("call", memory, calls=calls, key=None)
        used, waited = self.cpu() - before, self._waited
        results, content = self._results_of(answer)
        if len(results) != len(calls):
            raise Rejected("wrong: an answer that is not one")
        return Answer(results, content, seconds, used, waited)

    def call_on_device(self, calls: Sequence[Any], memory: int | None, key: int) -> tuple[Answer, Any, Any]:
        """As `call`, for tensors that it holds; gives a digest and a skeleton of the results too (see `tensors`)."""
        before = self.cpu()
        answer, seconds = self.ask("call", memory, calls=calls, key=key)
        used = self.cpu() - before
        results, content = self._results_of(self.ask("results")[0])
        if len(results) != len(calls):
            raise Rejected("wrong: an answer that is not one")
        return Answer(results, content, seconds, used, None), answer.get("digest"), answer.get("skeleton")

    def arguments(self) -> tuple[list[Any], bytearray]:
        """The arguments of the last calls as the candidate left them, packed, and their memory."""
        return self._results_of(self.ask("arguments")[0])

    def _results_of(self, answer: dict[str, Any]) -> tuple[list[Any], bytearray]:
        size = answer.get("size")
        if type(size) is not int or not 0 <= size <= self._limit:
            raise Rejected("wrong: an answer that is not one")
        content = read(self._results, size)
        results = answer.get("results")
        if type(results) is not list or len(content) != size:
            raise Rejected("wrong: an answer that is not one")
        return results, content

    def ask(self, op: str, memory: int | None = None, **content: Any) -> tuple[dict[str, Any], float]:
        """One question and its answer; the seconds between them, by our clock.

        Raises:
            Rejected: no answer in time, none at all, or one that was there before the question.
        """
        nonce = os.urandom(8).hex()
        question = json.dumps({"nonce": nonce, "op": op, **content}).encode() + b"\n"
        extra = [] if memory is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))]
        self._check_quiet()
        self._channel.settimeout(self._timeout)
        try:
            waiting = self._waiting()
            began = time.perf_counter()
            self._go_on()
            sent = self._channel.sendmsg([question], extra)
            if sent < len(question):
                self._channel.sendall(memoryview(question)[sent:])
            line = self._receive(began + self._timeout)
            seconds = time.perf_counter() - began
            now = self._waiting()  # before it is stopped, for which it may have to wait as well
            self._waited = None if waiting is None or now is None else now - waiting
            self._hold()
        except TimeoutError:
            raise Rejected(f"took longer than {self._timeout:g} s{self._said()}") from None
        except OSError:  # it is gone
            line = b""
        if not line:
            raise Rejected(f"wrong: the candidate ended without an answer{self._said()}")
        try:
            answer = json.loads(line)
            if type(answer) is not dict or answer.pop("nonce") != nonce:
                raise ValueError
        except (ValueError, KeyError, RecursionError):
            raise Rejected("wrong: an answer that belongs to no question") from None
        if "error" in answer:
            raise Rejected(f"wrong: the candidate gave no answer{_quoted(str(answer['error']))}")
        return answer, seconds

    def cpu(self) -> float:
        """Seconds of CPU time that it has used so far."""
        total = 0.0
        for pid in self._pids():
            with suppress(OSError):  # the clock of another process: see clock_getcpuclockid(3) and its source
                total += time.clock_gettime((~pid << 3) | 2) if sys.platform == "linux" else 0.0
        return total

    def _waiting(self) -> float | None:
        """Seconds for which its first thread and ours have waited for a processor (Linux's sched-stats.rst)."""
        if self._handle < 0 or self._processes or FORKS in self.missing:
            return None
        total = 0
        try:
            for whose in (self._pid, "thread-self"):
                with open(SCHEDSTAT.format(whose), "rb") as file:
                    total += int(file.read().split()[1])
        except (OSError, IndexError, ValueError):
            return None
        return total * 1e-9

    def _receive(self, deadline: float) -> bytes:
        chunks, length = [], 0
        while True:
            if self._handle < 0 and hasattr(socket, "SO_PASSCRED"):  # the first answer tells who it is
                data, extra, *_ = self._channel.recvmsg(1 << 16, 64)
                for _level, _kind, content in extra:
                    self._pid = struct.unpack_from("i", content)[0]
            else:
                data = self._channel.recv(1 << 20)
            chunks.append(data)
            length += len(data)
            if not data or data.endswith(b"\n"):
                return b"".join(chunks) if data else b""
            if length > self._limit:
                raise Rejected(f"wrong: an answer of more than {self._limit} bytes")
            if time.perf_counter() > deadline:
                raise TimeoutError

    def _check_quiet(self) -> None:
        """It has said nothing, and done nothing, since its last answer."""
        try:
            self._channel.setblocking(False)
            early = bool(self._channel.recv(1))
        except BlockingIOError:
            early = False
        except OSError:
            return
        if early:
            raise Rejected("flagged: it answered before it was asked")
        if self._idle is not None and self.cpu() - self._idle > QUIET:
            raise Rejected("flagged: it worked on between two calls")

    def prepare(self, modules: Sequence[str], device: str | None) -> None:
        """Let it import what the verifier has, before it loads the candidate; and let the threads that come with that
        go to sleep: OpenBLAS's wait busily for a moment first, which the first call would be charged with."""
        self.ask("modules", modules=list(modules), device=device)
        self._go_on()
        used = -1.0
        for _ in range(SETTLING):
            now = self.cpu()
            if now - used < 1e-4:
                break
            used = now
            time.sleep(0.01)
        self._hold()

    def _go_on(self) -> None:
        if self._handle >= 0:
            self._signal(signal.SIGCONT)

    def _hold(self) -> None:
        """Stop it, and wait until it stands still: on a busy machine that takes a moment, and it may be forking."""
        if self._handle < 0:
            return
        deadline = time.monotonic() + STOPPING
        self._signal(signal.SIGSTOP)
        while not all(map(_stopped, self._pids())) and time.monotonic() < deadline:
            time.sleep(0.0002)
            self._signal(signal.SIGSTOP)
        self._idle = self.cpu()

    def _pids(self) -> list[int]:
        return _tree(self._spawned) if self._processes else [self._pid]

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if not self._processes:
                signal.pidfd_send_signal(self._handle, number)
                return
        for pid in _tree(self._spawned):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _said(self) -> str:
        """The end of what it printed, for a message."""
        end = os.lseek(self._output, 0, os.SEEK_END)
        return _quoted(os.pread(self._output, 8000, max(0, end - 8000)).decode(errors="replace"))


def memory_file(size: int) -> int:
    """A file in memory; its size stays."""
    number = _file()
    os.truncate(number, size)
    return number


def read(file: int, size: int) -> bytearray:
    """The first bytes of a file; fewer where it is shorter."""
    content = bytearray(size)
    view, done = memoryview(content), 0
    while done < size and (got := os.preadv(file, [view[done:]], done)):
        done += got
    return content if done == size else content[:done]


def _file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("loopsmith")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _environment() -> dict[str, str]:
    """Without the seed, so that the candidate cannot know an input before it is asked."""
    kept = {name: value for name, value in os.environ.items() if name != "LOOPSMITH_SEED"}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    waiting += map(int, file.read().split())
    return found


def _stopped(pid: int) -> bool:
    """Whether all threads of a process stand still, or are gone."""
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                if file.read().rpartition(b") ")[2][:1] not in b"TtZX":
                    return False
    return True


def _quoted(text: str) -> str:
    """Its last lines, marked, so that none of them reads as ours."""
    return "".join(f"\n| {line}" for line in text.splitlines()[-LINES:])
