"""What a person asks of a campaign while it goes on, and what the campaign does about it."""

import asyncio

import pytest
from model_server import model_server
from steer import ask, asked_before, events, heard, model, quarantining, requests, script, store_of, when
from support import NOISY, run, setting_x, write_source

from loopsmith import workflow
from loopsmith.campaign.campaign import run_campaign
from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import UsageError
from loopsmith.live import RequestKind, RequestStatus
from loopsmith.records import CampaignStatus, Phase, Status
from loopsmith.report import status
from loopsmith.search.budget import End

pytestmark = pytest.mark.usefixtures("quick_steering")


async def until(condition):
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def opened(path, *overrides):
    loaded = workflow.load(path, overrides)
    return open_campaign(loaded, StateFolder(loaded.state))


def waits(context):
    """Whether somebody stands at the gate of a pause."""
    return context.pause.on and bool(context.pause._over._waiters)


def test_a_paused_campaign_finishes_what_is_under_way_and_starts_nothing(tmp_path):
    path = write_source(tmp_path, agent=setting_x(11, 12, 13), search={"workers": 1}, budget={"rounds": 2})
    with opened(path) as context:
        store = context.store
        seen = {}

        async def watched():
            when(context, "candidate.generated", 1, lambda: heard(context, RequestKind.PAUSE))
            running = asyncio.create_task(run_campaign(context))
            await until(lambda: len(context.pause._over._waiters) == 2)  # the run of c1, and the worker of c2
            seen["status"] = status(store, store.campaign(context.id), process=1)["campaign"]["status"]
            seen["states"] = [item.status for item in store.candidates(context.id)]
            seen["screens"] = store.measurements(context.id, phase=Phase.SCREEN)
            heard(context, RequestKind.PAUSE)
            ask(context, RequestKind.RESUME)
            return await running

        assert asyncio.run(watched()).reason == "rounds"
    assert seen == {"status": "paused", "states": [Status.VERIFYING, Status.PLANNED], "screens": ()}
    assert [(kind, done) for kind, done, _ in requests(path)] == [
        ("pause", "done"),
        ("pause", "done"),
        ("resume", "done"),
    ]
    assert requests(path)[1][2].endswith("is paused already")
    assert (len(events(path, "campaign.paused")), len(events(path, "campaign.resumed"))) == (1, 1)


def test_a_pause_does_not_part_a_pair(tmp_path):
    path = write_source(tmp_path, command=NOISY, agent=setting_x(30), search={"candidates_per_round": 1})
    with opened(path) as context:
        pairs = []

        async def watched():
            when(context, "candidate.confirming", 1, lambda: when(context, "verifier.ran", 1, stop_here))
            running = asyncio.create_task(run_campaign(context))
            await until(lambda: waits(context))
            found = context.store.measurements(context.id, phase=Phase.CONFIRM)
            pairs.append([item.pair for item in found])
            heard(context, RequestKind.RESUME)
            await running

        def stop_here():
            heard(context, RequestKind.PAUSE)

        asyncio.run(watched())
        assert pairs == [[0, 0]]
        assert context.store.candidates(context.id)[0].status is Status.KEPT


def test_paused_time_does_not_count_and_a_stop_ends_a_paused_campaign(tmp_path, monkeypatch):
    path = write_source(tmp_path, agent=setting_x(11, 12), budget={"wall_clock": "1h"})
    with opened(path) as context:

        async def watched():
            when(context, "round.planned", None, lambda: heard(context, RequestKind.PAUSE))
            running = asyncio.create_task(run_campaign(context))
            await until(lambda: waits(context))
            begun = context.pause._since
            monkeypatch.setattr("loopsmith.campaign.live.pause.time.monotonic", lambda: begun + 100_000)
            ask(context, RequestKind.STOP)
            return await running

        end = asyncio.run(watched())
        monkeypatch.undo()
        assert end == End(reason="stopped", message="stopped by a person")
        assert context.store.campaign(context.id).elapsed < 1000
    with store_of(path) as store:
        assert store.campaigns()[0].status is CampaignStatus.STOPPED
        assert [item.status for item in store.candidates(store.campaigns()[0].id)] == [Status.PLANNED, Status.PLANNED]
    assert run(path)["campaign"]["status"] == "done"  # a person who runs it again wants it to run
    assert requests(path)[-1] == ("resume", "done", "it was run again")
    assert len(events(path, "campaign.resumed")) == 1


def test_a_model_is_not_asked_while_the_campaign_is_paused_and_that_costs_a_worker_no_time(tmp_path):
    with model_server(script("a larger X")) as url:
        path = write_source(tmp_path, agent=model(url), search={"candidates_per_round": 1, "plan": False})
        with opened(path) as context:
            seen = []

            async def watched():
                when(context, "worker.called", 1, lambda: heard(context, RequestKind.PAUSE))
                running = asyncio.create_task(run_campaign(context))
                await until(lambda: waits(context))
                seen.append(len(url.requests))
                heard(context, RequestKind.RESUME)
                await running

            asyncio.run(watched())
    assert seen == [1]
    assert len(url.requests) == 2


