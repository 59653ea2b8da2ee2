"""`agent.kind: acp` with the real opencode, behind a scripted model on loopback."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from model_server import calls, say
from streaming_server import streaming_server
from support import run, write_source

from loopsmith import workflow as workflows
from loopsmith.tracker import open_store
from loopsmith.workspace import Sandbox

ROOT = Path(__file__).parents[2]
sandboxed = pytest.mark.skipif(not Sandbox.detect("auto").available, reason="bubblewrap makes no sandbox here")


@pytest.fixture
def opencode(monkeypatch):
    """The real program, from `.agents` or PATH; the model behind it is set by `provider`."""
    local = ROOT / ".agents/node_modules/.bin"
    if (local / "opencode").exists():
        monkeypatch.setenv("PATH", str(local), prepend=":")
    if shutil.which("opencode") is None:
        pytest.skip("opencode is not installed: npm install --prefix .agents opencode-ai")

    def provider(url):
        options = {"baseURL": str(url), "apiKey": "loopback"}
        fake = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"small": {}, "large": {}}}
        config = {"provider": {"fake": fake}, "model": "fake/small"}
        monkeypatch.setenv("OPENCODE_CONFIG_CONTENT", json.dumps(config))

    return provider


def turns(*answers):
    """A model that says these in turn, and a title where opencode asks for one; `FOLDER` is the worker's."""

    def script(body):
        if not body.get("tools"):
            return say("a title")
        spoken = sum(message["role"] == "assistant" for message in body["messages"])
        text = json.dumps(answers[min(spoken, len(answers) - 1)])
        prompt = json.dumps(body["messages"])
        folder = prompt.partition("You work unattended in ")[2].partition(";")[0]
        return json.loads(text.replace("FOLDER", folder))

    return script


def fake(behaviour):
    return [sys.executable, str(ROOT / "tests/acp_agent.py"), behaviour]


def source(tmp_path, **more):
    agent = more.pop("agent", {})
    if "kind" not in agent:
        agent = {"kind": "acp", "program": "opencode", "env": ["OPENCODE_CONFIG_CONTENT"], **agent}
    search = {"candidates_per_round": 1, "workers": 1, "plan": False}
    more["verify"] = {"read": [str(ROOT / "tests")], **more.get("verify", {})}
    return write_source(tmp_path, agent=agent, **{"search": search, **more})


def transcript(path):
    with open_store(workflows.load(path).state / "tracker.db", read_only=True) as store:
        campaign = store.campaigns()[0].id
        files = [item.path for item in store.artifacts(campaign, f"{campaign}.1") if item.kind == "transcript"]
    return [json.loads(line) for line in Path(files[0]).read_text().splitlines()]


def test_a_whole_campaign_by_opencode(tmp_path, opencode):
    script = turns(
        calls(read={"filePath": "FOLDER/program.sh"}),
        calls(edit={"filePath": "FOLDER/program.sh", "oldString": "X=10", "newString": "X=15"}),
        calls(bash={"command": "cat program.sh", "description": "look"}),
        calls(loopsmith_run_checks={}),
        calls(loopsmith_submit={"hypothesis": "a larger X", "summary": "X is 15", "lesson": "X matters"}),
        say("done"),
    )
    with streaming_server(script) as url:
        opencode(url)
        path = source(
            tmp_path,
            agent={"model": "fake/large", "cost_per_run": 0.25},
            budget={"rounds": 1, "cost_usd": 1},
            verify={"command": "sh verify.sh", "checks": ["grep -q X=15 program.sh || grep -q X=10 program.sh"]},
        )
        found = run(path)
    assert found["counts"]["kept"] == 1
    assert found["best"]["value"] == 15
    assert found["usage"]["cost_usd"] == 0.25
    assert [item["model"] for item in found["usage"]["by_model"]] == ["acp/opencode:fake/large"]
    assert {body["model"] for body in url.requests if body.get("tools")} == {"large"}
    records = transcript(path)
    asked = {record["of"]: record["allowed"] for record in records if record["kind"] == "Permission"}
    assert asked == {"edit": True, "execute": True}
    results = [message["content"] for message in url.requests[-1]["messages"] if message["role"] == "tool"]
    assert any("the checks pass; nothing was measured" in str(result) for result in results)


