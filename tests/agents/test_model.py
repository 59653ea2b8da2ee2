import asyncio
import subprocess
import sys

import pytest
from model_server import calls, fail, model_server, say
from model_worker import Ledger, model, settings
from pydantic import BaseModel, Field

from loopsmith.agents.conversation import complete_once
from loopsmith.agents.model import Tokens, Tool, ToolMessage, ToolResult, UserMessage
from loopsmith.agents.registry import build, build_model
from loopsmith.errors import WorkflowError
from loopsmith.workflow import AnthropicAgent, OpenAIAgent, Price
from loopsmith.workflow.agent import OtherAgent
from loopsmith.workflow.schema import Settings

KINDS = pytest.mark.parametrize("kind", ["anthropic", "openai", "responses"])


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
    assert (
        request["tool_choice"]
        == {
            "anthropic": {"type": "tool", "name": "plan"},
            "openai": {"type": "function", "function": {"name": "plan"}},
            "responses": {"type": "function", "name": "plan"},
        }[kind]
    )
    assert [row.role for row in ledger.rows] == ["planner"]


@KINDS
def test_an_answer_that_does_not_fit_is_asked_for_once_more(kind):
    with model_server([calls(plan={"ideas": 1}), calls(plan={"hypotheses": ["a"]})]) as url:
        assert run(plan(kind, url, Ledger())) == Plan(hypotheses=["a"])
    assert "`hypotheses`: field required" in str((url.requests[1].get("messages") or url.requests[1]["input"])[-1])


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


def chat_reply(message):
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return {"raw": {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}}


BARE_CALL = {"id": "1", "function": {"name": "look", "arguments": '{"at": 1}'}}
PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "hi"}]


@pytest.mark.parametrize(
    ("message", "text", "called"),
    [
        (None, "", []),
        ({"role": "assistant", "content": PARTS}, "hi", []),
        ({"role": "assistant", "content": None, "tool_calls": [BARE_CALL]}, "", [("look", {"at": 1})]),
    ],
)
def test_answers_of_servers_that_are_not_quite_openai_are_read(message, text, called):
    with model_server([chat_reply(message)]) as url:
        answer = run(model("openai", url).complete("s", [UserMessage(text="p")], ()))
    assert (answer.text, [(call.name, call.arguments) for call in answer.calls]) == (text, called)


def test_settings_reach_the_wire():
    with model_server([say("no")]) as url:
        for kind in ("anthropic", "openai"):
            one = model(kind, url, max_tokens=77, temperature=0.5)
            run(one.complete("s", [], []))
    claude, gpt = url.requests
    assert (claude["max_tokens"], claude["temperature"]) == (77, 0.5)
    assert (gpt["max_tokens"], gpt["temperature"]) == (77, 0.5)


CACHED = {"type": "ephemeral"}
SOME = (Tool(name="t", description="d", parameters={"type": "object"}),)


def test_system_prompt_brief_and_end_of_a_conversation_are_marked_for_the_cache():
    with model_server([say("no")]) as url:
        one = model("anthropic", url)
        run(one.complete("s", [UserMessage(text="brief")], SOME))
        run(one.complete("s", [UserMessage(shared="files", text="brief")], ()))
    talk, single = url.requests
    assert talk["system"] == [{"type": "text", "text": "s", "cache_control": CACHED}]
    assert talk["messages"][0]["content"] == [{"type": "text", "text": "brief", "cache_control": CACHED}]
    assert talk["cache_control"] == CACHED
    files, brief = single["messages"][0]["content"]
    assert (files["text"], files["cache_control"]) == ("files", CACHED)
    assert brief == {"type": "text", "text": "brief"}  # nobody reads it again, and writing it costs more
    assert "cache_control" not in single


def test_cached_tokens_are_counted_and_priced_as_the_provider_does():
    usage = {
        "input_tokens": 100,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 200,
        "output_tokens": 10,
    }
    with model_server([{**say("hi"), "usage": usage}]) as url:
        one = model("anthropic", url)
        tokens = run(one.complete("s", [], ())).tokens
    assert tokens == Tokens(input=1300, cached=1000, written=200, output=10)
    assert one.cost(tokens) == pytest.approx((100 * 3 + 1000 * 0.3 + 200 * 3 * 1.25 + 10 * 15) / 1e6)


def test_responses_count_cached_and_reasoning_tokens():
    usage = {
        "input_tokens": 1300,
        "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 0},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 1350,
    }
    with model_server([{**say("hi"), "usage": usage}]) as url:
        answer = run(model("responses", url).complete("s", [], ()))
    assert answer.tokens == Tokens(input=1300, cached=1000, output=50)
    (request,) = url.requests
    assert (request["store"], request["instructions"], request["max_output_tokens"]) == (False, "s", 8192)


