"""Campaigns with several agents: who makes which candidate, and what happens when a provider is gone or limits."""

import json
import re
import threading

import pytest
from model_server import WRONG_KEY, by_turn, calls, fail, model_server, say
from support import run, write_source

from loopsmith import report, workflow
from loopsmith.agents.ensemble import with_names
from loopsmith.agents.registry import build
from loopsmith.campaign.generate.casting import returns_of
from loopsmith.errors import ProviderError, WorkflowError
from loopsmith.records import CampaignStatus, Status
from loopsmith.search.casting import Return
from loopsmith.tracker import open_store

PRICE = {"input": 1.0, "output": 10.0}
TUNER = {"kind": "tuner", "constants": {"X": {"low": 1, "high": 20}}}
SUBMIT = calls(submit={"hypothesis": "h", "summary": "s"})


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-planted-key")


def agent(url, kind="openai", **more):
    return {"kind": kind, "model": "local", "base_url": str(url), "price": PRICE, "max_tokens": 1000, **more}


def set_x(value):
    return by_turn([calls(bash={"command": f"sed -i 's/^X=.*/X={value}/' program.sh"}), SUBMIT])


def source(folder, agents, **settings):
    search = {"plan": False, **settings.pop("search", {})}
    return write_source(folder, agent=agents, search=search, **settings)


def candidates(path):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        campaign = store.campaigns()[0]
        return store.candidates(campaign.id), store.events(campaign.id)


def test_two_providers_work_in_one_campaign_each_with_its_own_price_and_name(tmp_path):
    with model_server(set_x(11)) as one, model_server(set_x(12)) as two:
        agents = [agent(one, weight=1), agent(two, weight=3, price={"input": 2, "output": 20})]
        view = run(source(tmp_path, agents, search={"candidates_per_round": 4}))
    made, _ = candidates(tmp_path / "WORKFLOW.md")
    names = [f"openai/local@{url.removeprefix('http://')}" for url in (one, two)]
    assert sorted(item.agent for item in made) == sorted([names[0], *[names[1]] * 3])
    assert view["best"]["value"] == 12.0
    cost = {item["model"]: item for item in view["usage"]["by_model"]}
    assert set(cost) == set(names)
    for name, price in zip(names, (1, 2), strict=True):
        item = cost[name]
        paid = (item["input_tokens"] * price + item["output_tokens"] * price * 10) / 1e6
        assert item["cost_usd"] == pytest.approx(paid)


def test_a_model_and_the_tuner_work_side_by_side(tmp_path):
    with model_server(set_x(12)) as url:
        agents = {"choose": "bandit", "agents": [agent(url, mode="patch"), TUNER]}
        path = source(tmp_path, agents, budget={"rounds": 3})
        run(path)
    made, _ = candidates(path)
    assert {item.agent for item in made} <= {"openai/local", "tuner"}
    assert len(made) == 6


def test_names_are_unique_and_a_name_given_twice_is_told():
    def front(*agents):
        settings = {
            "objective": {"metric": "x", "direction": "minimize"},
            "workspace": {"editable": ["a"]},
            "verify": {"command": "true"},
            "agent": list(agents),
        }
        return workflow.Settings.model_validate(settings)

    url = "http://127.0.0.1:1"
    names = [
        each.name
        for each in with_names(front(agent(url), agent(url), agent("http://b/v1"), agent(url, "anthropic")).agents)
    ]
    assert names == ["openai/local@127.0.0.1:1", "openai/local@127.0.0.1:1#2", "openai/local@b", "anthropic/local"]
    with pytest.raises(WorkflowError, match="two agents have the name `x`"):
        build(front(agent(url, name="x"), agent(url, name="x")))
    unpriced = agent(url, model="nobody-knows-it")
    del unpriced["price"]
    with pytest.raises(WorkflowError) as caught:
        build(front(unpriced, {**unpriced, "model": "nor-this"}))
    assert ["nobody-knows-it" in caught.value.problems[0], "nor-this" in caught.value.problems[1]] == [True, True]


