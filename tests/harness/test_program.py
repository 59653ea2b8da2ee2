"""A candidate that is a program: it is measured, finds nothing to look up, and leaves nothing behind."""

import os
import time
from pathlib import Path

import pytest

from loopsmith import harness
from loopsmith.harness.lockdown import HIDDEN, MEMORY


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("golden").write_text("the right answer")
    Path("input").write_text("a question")
    return tmp_path


def test_it_reads_and_writes_as_it_likes_and_says_how_it_ended():
    ran = harness.run("cat input; cp input copy; echo oh >&2; exit 3", hide=["golden"])
    assert (ran.exit_code, ran.stdout, ran.stderr) == (3, b"a question", b"oh\n")
    assert Path("copy").read_text() == "a question"
    assert not ran.timed_out


def test_what_is_hidden_looks_empty_and_stays_so():
    ran = harness.run("cat golden; umount golden 2>/dev/null; cat golden; cp golden other; cat other", hide=["golden"])
    if HIDDEN in ran.missing:
        pytest.skip(HIDDEN)
    assert ran.stdout == b""
    assert Path("golden").read_text() == "the right answer"


def test_the_memory_of_the_verifier_cannot_be_read():
    ran = harness.run(f"cat /proc/{os.getpid()}/mem /proc/{os.getpid()}/environ /proc/$PPID/environ && echo read")
    if MEMORY in ran.missing:
        pytest.skip(MEMORY)
    assert b"read\n" not in ran.stdout


def test_its_time_is_limited_and_what_it_started_ends_with_it():
    ran = harness.run("(while :; do date >> alive; sleep 0.05; done) & sleep 60", timeout=0.5)
    assert ran.timed_out
    assert ran.exit_code
    size = Path("alive").stat().st_size
    time.sleep(0.3)
    assert Path("alive").stat().st_size == size


def test_time_and_memory_are_measured():
    python = "import time; x = bytearray(80_000_000); time.sleep(0.2); sum(range(10**6))"
    ran = harness.run(f'python3 -c "{python}"')
    assert ran.exit_code == 0, ran.stderr
    assert ran.seconds >= 0.2
    assert ran.cpu_seconds > 0
    assert ran.peak_bytes > 80_000_000


def test_its_environment_is_the_one_that_is_given():
    ran = harness.run("echo $WORD $HOME", env={"PATH": os.environ["PATH"], "WORD": "yes"})
    assert ran.stdout == b"yes\n"


def test_a_command_that_does_not_exist_ends_with_127():
    assert harness.run("no-such-program").exit_code == 127
