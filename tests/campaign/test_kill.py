"""kill -9 at every transition, with real processes: the tracker is killed before and after each of its commits."""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from kills import killed_at
from support import NOISY, run, setting_x, write_source

from loopsmith import workflow
from loopsmith.process import MARK
from loopsmith.records import CampaignStatus, Status
from loopsmith.tracker import open_store
from loopsmith.workspace import Repository

FOREVER = 10**6


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


# What a kill before a commit leaves differs from the commit before it only by files, so that fewer of them will do.
@pytest.mark.parametrize(("after", "step"), [(False, 4), (True, 1)], ids=["before a commit", "after a commit"])
def test_a_campaign_killed_at_any_commit_goes_on_as_if_it_had_not_been(tmp_path, after, step):
    settings = {"budget": {"candidates": 3, "rounds": None}, "repeats": {"confirm": 12}, "agent": setting_x(20, 5, 30)}
    for commit in range(1, FOREVER, step):
        path = write_source(tmp_path / str(commit), command=NOISY, **settings)
        killed = killed_at(path, commit, after=after)
        run(path)
        check_whole(path, value=30, candidates=3)
        if not killed:
            break
    assert commit > 30, "a campaign of three candidates has more transitions than that"


def test_one_campaign_survives_a_kill_every_few_commits(tmp_path):
    path = write_source(tmp_path, budget={"rounds": 2}, agent=setting_x(20, 5, 30, 25))
    kills = 0
    while killed_at(path, 9 + 3 * kills, after=kills % 2 == 0):
        kills += 1  # and later each time: a run that ends before its first candidate is done gets nowhere
    assert kills > 2
    check_whole(path, value=30, candidates=4)


def test_what_a_killed_campaign_left_running_is_ended_by_the_next_run(tmp_path):
    slow = {"kind": "scripted", "commands": ["sleep 300 & sleep 300", "sed -i 's/^X=.*/X=11/' program.sh"]}
    path = write_source(tmp_path, agent=slow, budget={"candidates": 2}, sandbox="off")
    code = "import sys, pathlib, support; support.run(pathlib.Path(sys.argv[1]))"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], env=env)
    tracker = workflow.load(path).state / "tracker.db"
    try:
        wait_for(lambda: tracker.exists() and sleeping(tracker))
    finally:
        process.kill()
        process.wait()
    campaign = sleeping(tracker)
    assert campaign, "the worker's processes outlive a loopsmith that was killed without a sandbox"
    path.write_text(path.read_text().replace("sleep 300 & sleep 300", "echo done"))
    run(path)
    assert not marked(campaign)


def sleeping(tracker: Path) -> str | None:
    with open_store(tracker, read_only=True) as store:
        campaigns = store.campaigns()
        return campaigns[0].id if campaigns and len(marked(campaigns[0].id)) >= 2 else None


def wait_for(condition, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except Exception:
            pass
        time.sleep(0.05)
    raise AssertionError("it did not happen")
