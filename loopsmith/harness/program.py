"""Run a program of the candidate: what it printed, how long it took, and nothing for it to look up."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from loopsmith.harness import lockdown


class Ran(NamedTuple):
    """How a command ended.

    Attributes:
        exit_code: of the shell; a signal gives one of 128 and more, or a negative one.
        seconds: from its start to its end.
        cpu_seconds: of it and of what it waited for.
        peak_bytes: memory of the largest of its processes; what this interpreter holds at the start counts, some 20 MB.
        stdout, stderr: what it printed.
        timed_out: its time was over.
        missing: what of the lockdown this machine does not allow, in words.
    """

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    missing: tuple[str, ...]


def run(
    command: str,
    *,
    hide: Sequence[str | Path] = (),
    folder: str | Path = ".",
    env: Mapping[str, str] | None = None,
    timeout: float = 600.0,
) -> Ran:
    """Run a command with `sh -c` and measure it. Its process group ends with it.

    What leaves the group is neither measured nor ended here; loopsmith ends it with the verifier, and records it.

    Args:
        hide: files that look empty to it, such as the right output. It cannot look into this process either.
        folder: where it runs.
        env: its environment; none: this process's.
        timeout: seconds.

    Raises:
        OSError: it could not be started.
    """
    lockdown.keep_out()
    hidden = [os.path.abspath(path) for path in hide if os.path.exists(path)]
    told, tell = os.pipe()
    gate, open_gate = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            os.close(open_gate)
            _become(command, hidden, folder, os.environ if env is None else env, tell, gate, (out, errors))
        os.close(tell)
        os.close(gate)
        missing = tuple(line for line in os.read(told, 1 << 16).decode().split("\n") if line)
        os.close(told)
        over = threading.Event()

        def end() -> None:
            over.set()
            _kill(child)

        timer = threading.Timer(timeout, end)
        began = time.perf_counter()
        os.close(open_gate)  # the command starts when it reads the end
        timer.start()
        status, used = os.wait4(child, 0)[1:]
        seconds = time.perf_counter() - began
        timer.cancel()
        _kill(child)
        out.seek(0)
        errors.seek(0)
        return Ran(
            exit_code=os.waitstatus_to_exitcode(status),
            seconds=seconds,
            cpu_seconds=used.ru_utime + used.ru_stime,
            peak_bytes=used.ru_maxrss * (1024 if os.uname().sysname == "Linux" else 1),
            stdout=out.read(),
            stderr=errors.read(),
            timed_out=over.is_set(),
            missing=missing,
        )


def _become(
    command: str,
    hidden: list[str],
    folder: str | Path,
    env: Mapping[str, str],
    tell: int,
    gate: int,
    outputs: tuple[BinaryIO, BinaryIO],
) -> NoReturn:
    """The forked process: ready itself, say what is missing, wait for the gate, become the command."""
    try:
        os.setsid()
        os.chdir(folder)
        missing = lockdown.cover(hidden)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, file in enumerate((nothing, outputs[0].fileno(), outputs[1].fileno())):
            os.dup2(file, number)
        os.write(tell, "\n".join(["", *missing]).encode() + b"\n")
        os.close(tell)
        os.read(gate, 1)
        os.execve("/bin/sh", ["/bin/sh", "-c", command], dict(env))
    except BaseException as error:
        os.write(2, f"{error}\n".encode())
    os._exit(127)


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
