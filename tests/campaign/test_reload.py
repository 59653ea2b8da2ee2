"""The workflow's file changes while its campaign goes on."""

import os

import pytest
from model_server import by_turn, calls, model_server
from steer import events, heard, store_of, when
from support import run, setting_x, write_source

from loopsmith.campaign.live import reload, steering
from loopsmith.live import RequestKind


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key")
    monkeypatch.setattr(reload, "SETTLE", 0.0)
    monkeypatch.setattr(steering, "LOOK", 0.01)


def edited(path, *pairs):
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def run_and_edit(path, *pairs, rounds=1, overrides=()):
    """Run the campaign; its file is edited when so many rounds have ended."""
    seen = []

    def observe(name, candidate, data):
        if name == "round.finished":
            seen.append(data["number"])
            if len(seen) == rounds:
                edited(path, *pairs)

    return run(path, *overrides, before=lambda context: context.observers.append(observe))


def source(tmp_path, rounds=1, **front):
    return write_source(tmp_path, agent=setting_x(*range(11, 60)), budget={"rounds": rounds}, **front)


def test_a_larger_budget_is_heard_before_the_smaller_one_ends_the_campaign(tmp_path):
    path = source(tmp_path)
    view = run_and_edit(path, ("rounds: 1", "rounds: 3"), ("workers: 2", "workers: 1"))
    assert view["counts"]["candidates"] == 6
    assert view["budget"]["rounds"]["limit"] == 3
    (event,) = events(path, "workflow.changed")
    assert event["keys"] == ["budget.rounds", "search.workers"]
    assert event["before"] != event["after"]
    with store_of(path) as store:
        assert store.campaigns()[0].workflow_text == path.read_text()
    run(path)
    assert len(events(path, "workflow.changed")) == 1


def test_a_limit_of_tokens_that_a_worker_met_and_that_the_file_raises_does_not_end_the_campaign(tmp_path):
    look, end = calls(bash={"command": "echo >> program.sh"}), calls(submit={"hypothesis": "h", "summary": "s"})
    with model_server(by_turn([look] * 6 + [end])) as url:
        agent = {"kind": "openai", "model": "m", "base_url": f"{url}/v1", "max_tokens": 1000}
        agent["price"] = {"input": 1.0, "output": 10.0}
        settings = {"search": {"candidates_per_round": 1, "plan": False}, "budget": {"rounds": 2, "tokens": 7500}}
        path = write_source(tmp_path, agent=agent, **settings)
        view = run_and_edit(path, ("tokens: 7500", "tokens: 900000"))
    assert view["campaign"]["stop_reason"] == "rounds"
    assert view["counts"]["candidates"] == 2


def test_a_limit_that_leaves_a_worker_without_a_change_does_not_end_the_campaign_where_the_file_raises_it(tmp_path):
    look, end = calls(bash={"command": "true"}), calls(submit={"hypothesis": "h", "summary": "s"})
    change = calls(bash={"command": "echo >> program.sh"})
    with model_server(by_turn([look] * 6 + [change, end])) as url:
        agent = {"kind": "openai", "model": "m", "base_url": f"{url}/v1", "max_tokens": 1000}
        agent["price"] = {"input": 1.0, "output": 10.0}
        settings = {"search": {"candidates_per_round": 2, "workers": 1, "plan": False}}
        path = write_source(tmp_path, agent=agent, budget={"rounds": 1, "tokens": 7500}, **settings)

        def raise_it(context):
            when(context, "worker.called", 1, lambda: edited(path, ("tokens: 7500", "tokens: 900000")))

        view = run(path, before=raise_it)
    assert view["campaign"]["stop_reason"] == "rounds"
    assert (view["counts"]["candidates"], view["counts"]["failed"]) == (2, 0)


def test_what_the_command_line_says_keeps_winning(tmp_path):
    path = source(tmp_path)
    view = run_and_edit(
        path,
        ("rounds: 1", "rounds: 9"),
        ("candidates_per_round: 2", "candidates_per_round: 1"),
        overrides=["budget.rounds=2"],
    )
    assert view["counts"]["candidates"] == 3


def test_what_a_person_set_holds_until_the_file_says_something_else_for_the_same_key(tmp_path):
    path = source(tmp_path, rounds=2)

    def before(context):
        wish = {"key": "budget.rounds", "value": "3"}
        when(context, "round.planned", None, lambda: heard(context, RequestKind.SET, **wish))
        when(context, "candidate.decided", 1, lambda: edited(path, ("workers: 2", "workers: 1")))
        when(context, "candidate.decided", 3, lambda: edited(path, ("rounds: 2", "rounds: 4")))

    view = run(path, before=before)
    assert view["counts"]["candidates"] == 8
    assert [event["keys"] for event in events(path, "workflow.changed")] == [["search.workers"], ["budget.rounds"]]
    assert events(path, "setting.changed")[-1] == {"key": "budget.rounds", "old": "3", "new": "4", "text": None}


