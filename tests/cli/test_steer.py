"""Steering from another terminal: a real campaign in a process of its own, and the commands beside it."""

import re
import signal

from running import ended, start, status, wait_for_event
from steer import requests, store_of
from support import setting_x, write_source

from loopsmith.live import RequestKind


def test_a_campaign_is_paused_changed_resumed_and_stopped_from_another_terminal(slow, loopsmith):
    process = start(slow)
    try:
        wait_for_event(process, "candidate.generated")
        paused = loopsmith("pause", "-w", slow)
        assert (paused.code, "is paused: what is under way ends" in paused.out) == (0, True)
        said = loopsmith("set", "-w", slow, "budget.rounds=2", "search.workers=1")
        assert said.out.splitlines() == [
            "budget.rounds is 2 now, and was 6",
            "asked; the campaign does it when its round has ended",
        ]
        view = status(loopsmith, slow)
        assert view["campaign"]["status"] == "paused"
        assert view["budget"]["rounds"]["limit"] == 2
        words = loopsmith("status", "-w", slow).out
        for part in ("paused", "set       budget.rounds=2", "asked     set search.workers=1", "loopsmith resume -w"):
            assert part in words, part
        assert loopsmith("resume", "-w", slow).out.endswith("goes on\n")
        assert loopsmith("resume", "-w", slow).code == 2
    finally:
        code, out = ended(process)
    assert code == 0
    assert "2 of 2 rounds used" in out
    assert status(loopsmith, slow)["steering"]["set"] == {"budget.rounds": "2", "search.workers": "1"}
    assert loopsmith("set", "-w", slow, "--reset", "budget.rounds").out.startswith("no process runs this campaign")
    for command in ("stop", "pause", "resume"):
        refused = loopsmith(command, "-w", slow)
        assert (refused.code, f"has ended, so there is nothing to {command}" in refused.err) == (2, True)


def test_a_campaign_killed_while_it_was_paused_goes_on_when_it_is_run_again(slow, loopsmith):
    process = start(slow)
    wait_for_event(process, "candidate.generated")
    assert loopsmith("pause", "-w", slow).code == 0
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert status(loopsmith, slow)["campaign"]["status"] == "interrupted"
    assert loopsmith("run", slow, "--set", "budget.rounds=1").code == 0
    assert requests(slow)[-1] == ("resume", "done", "it was run again")


def test_words_for_the_workers_are_listed_and_mistakes_are_told_at_once(tmp_path, loopsmith):
    path = write_source(tmp_path, agent=setting_x(11, 12))
    assert loopsmith("steer", "-w", path, "x").code == 2  # there is no campaign yet
    loopsmith("run", path)
    assert "no hints yet" in loopsmith("steer", "-w", path, "--list").out
    assert "it will be heard when `loopsmith run` goes on" in loopsmith("steer", "-w", path, "fuse the\ntwo loops").out
    listed = loopsmith("steer", "-w", path, "--list").out
    assert re.fullmatch(r" +1  waiting +fuse the two loops\n", listed)
    for arguments, words in (
        (["steer"], "give a hint"),
        (["steer", "x", "--list"], "give a hint"),
        (["steer", ""], "a hint needs words"),
        (["steer", "--withdraw", "3"], "there is no hint 3"),
        (["set"], "write it as KEY=VALUE"),
        (["set", "budget.rounds"], "--set budget.rounds: write it as KEY=VALUE"),
        (["set", "budget.wall_clok=1h"], "did you mean `budget.wall_clock`?"),
        (["set", "--reset", "budget.rounds"], "`budget.rounds` is not changed"),
        (["approve", "1"], "only a quarantined one"),
        (["reject", "7"], "there is no candidate `7`"),
    ):
        told = loopsmith(*arguments, "-w", path)
        assert (told.code, words in told.err) == (2, True), (arguments, told)
    assert len(requests(path)) == 1


def test_a_campaign_that_does_not_answer_is_told_of(tmp_path, loopsmith, monkeypatch):
    """Its tracker is elsewhere and says that it runs, but no process is to be seen."""
    path = write_source(tmp_path, agent=setting_x(11, 12))
    tracker = tmp_path / "elsewhere.db"
    loopsmith("run", path, "--tracker", tracker)
    monkeypatch.setattr("loopsmith.campaign.live.asking.PATIENCE", 0.0)
    from loopsmith.records import CampaignStatus
    from loopsmith.tracker import open_store

    with open_store(tracker) as store:
        store.set_campaign_status(store.campaigns()[0].id, CampaignStatus.RUNNING)
    told = loopsmith("stop", "-w", path, "--tracker", tracker)
    assert (told.code, "not answered yet" in told.err) == (4, True)
    with open_store(tracker) as store:
        (request,) = store.requests(store.campaigns()[0].id)
    assert (request.kind, request.by) == (RequestKind.STOP, "terminal")


def test_a_campaign_whose_workflow_is_broken_meanwhile_can_still_be_stopped(slow, loopsmith):
    process = start(slow)
    wait_for_event(process, "candidate.generated")
    whole = slow.read_text()
    slow.write_text("---\nname: [")
    assert loopsmith("stop", "-w", slow).code == 0
    code, _ = ended(process)
    slow.write_text(whole)
    assert (code, status(loopsmith, slow)["campaign"]["status"]) == (130, "stopped")
    with store_of(slow) as store:
        assert store.campaigns()[0].message == "stopped by a person"
