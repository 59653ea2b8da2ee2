import asyncio
import subprocess
import sys

import pytest
from model_server import calls, fail, model_server, say
from model_worker import Ledger, model, settings
from pydantic import BaseModel, Field

from loopsmith.agents import build, build_model
from loopsmith.agents.conversation import complete_once
from loopsmith.agents.model import Tokens
from loopsmith.errors import WorkflowError
from loopsmith.workflow import AnthropicAgent, OpenAIAgent, Price
from loopsmith.workflow.agent import OtherAgent
from loopsmith.workflow.schema import Settings

KINDS = pytest.mark.parametrize("kind", ["anthropic", "openai"])


class Plan(BaseModel):
    """The hypotheses of the round."""

    hypotheses: list[str] = Field(description="one for each worker")


async def plan(kind, url, ledger):
    return await complete_once(
        model(kind, url), Plan, role="planner", system="s", prompt="p", reserve=ledger.reserve, settle=ledger.settle
    )


run = asyncio.run


@KINDS
def test_one_structured_answer_is_a_forced_call_in_the_ledger(kind):
    ledger = Ledger()
    with model_server([calls(plan={"hypotheses": ["a", "b"]})]) as url:
        assert run(plan(kind, url, ledger)) == Plan(hypotheses=["a", "b"])
    (request,) = url.requests
    forced = {"type": "tool", "name": "plan"}, {"type": "function", "function": {"name": "plan"}}
    assert request["tool_choice"] in forced
    assert [row.role for row in ledger.rows] == ["planner"]


@KINDS
def test_an_answer_that_does_not_fit_is_asked_for_once_more(kind):
    with model_server([calls(plan={"ideas": 1}), calls(plan={"hypotheses": ["a"]})]) as url:
        assert run(plan(kind, url, Ledger())) == Plan(hypotheses=["a"])
    assert "`hypotheses`: field required" in str(url.requests[1]["messages"][-1])


@KINDS
def test_no_structured_answer_is_none(kind):
    with model_server([say("no idea")]) as url:
        assert run(plan(kind, url, Ledger())) is None
    assert len(url.requests) == 2


def test_a_call_written_out_as_text_counts():
    with model_server([say('Here: ```json\n{"hypotheses": ["a"]}\n```')]) as url:
        assert run(plan("openai", url, Ledger())) == Plan(hypotheses=["a"])


@KINDS
def test_a_model_that_cannot_be_forced_is_asked_without(kind):
    refusal = fail(400, "Thinking may not be enabled when tool_choice forces tool use.", type="invalid_request_error")
    with model_server([refusal, calls(plan={"hypotheses": ["a"]})]) as url:
        assert run(plan(kind, url, Ledger())) == Plan(hypotheses=["a"])
    assert "tool_choice" not in url.requests[1]


@KINDS
@pytest.mark.filterwarnings("error")
def test_a_model_outlives_its_event_loop(kind):
    with model_server([say("hi")]) as url:
        one = model(kind, url)
        for _ in range(3):
            assert run(one.complete("s", [], [])).text == "hi"
        assert one._connection.client.is_closed()


def test_settings_reach_the_wire():
    with model_server([say("no")]) as url:
        for kind in ("anthropic", "openai"):
            one = model(kind, url, max_tokens=77, temperature=0.5)
            run(one.complete("s", [], []))
    claude, gpt = url.requests
    assert (claude["max_tokens"], claude["temperature"], claude["cache_control"]) == (77, 0.5, {"type": "ephemeral"})
    assert (gpt["max_tokens"], gpt["temperature"]) == (77, 0.5)


@KINDS
def test_the_key_is_sent_and_only_a_private_endpoint_may_do_without(kind, monkeypatch):
    monkeypatch.setenv("KEY_FOR_TESTS", "sk-1")
    monkeypatch.delenv(f"{kind.upper()}_API_KEY", raising=False)
    with model_server([say("hi")]) as url:
        run(model(kind, url, api_key="$KEY_FOR_TESTS").complete("s", [], []))
        run(model(kind, url).complete("s", [], []))
    assert [headers["authorization"] for headers in url.headers] == ["Bearer sk-1", "Bearer none"]


@pytest.mark.parametrize("settings_class", [AnthropicAgent, OpenAIAgent])
def test_a_missing_key_and_an_unknown_price_are_both_told_before_any_call(settings_class, monkeypatch):
    kind = settings_class.model_fields["kind"].annotation.__args__[0]
    monkeypatch.delenv(f"{kind.upper()}_API_KEY", raising=False)
    with pytest.raises(WorkflowError) as caught:
        build_model(settings_class(kind=kind, model="nobody-knows-it"))
    key, price = caught.value.problems
    assert f"${kind.upper()}_API_KEY" in key
    assert "price" in price
    assert "`nobody-knows-it`" in price


def test_a_named_key_that_is_not_set_is_an_error_even_for_a_private_endpoint(monkeypatch):
    monkeypatch.delenv("KEY_FOR_TESTS", raising=False)
    with pytest.raises(WorkflowError, match=r"\$KEY_FOR_TESTS"):
        build_model(settings("openai", "http://127.0.0.1:1", api_key="$KEY_FOR_TESTS"))


@pytest.mark.parametrize(("kind", "name"), [("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-4o")])
def test_listed_prices_know_cached_tokens(kind, name):
    one = build_model(settings(kind, "http://127.0.0.1:1", model=name, price=None))
    fresh, cached = one.cost(Tokens(input=1000)), one.cost(Tokens(input=1000, cached=1000))
    assert 0 < cached < fresh
    assert one.cost(Tokens(output=1000)) > fresh
    assert one.cost(Tokens(input=1000, written=1000)) >= fresh


def test_a_given_price_wins_and_may_be_nothing():
    one = build_model(settings("openai", "http://127.0.0.1:1", model="gpt-4o", price=0))
    assert one.cost(Tokens(input=10**6, output=10**6)) == 0
    two = build_model(settings("openai", "http://127.0.0.1:1", price=Price(input=2, cached=1, output=4)))
    assert two.cost(Tokens(input=10**6, cached=500_000, output=10**6)) == pytest.approx(1 + 0.5 + 4)


def whole(agent, **search):
    front = {
        "objective": {"metric": "x", "direction": "minimize"},
        "workspace": {"editable": ["a.py"]},
        "verify": {"command": "true"},
        "search": search,
    }
    return Settings.model_validate({**front, "agent": agent})


def test_an_agent_is_built_by_its_entry_point_with_its_model_as_planner():
    agent, planner = build(whole(settings("openai", "http://127.0.0.1:1")))
    assert agent.name == "openai/test-model"
    assert planner is agent.model
    assert build(whole(settings("openai", "http://127.0.0.1:1"), plan=False))[1] is None
    assert build(whole(settings("openai", "http://127.0.0.1:1"), candidates_per_round=1))[1] is None


def test_an_agent_that_is_not_installed_is_named():
    agent = OtherAgent.model_construct(kind="gemini", options={})
    with pytest.raises(WorkflowError, match=r"no agent `gemini` is installed; there are: anthropic, cli, openai"):
        build(whole({"kind": "tuner"}).model_copy(update={"agent": agent}))


def test_importing_agents_loads_no_sdk():
    code = "import sys, loopsmith.agents.loop; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"anthropic", "openai", "optuna", "genai_prices"} & set(done.stdout.split())
