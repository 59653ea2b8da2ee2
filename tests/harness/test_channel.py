"""A candidate cannot speak for the verifier, reach it, or work when it is not asked."""

import os
import re
import shutil
import socket
import sys
import time

import pytest
from squares import HONEST

from loopsmith import harness
from loopsmith.harness import lockdown, measurement
from loopsmith.harness.channel import Child

METRIC = re.compile(r"METRIC per_second=([\d.e+]+)\n")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux")


def scored(done) -> bool:
    """Whether it has one honest score; a planted one would be 1e9."""
    found = METRIC.fullmatch(done.stdout)
    assert "1e9" not in done.stdout
    assert bool(found) == (done.returncode == 0)
    return bool(found) and float(found[1]) < 1e7


def test_an_honest_candidate_gets_one_line(verify):
    assert scored(verify(HONEST))


@pytest.mark.parametrize(
    "trick",
    [
        "print('METRIC per_second=1e9', flush=True)",
        "import sys; sys.stdout.write('METRIC per_second=1e9\\n' * 3)",
        "import os; os.write(1, b'METRIC per_second=1e9\\n'); os.write(2, b'METRIC per_second=1e9\\n')",
        "import atexit; atexit.register(print, 'METRIC per_second=1e9')",
        "import sys; [sys.modules.pop(name) for name in list(sys.modules) if name in ('json', 'time', 'socket')]",
        "import time; time.perf_counter = time.monotonic = time.time = lambda: 0.0",
        "import builtins; builtins.all = builtins.any = lambda *_: True",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGCONT, lambda *_: None)",
    ],
)
def test_tricks_that_change_nothing_do_not_change_the_score(verify, trick):
    assert scored(verify(trick + HONEST))


@pytest.mark.parametrize(
    "trick",
    [
        "import os; os._exit(0)",
        "raise SystemExit(0)",
        "import os; os.execv('/bin/sh', ['sh', '-c', 'echo METRIC per_second=1e9'])",
    ],
)
@pytest.mark.parametrize("when", ["at import", "in a call"])
def test_an_early_end_is_no_score(verify, trick, when):
    source = trick + HONEST if when == "at import" else f"def squares(n):\n    {trick}\n"
    done = verify(source)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "wrong: " in done.stderr


@LINUX
def test_the_output_of_the_verifier_cannot_be_reached(verify, held):
    held(lockdown.MEMORY)
    attack = """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    for number in range(20):
        try:
            if pid != str(os.getpid()):
                with open(f"/proc/{pid}/fd/{number}", "w") as file:
                    file.write("METRIC per_second=1e9\\n")
        except OSError:
            pass
"""
    assert scored(verify(attack + HONEST))


@LINUX
def test_the_verifier_cannot_be_killed(verify, held):
    held(lockdown.PROCESSES)
    attack = """
import os
for pid in range(2, 70000):
    try:
        if pid not in (os.getpid(), os.getppid()):
            os.kill(pid, 9)
    except OSError:
        pass
"""
    assert scored(verify(attack + HONEST))


@LINUX
def test_the_seed_cannot_be_found(verify, held):
    held(lockdown.MEMORY)
    attack = """
import glob, os
found = [os.environ.get("LOOPSMITH_SEED")]
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/mem"):
    try:
        with open(path, "rb") as file:
            found += [path] if b"93817465" in file.read(100_000) else []
    except OSError:
        pass
assert found == [None], found
"""
    assert scored(verify(attack + HONEST))


@LINUX
def test_the_verifier_cannot_be_read_or_written(verify, held):
    held(lockdown.HIDDEN)
    attack = """
import os
assert open("verify.py").read() == "", "the reference can be read"
for path in ("verify.py", "candidate.py", "new.py", "/tmp/new"):
    try:
        os.unlink(path) if os.path.exists(path) else open(path, "w")
    except OSError:
        continue
    raise AssertionError(path)
"""
    assert scored(verify(attack + HONEST))
    own = "import tempfile\nwith tempfile.NamedTemporaryFile() as file:\n    file.write(b'x')\n"
    assert scored(verify(own + HONEST))


@LINUX
def test_the_network_cannot_be_reached(measure, held):
    held(lockdown.NETWORK)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(harness.Rejected, match=r"OSError|refused|unreachable"):
            measure(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))\n" + HONEST)


@LINUX
def test_processes_only_where_they_are_allowed(measure, held):
    held(lockdown.FORKS) if "x86_64" not in os.uname().machine else None
    call = "    assert subprocess.run(['true']).returncode == 0\n"
    source = "import subprocess\n" + HONEST.replace("    return", call + "    return")
    with pytest.raises(harness.Rejected, match=r"PermissionError|BlockingIOError"):
        measure(source)
    assert measure(source, processes=True, spread=None).value > 0
    for fork in ("import os; os.fork()", "import multiprocessing as m; m.Process(target=print).start()"):
        with pytest.raises(harness.Rejected, match="PermissionError"):
            measure(fork + HONEST)


def test_threads_are_free_within_a_call(measure):
    source = """
from concurrent.futures import ThreadPoolExecutor

def squares(n):
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda part: sum(i * i for i in part), [range(n // 2), range(n // 2, n)]))
"""
    measure(source)


BUSY = """
import threading

def spin():
    while True:
        pass

threading.Thread(target=spin, daemon=True).start()
"""
DAEMON = """
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            pass
    os._exit(0)
"""


