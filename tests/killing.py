"""Campaigns that are killed at a chosen write of the tracker, and what must be whole when they went on."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from support import run

from loopsmith import workflow
from loopsmith.process import MARK
from loopsmith.records import CampaignStatus, Status
from loopsmith.tracker import open_store
from loopsmith.tracker.database import Database
from loopsmith.workspace import Repository

FOREVER = 10**6


def killed_at(path: Path, commit: int, *, after: bool, prepare: Callable[[], None] = lambda: None) -> bool:
    """Run the campaign in a process of its own that kills itself at a commit; False when it ended before.

    Args:
        prepare: called in that process first, and may arm it otherwise.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            prepare()
            arm(commit, after=after)
            run(path)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    reap()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the campaign failed by itself"
    return False


def reap() -> None:
    """Take in what the killed process left dead: this process adopts it once it has run a command itself."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def arm(commit: int, *, after: bool) -> None:
    """Let this process die at the n-th write of the tracker."""
    count, writing = 0, Database.writing

    @contextmanager
    def deadly(self):
        nonlocal count
        count += 1
        with writing(self) as connection:
            yield connection
            if count == commit and not after:
                os.kill(os.getpid(), signal.SIGKILL)
        if count == commit and after:
            os.kill(os.getpid(), signal.SIGKILL)

    Database.writing = deadly


def check_whole(path: Path, value: float, candidates: int) -> None:
    """Nothing lost, nothing twice, tracker and git agree, no process and no folder left."""
    state = workflow.load(path).state
    with open_store(state / "tracker.db", read_only=True) as store:
        (campaign,) = store.campaigns()
        assert campaign.status is CampaignStatus.DONE
        found = store.candidates(campaign.id)
        assert [item.number for item in found] == list(range(1, candidates + 1))
        assert all(item.status.final for item in found)
        for item in found:
            assert store.decision(item.id) is not None
            assert item.status is not Status.CRASHED
        taught = Counter(item.candidate_id for item in store.reflections(campaign.id, limit=1000))
        assert taught == Counter(item.id for item in found)
        samples = Counter(
            (m.candidate_id, m.commit, m.phase, m.pair, m.metric) for m in store.measurements(campaign.id)
        )
        assert set(samples.values()) == {1}
        kept = store.kept(campaign.id)
        assert campaign.baseline_commit == kept[-1][0].commit
        repository = Repository.open(state)
        assert repository.baseline(campaign.id) == campaign.baseline_commit
        assert repository.read(campaign.baseline_commit, "program.sh").startswith(f"X={value:g}\n".encode())
        assert not any((state / "work" / campaign.id).iterdir())
        assert not marked(campaign.id)


def marked(campaign_id: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(f"{campaign_id}."):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found