def test_a_pause_during_a_profile_keeps_the_planner_from_being_asked(tmp_path):
    with model_server(script("a larger X")) as url:
        path = write_source(tmp_path, agent=model(url), roles={"profile": {"command": "echo much time in X"}})
        with opened(path) as context:
            seen = []

            async def watched():
                when(context, "profile.running", None, lambda: heard(context, RequestKind.PAUSE))
                running = asyncio.create_task(run_campaign(context))
                await until(lambda: waits(context))
                seen.extend(url.requests)
                heard(context, RequestKind.RESUME)
                await running

            asyncio.run(watched())
    assert seen == []
    assert url.requests


def test_what_cannot_be_done_is_refused(tmp_path):
    path = write_source(tmp_path, agent=setting_x(11, 12))
    run(path, before=lambda c: when(c, "verifier.testing", None, lambda: heard(c, RequestKind.RESUME)))
    ((_, done, answer),) = requests(path)
    assert (done, answer.endswith("is not paused")) == ("refused", True)
    for kind in (RequestKind.STOP, RequestKind.PAUSE, RequestKind.RESUME):
        with pytest.raises(UsageError, match=r"tiny-\w+ has ended, so there is nothing to"):
            asked_before(path, kind=kind)
    for data, words in (({"text": " \n"}, "needs words"), ({"text": "x" * 1001}, "at most 1000 characters")):
        with pytest.raises(UsageError, match=words):
            asked_before(path, kind=RequestKind.STEER, **data)
    for key, value, words in (
        ("budget.walls", "1h", "--set budget.walls: unknown key `budget.walls`"),
        ("budget.rounds", "0", "`budget.rounds` must be at least 1"),
        ("budget.wall_clock", "soon", "is not a duration"),
        ("objective.target", "3", "would not be comparable"),
        ("verify.timeout", "3s", "would not be comparable"),
        ("workspace", "{editable: [x]}", "would not be comparable"),
        ("sandbox", "off", "takes effect only when a campaign is started"),
        ("guardrails.network", "allow", "takes effect only when a campaign is started"),
    ):
        with pytest.raises(UsageError, match=words):
            asked_before(path, kind=RequestKind.SET, key=key, value=value)
    with pytest.raises(UsageError, match="is not changed"):
        asked_before(path, kind=RequestKind.SET, key="budget.rounds")
    assert len(requests(path)) == 1


def test_a_whole_section_is_set_but_not_with_what_a_campaign_is_started_with(tmp_path):
    path = write_source(tmp_path, agent=setting_x(11, 12), budget={"rounds": 2})

    def before(context):
        for key, value in (("guardrails", "{network: allow}"), ("guardrails", "{max_changed_lines: 7}")):
            when(context, "round.planned", None, lambda a=key, b=value: heard(context, RequestKind.SET, key=a, value=b))

    run(path, before=before)
    (_, refused, why), (_, done, _) = requests(path)
    assert (refused, done) == ("refused", "done")
    assert why.startswith("`guardrails.network` takes effect only when a campaign is started")


# Settings.


def test_a_budget_that_is_set_counts_at_once_is_shown_and_holds_for_later_runs(tmp_path):
    path = write_source(tmp_path, agent=setting_x(*range(11, 20)), budget={"rounds": 5})
    more = {"key": "budget.rounds", "value": "1"}
    view = run(path, before=lambda c: when(c, "round.planned", None, lambda: heard(c, RequestKind.SET, **more)))
    assert view["campaign"]["message"] == "1 of 1 rounds used (budget.rounds)"
    assert view["budget"]["rounds"]["limit"] == 1
    assert view["steering"]["set"] == {"budget.rounds": "1"}
    assert requests(path) == [("set", "done", "budget.rounds is 1 now, and was 5")]
    (event,) = events(path, "setting.changed")
    assert event == {"key": "budget.rounds", "old": "5", "new": "1", "text": "1", "filed": 5}
    assert run(path)["counts"]["candidates"] == 2
    path.write_text(path.read_text().replace("{{ brief }}", "{{ brief }} Good luck."))
    assert run(path)["counts"]["candidates"] == 2  # the workflow says nothing new of this key
    path.write_text(path.read_text().replace("rounds: 5", "rounds: 2"))
    view = run(path)
    assert view["counts"]["candidates"] == 4
    assert view["steering"]["set"] == {}
    assert events(path, "setting.changed")[-1] == {"key": "budget.rounds", "old": "1", "new": "2", "text": None}


def test_a_setting_is_given_back_to_the_workflow(tmp_path):
    path = write_source(tmp_path, agent=setting_x(*range(11, 20)), budget={"rounds": 2})

    def before(context):
        when(context, "verifier.testing", None, lambda: heard(context, RequestKind.SET, key="budget.rounds", value="1"))
        when(context, "round.planned", None, lambda: heard(context, RequestKind.SET, key="budget.rounds"))

    view = run(path, before=before)
    assert view["counts"]["candidates"] == 4
    assert requests(path)[1] == ("set", "done", "budget.rounds is 2 again, as the workflow says")


