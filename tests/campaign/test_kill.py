"""kill -9 at every transition, with real processes: the tracker is killed before and after each of its commits."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killing import FOREVER, check_whole, killed_at, marked
from support import NOISY, run, setting_x, write_source

from loopsmith import workflow
from loopsmith.tracker import open_store


# A kill before a commit leaves what the commit before it did, files aside: 3, 7, ... lie between 1, 3, 5, ...
@pytest.mark.parametrize(("after", "first", "step"), [(False, 3, 4), (True, 1, 2)], ids=["before", "after"])
def test_a_campaign_killed_at_any_commit_goes_on_as_if_it_had_not_been(tmp_path, after, first, step):
    settings = {"budget": {"candidates": 3, "rounds": None}, "repeats": {"confirm": 12}, "agent": setting_x(20, 5, 30)}
    for commit in range(first, FOREVER, step):
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


@pytest.mark.parametrize("new", [False, True])
def test_what_a_killed_campaign_left_is_ended_and_removed_by_the_next_run(tmp_path, new):
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
    run(path, new=new)
    assert not marked(campaign)
    assert not any((tracker.parent / "work" / campaign).iterdir())


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
