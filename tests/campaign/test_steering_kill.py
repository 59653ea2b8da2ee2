"""What a person asks of a campaign that is killed, and of the one that comes after it."""

import json
import shutil

import pytest
from killing import FOREVER, killed_at
from steer import asked_before, events, quarantining, requests, store_of
from support import run, setting_x, write_source

from loopsmith import workflow
from loopsmith.campaign.live import asking
from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import UsageError
from loopsmith.live import RequestKind
from loopsmith.records import CampaignStatus

pytestmark = pytest.mark.usefixtures("quick_steering")


def test_whatever_is_asked_of_a_campaign_that_is_killed_at_any_commit_is_done_and_answered_once(tmp_path):
    path = quarantining(tmp_path / "source", 40, 12, 13)
    run(path, "budget.rounds=1")
    shutil.copytree(path.parent, tmp_path / "before", symlinks=True)
    for commit in range(1, FOREVER, 11):
        shutil.rmtree(path.parent)
        shutil.copytree(tmp_path / "before", path.parent, symlinks=True)
        for kind, data in (
            (RequestKind.STEER, {"text": "raise X"}),
            (RequestKind.SET, {"key": "budget.rounds", "value": "2"}),
            (RequestKind.SET, {"key": "memory.brief_tokens", "value": "900"}),
            (RequestKind.STEER, {"withdraw": 1}),
        ):
            asked_before(path, kind=kind, **data)
        with store_of(path, read_only=False) as store:  # as if it was asked while the campaign ran
            campaign = store.campaigns()[0]
            store.ask(campaign.id, RequestKind.APPROVE, {"candidate": f"{campaign.id}.1"}, by="page")
        killed = killed_at(path, commit, after=commit % 2 == 0)
        view = run(path)
        assert [done for _, done, _ in requests(path)] == ["done"] * 5
        assert [event["key"] for event in events(path, "setting.changed")] == ["budget.rounds", "memory.brief_tokens"]
        assert (len(events(path, "steer.given")), len(events(path, "steer.withdrawn"))) == (1, 1)
        assert [event["verdict"] for event in events(path, "candidate.reviewed")] == ["kept"]
        assert view["counts"]["candidates"] == 2
        assert view["steering"]["set"] == {"budget.rounds": "2", "memory.brief_tokens": "900"}
        assert json.dumps(view["steering"]["waiting"]) == "[]"
        if not killed:
            break
    assert commit > 15


def test_what_was_asked_of_a_run_that_died_is_not_done_to_the_next(tmp_path):
    path = write_source(tmp_path, agent=setting_x(11, 12, 13, 14))
    run(path)
    with store_of(path, read_only=False) as store:
        for kind in (RequestKind.PAUSE, RequestKind.STOP):
            store.ask(store.campaigns()[0].id, kind, by="terminal")
    assert run(path, "budget.rounds=2")["counts"]["candidates"] == 4
    assert {(done, answer) for _, done, answer in requests(path)} == {
        ("refused", "the run that it was meant for had ended")
    }


def test_a_killed_campaign_does_not_run_while_another_one_of_its_folder_does(tmp_path, loopsmith):
    path = write_source(tmp_path, agent=setting_x(11, 12))
    assert killed_at(path, 12, after=True)
    loaded = workflow.load(path)
    with open_campaign(loaded, StateFolder(loaded.state), new=True) as context:
        old = context.store.campaigns()[-1]
        assert (old.status, old.id != context.id) == (CampaignStatus.RUNNING, True)
        for each, state in ((old, "interrupted"), (context.campaign, "running")):
            shown = loopsmith("status", "-w", path, "--campaign", each.id, "--json").out
            assert json.loads(shown)["campaign"]["status"] == state
        for kind in (RequestKind.STOP, RequestKind.PAUSE):
            with pytest.raises(UsageError, match=f"no process runs {old.id}"):
                asking.ask(context.store, old, kind, by="terminal", state=context.state)
        later = asking.ask(context.store, old, RequestKind.STEER, {"text": "x"}, by="terminal", state=context.state)
        said = asking.standing(later, asking.listening(old, context.state))
        assert said.startswith("no process runs this campaign; it will be heard")