def test_other_settings_count_from_the_next_round_on_each_on_top_of_those_before(tmp_path):
    path = write_source(tmp_path, agent=setting_x(*range(11, 30)), budget={"rounds": 2})

    def asks(context):
        ask(context, RequestKind.SET, key="search.policy", value="beam")
        ask(context, RequestKind.SET, key="search.beam", value="3")
        ask(context, RequestKind.SET, key="search.candidates_per_round", value="3")
        ask(context, RequestKind.SET, key="agent.commands", value=str(["sed -i s/^X=.*/X=99/ program.sh"] * 5))

    view = run(path, before=lambda c: when(c, "round.planned", None, lambda: asks(c)))
    assert view["counts"]["candidates"] == 5
    assert [done for _, done, _ in requests(path)] == ["done"] * 4
    assert requests(path)[0][2] == "search.policy is beam now, and was greedy"
    assert view["best"]["value"] == 99.0


def test_a_setting_whose_agent_cannot_work_is_refused_and_the_old_one_goes_on(tmp_path):
    path = write_source(tmp_path, agent=setting_x(*range(11, 30)), budget={"rounds": 2})
    agent = "{kind: cli, program: codex, argv: [no-such-program]}"
    view = run(
        path, before=lambda c: when(c, "round.planned", None, lambda: ask(c, RequestKind.SET, key="agent", value=agent))
    )
    ((_, done, answer),) = requests(path)
    assert (done, "`no-such-program` is not installed" in answer) == ("refused", True)
    assert view["counts"]["candidates"] == 4


# Reviews.


def test_a_candidate_is_approved_when_the_round_has_ended_and_rejected_at_once(tmp_path):
    path = quarantining(tmp_path, 40, 45, 50, 99)

    def before(context):
        when(context, "candidate.decided", 1, lambda: ask(context, RequestKind.APPROVE, candidate="1"))
        when(context, "candidate.decided", 4, lambda: heard(context, RequestKind.REJECT, candidate="c4"))

    view = run(path, "guardrails.max_gain=1.9x", before=before)
    assert view["counts"] == {**dict.fromkeys(view["counts"], 0), "kept": 3, "discarded": 1, "candidates": 4}
    assert view["best"]["value"] == 50.0
    assert [answer for _, _, answer in requests(path)] == [
        "candidate 1 is kept, and is the baseline now",
        "candidate 4 is discarded",
    ]
    assert [event["verdict"] for event in events(path, "candidate.reviewed")] == ["kept", "discarded"]


def test_while_a_campaign_is_paused_between_rounds_a_candidate_can_be_approved(tmp_path):
    path = quarantining(tmp_path, 40, 12)
    with opened(path) as context:

        async def watched():
            when(context, "round.finished", None, lambda: heard(context, RequestKind.PAUSE))
            running = asyncio.create_task(run_campaign(context))
            await until(lambda: waits(context))
            ask(context, RequestKind.APPROVE, candidate="1")
            ask(context, RequestKind.SET, key="memory.brief_tokens", value="900")
            await until(lambda: [done for _, done, _ in requests(path)] == ["done"] * 3)
            assert waits(context)
            heard(context, RequestKind.RESUME)
            await running

        asyncio.run(watched())
        assert context.store.candidates(context.id)[0].status is Status.KEPT
        assert context.settings.memory.brief_tokens == 900


def test_an_approval_waits_for_the_round_that_decides_and_a_second_one_is_refused(tmp_path):
    path = quarantining(tmp_path, 40, 12, 13)

    def both(context):
        heard(context, RequestKind.APPROVE, candidate="1")
        heard(context, RequestKind.APPROVE, candidate="1")
        assert context.store.candidates(context.id)[0].status is Status.QUARANTINED

    run(
        path,
        before=lambda c: (
            when(c, "candidate.confirming", 2, lambda: both(c)) or when(c, "candidate.screened", 2, lambda: both(c))
        ),
    )
    found = requests(path)
    assert found[0][1] == "done"
    assert {done for _, done, _ in found[1:]} == {"refused"}
    assert "only a quarantined one can be reviewed" in found[1][2]


def test_without_a_process_a_review_is_done_at_once_and_recorded(tmp_path):
    path = quarantining(tmp_path, 40)
    run(path)
    done = asked_before(path, kind=RequestKind.APPROVE, candidate="c1")
    assert (done.status, done.answer) == (RequestStatus.DONE, "candidate 1 is kept, and is the baseline now")
    with pytest.raises(UsageError, match="candidate 1 is kept; only a quarantined one"):
        asked_before(path, kind=RequestKind.REJECT, candidate="c1")
    with pytest.raises(UsageError, match="there is no candidate"):
        asked_before(path, kind=RequestKind.REJECT, candidate="c9")


# Kills.
