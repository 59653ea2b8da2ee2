"""The clock `cpu` leaves out what other programs take, and nothing else."""

import os
import subprocess
import sys

import pytest

from loopsmith import harness
from loopsmith.errors import UsageError
from loopsmith.harness import channel
from loopsmith.harness.channel import Answer, Child

SUM = "    return sum(i * i for i in range(n))\n"
BURN = """
import hashlib, time

def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2000)  # without the interpreter's lock
"""
SLEEPS = "import time\n\ndef squares(n):\n    time.sleep(0.05)\n" + SUM
WAITS_FOR_A_FILE = """
import os, threading

def squares(n):
    read, write = os.pipe()
    threading.Timer(0.05, os.write, (write, b"x")).start()
    os.read(read, 1)
    os.close(read), os.close(write)
"""
THREADS = """
import threading

def squares(n):
    threads = [threading.Thread(target=burn, args=(0.02,)) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""
OTHER_THREAD = """
import threading

def squares(n):
    thread = threading.Thread(target=burn, args=(0.06,))
    thread.start()
    thread.join()
"""
# Timers and limits of CPU time change from where the kernel reads it; the lowest priority makes it wait longest.
TIMERS = """
import os, resource, signal

signal.signal(signal.SIGPROF, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_PROF, 0.005, 0.005)
signal.setitimer(signal.ITIMER_VIRTUAL, 100)
resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

def squares(n):
    burn(0.06)
"""
PATCHED = """
time.perf_counter = time.process_time = lambda: 0.0
time.clock_gettime = lambda _: 0.0

def squares(n):
    burn(0.06)
"""


@pytest.mark.parametrize(
    ("source", "at_least"),
    [
        (SLEEPS, 0.05),
        (WAITS_FOR_A_FILE + SUM, 0.05),
        (BURN + THREADS + SUM, 0.08),
        (BURN + OTHER_THREAD + SUM, 0.06),
        (BURN + TIMERS + SUM, 0.06),
        (BURN + PATCHED + SUM, 0.06),
    ],
    ids=["sleep", "waiting", "threads", "another thread", "timers and priority", "patched clocks"],
)
def test_what_the_candidate_does_or_waits_for_counts(measure, source, at_least):
    assert measure(source, clock="cpu").value >= 0.9 * at_least  # the channel's own time is taken off


@pytest.mark.parametrize("clock", ["cpu", "wall"])
def test_the_threads_that_numpy_starts_are_no_work_of_the_first_call(measure, clock):
    assert "numpy" in sys.modules or pytest.importorskip("numpy")
    assert measure(SLEEPS, clock=clock).value >= 0.9 * 0.05


def test_who_leaves_work_to_a_process_gets_no_score(measure):
    source = "import os\n\ndef squares(n):\n    os.waitpid(os.fork(), 0)\n" + SUM
    with pytest.raises(harness.Rejected, match="PermissionError"):
        measure(source, clock="cpu")


def test_who_is_gone_after_its_answer_gets_no_score(measure):
    source = """
import os, __main__

def gone(channel, answer, send=__main__.send):
    send(channel, answer)
    if "results" in answer:
        os._exit(0)

__main__.send = gone

def squares(n):
"""
    with pytest.raises(harness.Rejected):
        measure(source + SUM, clock="cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux")
def test_what_another_program_takes_does_not_count(tmp_path):
    (tmp_path / "candidate.py").write_text(BURN + "\ndef squares(n):\n    burn(0.2)\n    return n\n")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with Child(str(tmp_path), hide=[], processes=False, timeout=60, size_limit=10**6) as child:
            child.ask("load", what={"kind": "python", "path": str(tmp_path / "candidate.py"), "name": "squares"})
            answer = child.call([[1]], None)
    finally:
        os.sched_setaffinity(0, cores)
        rival.kill()
        rival.wait()
    if answer.waited is None:
        pytest.skip("the kernel does not tell who waits")
    assert answer.waited > 0.05
    assert 0.2 <= answer.awake < answer.seconds - 0.05


def test_where_the_kernel_does_not_tell_all_time_counts(measure, monkeypatch):
    answer = Answer([], bytearray(), seconds=3.0, cpu=1.0, waited=None)
    assert answer.awake == 3.0
    assert answer._replace(waited=1.5).awake == 1.5
    assert answer._replace(waited=2.5).awake == 1.0
    monkeypatch.setattr(channel, "SCHEDSTAT", "/nowhere/{}")
    assert measure(SLEEPS, clock="cpu").value >= 0.05


@pytest.mark.parametrize("settings", [{"processes": True}, {"candidate": harness.python("a.py", "f", device="cuda")}])
def test_it_is_refused_where_it_would_not_see_the_work(measure, settings):
    with pytest.raises(UsageError, match="the clock `cpu` does not see"):
        measure(SLEEPS, clock="cpu", **settings)