def test_the_prompt_and_the_agent_of_the_next_round_are_those_of_the_file(tmp_path):
    answer = by_turn([calls(bash={"command": "echo >> program.sh"}), calls(submit={"hypothesis": "h", "summary": "s"})])
    with model_server(answer) as url:
        agent = {"kind": "openai", "model": "first", "base_url": f"{url}/v1", "price": {"input": 1.0, "output": 10.0}}
        path = write_source(
            tmp_path, agent=agent, search={"candidates_per_round": 1, "plan": False}, budget={"rounds": 2}
        )
        run_and_edit(path, ("model: first", "model: second"), ("{{ brief }}", "Be bold. {{ brief }}"))
    said = [(body["model"], "Be bold." in str(body["messages"])) for body in url.requests]
    assert said == [("first", False)] * 2 + [("second", True)] * 2
    assert events(path, "workflow.changed")[0]["keys"] == ["agent.model", "prompt"]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (("direction: maximize", "direction: minimize"), "`objective.direction` cannot change in a campaign"),
        (("runs: 2", "runs: 3"), "`calibrate.runs` takes effect only when a campaign is started"),
    ],
)
def test_a_change_that_makes_results_incomparable_or_comes_too_late_is_refused_once(tmp_path, pair, words):
    path = source(tmp_path, rounds=3)
    view = run_and_edit(path, pair, ("workers: 2", "workers: 1"))
    (event,) = events(path, "workflow.refused")
    assert words in event["reason"]
    assert events(path, "workflow.changed") == []
    assert view["counts"]["candidates"] == 6
    assert view["objective"]["direction"] == "maximize"


def test_an_agent_that_cannot_work_is_refused_and_the_old_one_goes_on(tmp_path):
    usage = {"events": [{"when": {"type": "end"}, "means": "completed"}]}
    agent = {"kind": "cli", "argv": ["echo", '{"type": "end"}'], "usage": usage}
    path = write_source(tmp_path, agent=agent, budget={"rounds": 2})
    view = run_and_edit(path, ("- echo", "- no-such-program"))
    (event,) = events(path, "workflow.refused")
    assert "`no-such-program` is not installed" in event["reason"]
    assert view["counts"]["candidates"] == 4


@pytest.mark.parametrize("broken", ["---\nname: [", "\xff\xfe", None, "---\nbudget: {rounds: 0}\n---\n"])
def test_a_broken_file_changes_nothing_and_is_said_once(tmp_path, broken):
    path = source(tmp_path, rounds=3)
    whole = path.read_text()

    def observe(name, candidate, data):
        if name == "round.finished" and data["number"] == 1:
            path.unlink() if broken is None else path.write_text(broken, encoding="latin-1")
        elif name == "round.finished" and data["number"] == 2:
            if broken is not None:
                path.write_text(broken, encoding="latin-1")  # again
            else:
                path.write_text(whole.replace("rounds: 3", "rounds: 4"))

    view = run(path, before=lambda context: context.observers.append(observe))
    (event,) = events(path, "workflow.invalid")
    assert str(path) in event["reason"]
    assert view["counts"]["candidates"] == (8 if broken is None else 6)


def test_a_file_that_is_being_written_is_left_for_the_next_round(tmp_path, monkeypatch):
    path = source(tmp_path, rounds=2)
    whole = path.read_text()

    writing = iter([whole.replace("rounds: 2", "rounds: 3")])

    async def settle():
        for text in writing:
            path.write_text(text)

    monkeypatch.setattr(reload, "settle", settle)

    def observe(name, candidate, data):
        if name == "round.finished" and data["number"] == 1:
            path.write_text("---\nhalf")

    view = run(path, before=lambda context: context.observers.append(observe))
    assert events(path, "workflow.invalid") == []
    assert view["counts"]["candidates"] == 6


def test_a_workflow_that_only_was_touched_changes_nothing(tmp_path):
    path = source(tmp_path, rounds=2)
    run_and_edit(path, ("rounds: 2", "rounds: 2"))
    with store_of(path) as store:
        names = {event.name for event in store.events(store.campaigns()[0].id)}
    assert not [name for name in names if name.startswith("workflow.")]
