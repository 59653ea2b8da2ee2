"""Limits on real commands, with small bounds. A fork bomb is run only where the kernel itself holds it."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopsmith import process
from loopsmith.process import Limits, group
from loopsmith.workspace import Sandbox

MB = 1_000_000
SMALL = Limits(memory=200 * MB, processes=60, file_size=100 * MB, disk=30 * MB, cpu_time=1)
MARK = f"limits{os.getpid()}:"  # other processes of a test run have theirs
BOMB = "f() { f | f & }; f; sleep 1"
KINDS = ["bubblewrap", "landlock", "none"]


@pytest.fixture(scope="module", params=KINDS)
def sandbox(request):
    if request.param == "none":
        return Sandbox.detect("off", limits=SMALL)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "landlock":
            patch.setattr("shutil.which", lambda name: None)
        found = Sandbox.detect("auto", limits=SMALL)
    if found.kind != request.param:
        pytest.skip(f"no {request.param} here: {found.reason}")
    return found


@pytest.fixture
def run(sandbox, tmp_path):
    (tmp_path / "folder").mkdir()

    def run(command, limits=sandbox.limits, timeout=20.0):
        folder = tmp_path / "folder"
        argv = sandbox.wrap(sandbox.shell(command), folder=folder, network=False)
        done = process.run(
            argv,
            cwd=folder,
            env=process.clean_environment({}),
            timeout=timeout,
            log=tmp_path / "log",
            mark=MARK,
            limits=limits,
        )
        return asyncio.run(done)

    return run


def test_what_keeps_within_its_limits_is_left_alone(run):
    done = run(f"head -c 1000 /dev/zero > file; {sys.executable} -c 'bytearray(20_000_000)'; sleep 0.3; exit 3")
    assert (done.exit_code, done.limit) == (3, "")


def test_a_fork_bomb_ends_as_a_limit_and_nothing_of_it_lives(run, tmp_path):
    if not (process.can_group() or (os.getuid() and Path("/usr/bin/bwrap").exists())):
        pytest.skip("no control group can be made here, and a fork bomb that only we watch would disturb the machine")
    done = run(BOMB)
    assert "more than 60 processes and threads (verify.limits.processes)" in done.limit
    assert not done.ok
    assert process.sweep(MARK) == 0


def test_memory_of_all_processes_together_is_limited(run):
    hog = "import time; x = bytearray(60_000_000); time.sleep(10)"
    done = run(f"for i in 1 2 3 4 5; do {sys.executable} -c '{hog}' & done; wait")
    assert "memory" in done.limit
    assert "verify.limits.memory" in done.limit
    assert done.seconds < 10


def test_memory_that_processes_share_since_a_fork_counts_once(run):
    program = (
        "import os, time\nx = bytearray(120_000_000)\nfor i in range(4):\n  os.fork() or (time.sleep(1), os._exit(0))"
    )
    done = run(f"{sys.executable} -c '{program}'; sleep 1")
    assert (done.limit, done.exit_code) == ("", 0)


def test_memory_in_a_private_tmp_counts(run, sandbox):
    if sandbox.kind != "bubblewrap":
        pytest.skip("only bubblewrap gives a command memory file systems of its own")
    done = run("for i in 1 2 3 4 5; do head -c 60000000 /dev/zero > /dev/shm/$i; done; sleep 5")
    assert "verify.limits.memory" in done.limit


@pytest.mark.parametrize("gone", [False, True])
def test_filling_the_disk_is_ended(run, gone):
    """Also with files that have no name any more."""
    start = "exec 3> x; rm x;" if gone else ""
    done = run(f"{start} for i in $(seq 20); do head -c 4000000 /dev/zero >{'&3' if gone else '$i'}; done; sleep 5")
    assert "wrote more than 30,000,000 bytes to disk" in done.limit


def test_files_that_are_gone_do_not_count(run):
    done = run("for i in $(seq 20); do head -c 4000000 /dev/zero > x; rm x; sleep 0.02; done")
    assert (done.limit, done.exit_code) == ("", 0)


def test_a_file_does_not_grow_over_its_limit(run, tmp_path):
    done = run("head -c 150000000 /dev/zero > big", limits=None)
    assert not done.ok
    assert 90 * MB < (tmp_path / "folder/big").stat().st_size <= 100 * MB


def test_cpu_time_of_a_process_is_limited(run):
    done = run(f"{sys.executable} -c 'while True: pass'")
    assert done.exit_code == 128 + 24  # SIGXCPU
    assert not done.timed_out


def test_a_pipe_that_closes_ends_a_command_as_from_a_shell(run, tmp_path):
    """Also behind a launcher in Python, which ignores SIGPIPE itself."""
    run("(yes; echo $? > code) | head -1 > out")
    assert (tmp_path / "folder/code").read_text().strip() == "141"


def test_no_group_is_left_behind(run):
    if not process.can_group():
        pytest.skip("no control group can be made here")
    run("true")
    assert not list(group.place().glob(f"{group.NAME}{os.getpid()}.*"))


def test_the_groups_of_a_killed_loopsmith_are_removed():
    if not process.can_group():
        pytest.skip("no control group can be made here")
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = group.place() / f"{group.NAME}{dead.pid}.7"
    left.mkdir()
    group.place.cache_clear()
    assert group.place() is not None
    assert not left.exists()


def test_a_command_is_the_first_to_go_when_memory_runs_out(run, tmp_path):
    run("sleep 0.1; cat /proc/self/oom_score_adj > score")
    assert (tmp_path / "folder/score").read_text() == "1000\n"


def test_time_is_measured_by_a_clock_that_nobody_can_set(run, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0.3 <= run("sleep 0.3").seconds < 15
