"""A candidate that is asked again and again keeps its state, stands still in between, and is gone at the end."""

import time

import psutil
import pytest

from loopsmith import harness
from loopsmith.harness import lockdown

CANDIDATE = """
import os, threading, time

kept = []

def answer(what, *args):
    return globals()[what](*args)

def remember(value):
    kept.append(value)
    return sum(kept)

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def change(array):
    array += 1
    return array.sum()

def read(path):
    return os.listdir(path) if os.path.isdir(path) else open(path).read()

def spin():
    threading.Thread(target=burn, args=(60,), daemon=True).start()

def become(what):
    if what == "late":
        time.sleep(60)
    if what == "gone":
        os._exit(0)
    return {"wrong": 1 / 0 if what == "wrong" else lambda: 0}
"""


@pytest.fixture
def asked(tmp_path):
    """Sessions with the candidate above, for a `with`."""

    def asked(name="answer", **settings):
        (tmp_path / "candidate.py").write_text(CANDIDATE)
        return harness.session(harness.python("candidate.py", name), folder=tmp_path, **settings)

    return asked


def test_a_session_keeps_its_state_and_a_new_one_has_none(asked):
    with asked() as session:
        assert [session("remember", value) for value in (1, 2, 3)] == [1, 3, 6]
        assert session.seconds > 0
    with asked() as session:
        assert session("remember", 4) == 4


def test_arrays_travel_and_those_of_the_verifier_stay_as_they_are(asked):
    np = pytest.importorskip("numpy")
    mine = np.arange(6.0).reshape(2, 3)
    with asked() as session:
        assert session("change", mine) == 21
    assert mine.sum() == 15


def test_cpu_time_is_that_of_all_calls(asked):
    with asked() as session:
        before = session.cpu
        session("burn", 0.1)
        session("burn", 0.1)
        assert session.cpu - before >= 0.2


def test_it_stands_still_between_two_calls(asked):
    with asked() as session:
        session("spin")
        before = session.cpu
        time.sleep(0.3)
        assert session.cpu - before < 0.05


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("wrong", "ZeroDivisionError"),
        ("lazy", "function is no plain value"),
        ("gone", "ended without an answer"),
        ("late", "took longer than 5 s"),
    ],
)
def test_what_is_no_answer_is_rejected(asked, what, reason):
    with asked(timeout=5.0 if what == "late" else 20.0) as session:
        assert session("remember", 1) == 1
        with pytest.raises(harness.Rejected, match=reason):
            session("become", what)


def test_a_function_that_is_not_there_is_rejected(asked):
    with pytest.raises(harness.Rejected, match="has no attribute 'reply'"), asked("reply"):
        pass


def test_what_is_hidden_cannot_be_read_and_the_rest_can(asked, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "val.txt").write_text("secret")
    (tmp_path / "answers.txt").write_text("secret")
    (tmp_path / "open.txt").write_text("open")
    with asked() as session:
        kernel_refuses = lockdown.HIDDEN in session.missing
    with asked(hide=["no such file", "data", "answers.txt"]) as session:
        assert (lockdown.HIDDEN in session.missing) == kernel_refuses
        if lockdown.HIDDEN in session.missing:
            pytest.skip(lockdown.HIDDEN)
        assert session("read", "open.txt") == "open"
        assert "secret" not in session("read", "answers.txt")
        assert "val.txt" not in session("read", "data")
        with pytest.raises(harness.Rejected, match="FileNotFoundError"):
            session("read", str(tmp_path / "data" / "val.txt"))


def test_nothing_of_it_is_left_at_the_end(asked):
    before = set(psutil.Process().children(recursive=True))
    with asked() as session:
        session("spin")
        started = set(psutil.Process().children(recursive=True)) - before
        assert started
    _, left = psutil.wait_procs(started, timeout=20)  # the kernel takes a moment to end a namespace
    assert not [process for process in left if process.status() != psutil.STATUS_ZOMBIE]