def test_opencode_does_the_quickstart(tmp_path, opencode):
    path = Path(shutil.copytree(ROOT / "workflows" / "quickstart", tmp_path / "quickstart")) / "WORKFLOW.md"
    larger = "sed -i 's/^SEGMENT = [0-9]*/SEGMENT = 524288/; s/^PATTERN = [0-9]*/PATTERN = 65536/' primes.py"
    script = turns(
        calls(bash={"command": larger, "description": "larger segments"}),
        calls(loopsmith_submit={"hypothesis": "larger segments", "summary": "fewer rounds of the outer loop"}),
        say("done"),
    )
    agent = {"kind": "acp", "program": "opencode", "env": ["OPENCODE_CONFIG_CONTENT"], "cost_per_run": 0.25}
    path.write_text(path.read_text().replace("agent: {kind: tuner}", f"agent: {json.dumps(agent)}"))
    limits = ("budget.rounds=1", "search.candidates_per_round=1", "budget.cost_usd=5", "budget.wall_clock=1h")
    with streaming_server(script) as url:
        opencode(url)
        found = run(path, *limits, before=lambda context: setattr(context, "accept_noise", True))
    # On a machine that is busy elsewhere even twice as fast may not be shown to be faster.
    assert found["counts"]["kept"] + found["counts"]["discarded"] == found["counts"]["candidates"] == 1
    assert found["usage"]["cost_usd"] == 0.25


@sandboxed
def test_an_agent_can_write_nowhere_but_in_its_folder(tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setenv("PASSED", str(outside))
    agent = {"kind": "acp", "argv": fake("looks-around"), "env": ["PASSED"]}
    path = source(tmp_path / "source", agent=agent, sandbox="required")
    found = run(path)
    words = json.loads(next(record["text"] for record in transcript(path) if record["kind"] == "Message"))
    assert words["outside"] == "refused"
    assert list(outside.iterdir()) == []
    assert found["best"]["value"] == 11


@sandboxed
def test_the_tools_are_reached_from_inside_the_sandbox(tmp_path):
    path = source(tmp_path, agent={"kind": "acp", "argv": fake("submits")}, sandbox="required")
    found = run(path)
    assert found["best"]["value"] == 14
    assert '"the checks pass; nothing was measured"' in [record.get("text") for record in transcript(path)]
    with open_store(workflows.load(path).state / "tracker.db", read_only=True) as store:
        candidate = store.candidates(store.campaigns()[0].id)[0]
    assert (candidate.hypothesis, candidate.finish_reason) == ("fourteen", "submitted")


def test_an_agent_of_unknown_cost_does_not_start_under_a_limit_of_money(tmp_path, loopsmith):
    agent = {"kind": "acp", "argv": fake("works")}
    path = source(tmp_path, agent=agent, budget={"rounds": 1, "per_worker": {"cost_usd": 1}})
    result = loopsmith("run", path)
    assert result.code == 2
    assert "nobody knows what this agent costs" in result.err
    assert not (tmp_path / ".loopsmith").exists()


def test_an_agent_that_is_not_logged_in_ends_the_campaign_and_says_so(tmp_path, loopsmith):
    path = source(tmp_path, agent={"kind": "acp", "argv": fake("logged-out")})
    result = loopsmith("run", path, "--plain")
    assert result.code == 4
    assert "is not logged in: log in to" in result.err


def test_opencode_is_kept_to_the_guardrails(tmp_path, opencode):
    outside = tmp_path / "outside.txt"
    script = turns(
        calls(edit={"filePath": "FOLDER/verify.sh", "oldString": "$X", "newString": "99"}),
        calls(webfetch={"url": f"{'http'}://127.0.0.1:9/x", "format": "text"}),
        calls(write={"filePath": str(outside), "content": "mine"}),
        calls(bash={"command": f"echo mine > {outside}", "description": "x"}),
        calls(edit={"filePath": "FOLDER/program.sh", "oldString": "X=10", "newString": "X=12"}),
        say("done"),
    )
    with streaming_server(script) as url:
        opencode(url)
        path = source(tmp_path / "source")
        found = run(path)
    asked = [(record["of"], record["allowed"]) for record in transcript(path) if record["kind"] == "Permission"]
    assert ("edit", False) in asked
    assert ("fetch", False) in asked
    assert not outside.exists()
    assert found["best"]["value"] == 12