def test_reasoning_is_given_back_to_responses_as_it_came():
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"}
    with model_server([{**calls(t={}), "blocks": [thought]}, say("done")]) as url:
        one = model("responses", url)
        answer = run(one.complete("s", [UserMessage(text="u")], SOME))
        result = ToolMessage(results=(ToolResult(call_id=answer.calls[0].id, text="r"),))
        run(one.complete("s", [UserMessage(text="u"), answer, result], SOME))
    _, reasoning, call, output = url.requests[1]["input"]
    assert reasoning == thought
    assert (call["call_id"], output["call_id"], output["output"]) == ("call_1_0", "call_1_0", "r")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"thinking": 2048}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ({"thinking": "adaptive"}, {"thinking": {"type": "adaptive"}}),
        ({"thinking": "off", "effort": "high"}, {"output_config": {"effort": "high"}}),
        ({"thinking": False}, {"thinking": {"type": "disabled"}}),
    ],
)
def test_thinking_and_effort_reach_anthropic(given, sent):
    with model_server([say("hi")]) as url:
        run(model("anthropic", url, **given).complete("s", [], SOME, force="t"))
    (request,) = url.requests
    assert {key: request.get(key) for key in sent} == sent
    assert ("tool_choice" in request) == (given["thinking"] in (False, "off"))  # a model that thinks cannot be forced


@pytest.mark.parametrize(
    ("kind", "sent"), [("openai", {"reasoning_effort": "low"}), ("responses", {"reasoning": {"effort": "low"}})]
)
def test_effort_reaches_openai(kind, sent):
    with model_server([say("hi")]) as url:
        run(model(kind, url, effort="low").complete("s", [], ()))
    assert url.requests[0].items() >= sent.items()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"thinking": 100}, "1024 or more"),
        ({"thinking": 9000}, "below max_tokens"),
        ({"thinking": 2000, "temperature": 1.0}, "no temperature"),
        ({"thinking": "hard"}, "neither off, adaptive nor a number"),
    ],
)
def test_thinking_that_cannot_work_is_told(given, words):
    with pytest.raises(ValueError, match=words):
        settings("anthropic", "http://127.0.0.1:1", **given)


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


@pytest.mark.parametrize("price", [None, Price(input=2, cached=1, output=4)])
def test_an_endpoint_that_counts_more_cached_tokens_than_tokens_is_charged_for_its_tokens(price):
    one = build_model(settings("openai", "http://127.0.0.1:1", model="gpt-4o", price=price))
    tokens = Tokens(input=1000, cached=1500, written=100, output=10)
    assert one.cost(tokens) == one.cost(Tokens(input=1000, cached=1000, output=10)) > 0


def test_a_given_price_wins_and_may_be_nothing():
    one = build_model(settings("openai", "http://127.0.0.1:1", model="gpt-4o", price=0))
    assert one.cost(Tokens(input=10**6, output=10**6)) == 0
    two = build_model(settings("openai", "http://127.0.0.1:1", price=Price(input=2, cached=1, output=4)))
    assert two.cost(Tokens(input=10**6, cached=500_000, output=10**6)) == pytest.approx(1 + 0.5 + 4)


def whole(agent, roles=None, **search):
    front = {
        "objective": {"metric": "x", "direction": "minimize"},
        "workspace": {"editable": ["a.py"]},
        "verify": {"command": "true"},
        "search": search,
        "roles": roles or {},
    }
    return Settings.model_validate({**front, "agent": agent})


def test_an_agent_is_built_by_its_entry_point_that_lends_its_model_to_the_roles():
    agent, roles = build(whole(settings("openai", "http://127.0.0.1:1")))
    assert agent.name == "openai/test-model"
    assert roles == {"planner": agent.model, "reflector": agent.model}
    assert "planner" not in build(whole(settings("openai", "http://127.0.0.1:1"), plan=False))[1]
    assert build(whole(settings("openai", "http://127.0.0.1:1"), candidates_per_round=1))[1] == {}


def test_each_role_may_have_its_own_model_and_one_without_any_is_a_problem():
    own = settings("openai", "http://127.0.0.1:1", model="small")
    roles = {"planner": {"model": own}, "reviewer": "on", "reflector": {"command": "cat"}}
    agent, models = build(whole(settings("openai", "http://127.0.0.1:1"), roles))
    assert models["planner"].name == "openai/small"
    assert models["reviewer"] is agent.model
    assert "reflector" not in models
    with pytest.raises(WorkflowError, match=r"roles.reviewer is on, but the agent has no model to lend"):
        build(whole({"kind": "tuner"}, {"reviewer": "on"}))


def test_an_agent_that_is_not_installed_is_named():
    agent = OtherAgent.model_construct(kind="gemini", options={})
    with pytest.raises(WorkflowError, match=r"no agent `gemini` is installed; there are: acp, anthropic, cli, openai"):
        build(whole({"kind": "tuner"}).model_copy(update={"agent": agent}))


def test_importing_agents_loads_no_sdk():
    code = "import sys, loopsmith.agents.loop; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"anthropic", "openai", "optuna", "genai_prices"} & set(done.stdout.split())