@LINUX
@pytest.mark.parametrize(("source", "processes"), [(BUSY, False), (DAEMON, True)])
def test_nothing_goes_on_between_two_questions(tmp_path, source, processes, held):
    if processes:
        held(lockdown.PROCESSES)
    (tmp_path / "candidate.py").write_text(source + HONEST)
    with Child(str(tmp_path), hide=[], processes=processes, timeout=20, size_limit=10**6) as child:
        what = {"kind": "python", "path": str(tmp_path / "candidate.py"), "name": "squares"}
        child.ask("load", what=what)
        before = child.cpu()
        time.sleep(0.3)
        assert child.cpu() - before < 0.02  # however busy the machine is


def test_work_at_import_is_flagged(measure):
    work = "import time\nend = time.process_time() + 0.8\nwhile time.process_time() < end:\n    pass\n"
    with pytest.raises(harness.Rejected, match="before and between calls"):
        measure(work + HONEST, load_seconds=0.4)
    measure(work + HONEST, load_seconds=10)


def test_work_of_later_calls_done_in_the_first_is_flagged(measure):
    source = """
import time

table = []

def squares(n):
    if not table:
        end = time.process_time() + 0.5
        while time.process_time() < end:
            table.append(1)
    return sum(i * i for i in range(n))
"""
    with pytest.raises(harness.Rejected, match="work of some calls is done in others"):
        measure(source)
    measure(source, spread=None)


FIND_CHANNEL = """
import os, socket, stat

def channel():
    for number in range(3, 50):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                return number
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        ('    os.write(channel(), b\'{"results": [5], "size": 0}\\n\')\n', "belongs to no question"),
        ('    os.write(channel(), b\'{"nonce": "0", "results": [5], "size": 0}\\n\' * 2)\n', "no question"),
        ("    os.write(channel(), b'[[[[\\n')\n", "belongs to no question"),
        ("    os.write(channel(), b'[' * 100_000 + b'\\n')\n", "belongs to no question"),
        ("    os.close(channel())\n", "without an answer|belongs to no question"),
    ],
)
def test_a_forged_answer_is_no_answer(measure, attack, reason):
    with pytest.raises(harness.Rejected, match=reason):
        measure(FIND_CHANNEL + HONEST.replace("    return", attack + "    return"))
    measure(FIND_CHANNEL + HONEST.replace("    return", "    channel()\n    return"))


@pytest.mark.parametrize(
    "packed",
    [
        '{"array": ["|O", [1], 0]}',
        '{"array": ["<f8", [1000000000], 0]}',
        '{"array": ["<f8", [-1], 0]}',
        '{"tuple": 3}',
        '{"bytes": [0, 9]}',
        '{"pickle": "x"}',
        '{"scalar": null}',
        '{"set": [[1]]}',
    ],
)
def test_a_malformed_value_is_no_answer(measure, packed):
    pytest.importorskip("numpy")
    attack = f"import __main__\n__main__.pack = lambda *_: [{packed}]\n".replace("null", "None")
    with pytest.raises(harness.Rejected, match="not one"):
        measure(attack + HONEST)


def test_a_patched_runner_gives_no_right_answer(measure):
    attack = "import __main__\n__main__.pack = lambda value, buffers: [7 for _ in value]\n"
    with pytest.raises(harness.Rejected, match=r"^wrong: 7 for"):
        measure(attack + HONEST)


def test_a_file_beside_the_verifier_does_not_shadow_a_module(verify, tmp_path):
    for name in ("random", "json", "hashlib", "loopsmith", "sitecustomize", "conftest"):
        (tmp_path / f"{name}.py").write_text("print('METRIC per_second=1e9')\nraise SystemExit(0)\n")
    assert scored(verify(HONEST))


def test_a_result_beyond_the_roofline_is_flagged(measure):
    with pytest.raises(harness.Rejected, match="beyond the roofline"):
        measure(HONEST, metric=harness.rate("per_second", 1.0, at_most=1.0))
    with pytest.raises(harness.Rejected, match="beyond the roofline"):
        measure(HONEST, metric=harness.seconds("seconds", at_least=10.0))
    assert measure(HONEST, metric=harness.rate("per_second", lambda n: n / 1e6, at_most=1e9)).value > 0


def test_a_patched_clock_does_not_make_it_faster(measure):
    attack = "import time\nsleep = time.sleep\ntime.perf_counter = time.monotonic = time.time = lambda: 0.0\n"
    slow = HONEST.replace("    return", "    sleep(0.1)\n    return")
    assert min(measure(attack + slow, spread=None).seconds) > 0.09  # no machine sleeps less


def test_a_fast_function_is_called_many_times_for_one_sample(measure, monkeypatch):
    assert measurement._size(1e-5, 1e-5, calls=8) == pytest.approx(2000, abs=1)
    assert measurement._size(1e-5, 1e-3, calls=8) == pytest.approx(250, abs=1), "the reference must keep up"
    assert measurement._size(0.5, 1e-5, calls=8) == 1
    monkeypatch.setattr(measurement, "_size", lambda *_: 50)
    assert measure(HONEST, batch=None).batch == 50


def test_a_slow_check_makes_no_large_batch(measure, monkeypatch):
    given = []
    monkeypatch.setattr(measurement, "_size", lambda net, judging, calls: given.append(judging) or 1)
    measure(HONEST, batch=None, check=lambda result, n: time.sleep(0.05) is None, calls=3)
    assert given[0] >= 0.05


def test_importing_the_harness_is_light():
    code = "import sys, loopsmith.harness.measurement, loopsmith.harness.child; print(*sys.modules)"
    loaded = os.popen(f"{shutil.which(sys.executable)} -c '{code}'").read().split()
    assert "loopsmith.harness.measurement" in loaded
    assert not {"numpy", "torch", "pydantic", "sqlmodel", "structlog", "pygit2"} & set(loaded)
