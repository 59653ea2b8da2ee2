"""Whole campaigns with the real programs, against a model on loopback. `make agents` installs them and runs this."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from coding_server import coding_server, edits
from model_server import say
from support import run, write_source

from loopsmith import workflow
from loopsmith.agents.coding.presets import presets
from loopsmith.tracker import open_store

SET_X = edits("sed -i 's/^X=.*/X=15/' program.sh", "X is 15 now; a larger X is better.")
QUICKSTART = Path(__file__).parents[2] / "workflows" / "quickstart"
PRICE = {"input": 1, "output": 10}


def codex(url, monkeypatch):
    monkeypatch.setenv("LOOP_KEY", "a-planted-key")
    provider = f'{{name="loop", base_url="{url}/v1", wire_api="responses", env_key="LOOP_KEY"}}'
    args = ["-c", 'model_provider="loop"', "-c", f"model_providers.loop={provider}"]
    return {"program": "codex", "args": args, "model": "local", "env": ["LOOP_KEY"], "price": PRICE}


def opencode(url, monkeypatch):
    model = {"name": "m", "cost": PRICE, "limit": {"context": 100_000, "output": 4096}}
    options = {"baseURL": f"{url}/v1", "apiKey": "{env:LOOP_KEY}"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "loop", "options": options, "models": {"m": model}}
    monkeypatch.setenv("LOOP_KEY", "a-planted-key")
    monkeypatch.setenv("OPENCODE_CONFIG_CONTENT", json.dumps({"provider": {"loop": provider}}))
    return {"program": "opencode", "model": "loop/m", "env": ["LOOP_KEY"]}


def claude(url, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a-planted-key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", str(url))
    return {"program": "claude", "model": "claude-sonnet-4-5"}


def gemini(url, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "a-planted-key")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", str(url))
    return {"program": "gemini", "model": "gemini-2.5-pro"}


def copilot(url, monkeypatch):
    for name, value in {"BASE_URL": f"{url}/v1", "TYPE": "openai", "API_KEY": "a-planted-key"}.items():
        monkeypatch.setenv(f"COPILOT_PROVIDER_{name}", value)
    return {"program": "copilot", "model": "local", "price": PRICE}


def qwen(url, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-planted-key")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
    return {"program": "qwen-code", "model": "local", "price": PRICE}


def pi(url, monkeypatch):
    monkeypatch.setenv("LOOP_KEY", "a-planted-key")
    cost = {**PRICE, "cacheRead": 0, "cacheWrite": 0}
    model = {"id": "m", "name": "m", "reasoning": False, "input": ["text"], "cost": cost}
    provider = {"baseUrl": f"{url}/v1", "apiKey": "LOOP_KEY", "api": "openai-completions"}
    models = {**provider, "models": [{**model, "contextWindow": 100_000, "maxTokens": 4096}]}
    return {
        "program": "pi",
        "args": ["--provider", "loop"],
        "model": "m",
        "env": ["LOOP_KEY"],
        "files": {".pi/agent/models.json": {"providers": {"loop": models}}},
    }


def aider(url, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-planted-key")
    monkeypatch.setenv("OPENAI_API_BASE", f"{url}/v1")
    return {"program": "aider", "model": "openai/local", "price": PRICE, "args": ["program.sh"]}


def listing(asked):
    """Aider has no tools: its model answers with the whole file."""
    return say("program.sh\n```\nX=15\nY=0\n```")


PROGRAMS = {
    "codex": codex,
    "opencode": opencode,
    "claude": claude,
    "gemini": gemini,
    "copilot": copilot,
    "qwen": qwen,
    "pi": pi,
    "aider": aider,
}


def installed(name, monkeypatch):
    if folder := os.environ.get("LOOPSMITH_AGENTS"):
        monkeypatch.setenv("PATH", os.pathsep.join((folder, os.environ["PATH"])))
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed; `make agents` does that")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_real_program_does_a_whole_campaign(name, tmp_path, monkeypatch):
    installed(name, monkeypatch)
    users = tmp_path / "users"
    users.mkdir()
    monkeypatch.setenv("HOME", str(users))
    with coding_server(listing if name == "aider" else SET_X) as url:
        agent = {"kind": "cli", **PROGRAMS[name](url, monkeypatch)}
        source = tmp_path / "source"
        source.mkdir()
        for path, content in agent.get("files", {}).items():
            (source / "given.json").write_text(json.dumps(content))
            agent["files"] = {path: "given.json"}
        budget = {"rounds": 1, "cost_usd": 5, "per_worker": {"cost_usd": 2, "wall_clock": "3m"}}
        path = write_source(source, agent=agent, budget=budget, search={"candidates_per_round": 1})
        view = run(path)
    assert view["best"]["value"] == 15.0
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        (candidate,) = store.candidates(view["campaign"]["id"])
        kinds = [item.kind for item in store.artifacts(view["campaign"]["id"], candidate.id)]
    assert candidate.summary == ("" if name == "aider" else "X is 15 now; a larger X is better.")
    assert "transcript" in kinds
    told = "Write down at once what you learned" in json.dumps(url.requests)  # of the tool `note`
    assert told == (presets()[agent["program"]].tools is not None)
    sent = sum(len(json.dumps(body)) for body in url.requests) // 4
    used = view["usage"]
    assert sent * 0.6 < used["input_tokens"] <= sent * 1.1, "what the endpoint counted is in the ledger"
    assert used["output_tokens"] > 0
    assert used["cost_usd"] > 0
    assert list(users.iterdir()) == [], "the user's own settings are left alone"


@pytest.mark.parametrize("name", ["codex", "opencode"])
def test_a_real_program_does_the_quickstart(name, tmp_path, monkeypatch):
    installed(name, monkeypatch)
    source = Path(shutil.copytree(QUICKSTART, tmp_path / "quickstart"))
    larger = "sed -i 's/^SEGMENT = [0-9]*/SEGMENT = 524288/; s/^PATTERN = [0-9]*/PATTERN = 65536/' primes.py"
    with coding_server(edits(larger, "Larger segments.")) as url:
        agent = {"kind": "cli", **PROGRAMS[name](url, monkeypatch)}
        path = source / "WORKFLOW.md"
        path.write_text(path.read_text().replace("agent: {kind: tuner}", f"agent: {json.dumps(agent)}"))
        limits = ("budget.rounds=1", "search.candidates_per_round=1", "budget.cost_usd=5", "budget.wall_clock=1h")
        view = run(path, *limits, before=accept_noise)
    # On a machine that is busy elsewhere even twice as fast may not be shown to be faster.
    assert view["counts"]["kept"] + view["counts"]["discarded"] == view["counts"]["candidates"] == 1
    assert view["usage"]["cost_usd"] > 0


def accept_noise(context):
    context.accept_noise = True


def test_codex_keeps_to_its_own_sandbox_where_loopsmith_has_none(monkeypatch):
    installed("codex", monkeypatch)
    # Codex does not put its helpers under the folder of temporary files, and what is there it may write.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        outside = Path(folder, "outside")
        outside.mkdir()
        tries = edits(f"sed -i 's/^X=.*/X=15/' program.sh; echo x > {outside}/made")
        with coding_server(tries) as url:
            agent = {"kind": "cli", **codex(url, monkeypatch)}
            path = write_source(Path(folder, "source"), agent=agent, sandbox="off")
            view = run(path, "search.candidates_per_round=1")
        assert not (outside / "made").exists()
    assert view["best"]["value"] == 15.0


def acp(name, url, monkeypatch):
    """The settings of a program that speaks the Agent Client Protocol."""
    if name == "codex-acp":
        monkeypatch.setenv("OPENAI_API_KEY", "a-planted-key")
        provider = f'{{name="loop", base_url="{url}/v1", wire_api="responses", env_key="OPENAI_API_KEY"}}'
        return {"program": name, "args": ["-c", 'model_provider="loop"', "-c", f"model_providers.loop={provider}"]}
    given = {"gemini": gemini, "qwen": qwen, "claude-code-acp": claude}[name](url, monkeypatch)
    return {"program": name, "args": ["--model", given["model"]] if name == "gemini" else []}


@pytest.mark.parametrize("name", ["gemini", "qwen", "claude-code-acp", "codex-acp"])
def test_a_real_program_does_a_whole_campaign_over_acp(name, tmp_path, monkeypatch):
    installed(name, monkeypatch)
    users = tmp_path / "users"
    users.mkdir()
    monkeypatch.setenv("HOME", str(users))
    with coding_server(SET_X) as url:
        agent = {"kind": "acp", "cost_per_run": 0.25, **acp(name, url, monkeypatch)}
        budget = {"rounds": 1, "cost_usd": 5, "per_worker": {"cost_usd": 2, "wall_clock": "3m"}}
        path = write_source(tmp_path / "source", agent=agent, budget=budget, search={"candidates_per_round": 1})
        view = run(path)
    assert view["best"]["value"] == 15.0
    assert view["usage"]["cost_usd"] > 0
    told = "Write down at once what you learned" in json.dumps(url.requests)  # of the tool `note`
    assert told or name in (
        "gemini",
        "qwen",
    )  # whose models see such tools later, or on a search
    assert list(users.iterdir()) == [], "the user's own settings are left alone"