def test_another_agent_stands_in_when_a_provider_refuses_for_good(tmp_path):
    with model_server([WRONG_KEY]) as bad, model_server(set_x(12)) as good:
        path = source(tmp_path, [agent(bad, name="bad"), agent(good, name="good")], budget={"rounds": 2})
        view = run(path)
    made, events = candidates(path)
    assert view["best"]["value"] == 12.0
    assert view["counts"]["candidates"] == 4
    assert len(bad.requests) == 1
    assert [item.agent for item in made[2:]] == ["good", "good"]
    (lost,) = [event for event in events if event.name == "agent.lost"]
    assert lost.data["agent"] == "bad"
    assert "refuses the key" in lost.data["error"]


def test_the_campaign_ends_when_no_provider_is_left_and_can_be_resumed(tmp_path):
    healthy = False

    def script(body):
        return set_x(15)(body) if healthy else WRONG_KEY

    with model_server(script) as one, model_server(script, delay=0.05) as two:
        path = source(tmp_path, [agent(one, name="one"), agent(two, "anthropic", name="two")])
        with pytest.raises(ProviderError, match="refuses the key"):
            run(path)
        with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
            campaign = store.campaigns()[0]
            assert (campaign.status, campaign.stop_reason) == (CampaignStatus.FAILED, "provider")
        healthy = True
        view = run(path)
    assert view["best"]["value"] == 15.0
    assert view["counts"]["candidates"] == 2


def test_a_rate_limit_costs_no_attempt_nor_turn_shows_in_status_and_others_go_on(tmp_path):
    seen = {}
    other_done = threading.Event()
    limited = fail(429, "slow down", type="rate_limit_error", retry_after="2.5")

    def slow(body):
        first = "slow" not in seen
        seen["slow"] = True
        return limited if first else set_x(12)(body)

    def other(body):
        answer = set_x(11)(body)
        if any(call["name"] == "submit" for call in answer["tool_calls"]):
            with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
                campaign = store.campaigns()[0]
                seen["status"] = report.status(store, campaign, process=1)
            other_done.set()
        return answer

    with model_server(slow) as one, model_server(other) as two:
        # One worker at a time: the second can only work in the place of the first.
        path = source(
            tmp_path,
            [agent(one, name="slow"), agent(two, name="other")],
            search={"candidates_per_round": 2, "workers": 1},
            budget={"rounds": 1, "per_worker": {"wall_clock": "2s", "turns": 2}},
        )
        view = run(path)
    assert other_done.is_set()
    made, events = candidates(path)
    assert {item.agent: item.attempt for item in made} == {"slow": 1, "other": 1}
    assert {item.finish_reason for item in made} == {"submitted"}
    assert view["best"]["value"] == 12.0
    assert list(seen["status"]["campaign"]["rate_limited"]) == ["slow"]
    assert re.search(r"waiting +rate limited: slow until \d\d:\d\d:\d\d UTC", report.summary(seen["status"]))
    assert view["campaign"]["rate_limited"] == {}
    names = [(event.name, event.candidate_id and event.candidate_id[-2:]) for event in events]
    assert names.index(("model.rate_limited", None)) < names.index(("candidate.generated", ".2"))
    assert names.index(("candidate.generated", ".2")) < names.index(("candidate.generated", ".1"))


def test_a_runner_up_that_is_kept_later_is_its_authors(tmp_path):
    with model_server(set_x(12)) as one, model_server([say("no")]) as two:
        path = source(tmp_path, [agent(one, name="one"), agent(two, name="two")])
        run(path)
    made, _ = candidates(path)
    first, second = made
    assert (first.agent, first.status, second.agent) == ("one", Status.KEPT, "two")
    found = returns_of(made, {first.id: 2.0, second.id: 1.0})
    assert found["one"] == Return(agent="one", candidates=1, kept=1, cost_usd=2.0)
    assert found["two"] == Return(agent="two", candidates=1, kept=0, cost_usd=1.0)


def test_a_patch_that_a_guardrail_refuses_is_mended_in_its_repair_turn(tmp_path):
    def block(value):
        return say(f"HYPOTHESIS: h\nFILE: program.sh\n<<<<<<< SEARCH\nX=10\n=======\n{value}\n>>>>>>> REPLACE\n")

    with model_server([block("X=15\nSEED=1"), block("X=15")]) as url:
        path = source(
            tmp_path, agent(url, mode="patch"), guardrails={"freeze": ["SEED"]}, search={"candidates_per_round": 1}
        )
        view = run(path)
    assert view["best"]["value"] == 15.0
    assert view["usage"]["calls"] == 2
    assert "guardrails.freeze" in json.dumps(url.requests[1])
