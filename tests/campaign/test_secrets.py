"""Keys planted wherever a campaign could pick them up, and everything that it wrote searched for them."""

import io
import sqlite3
from pathlib import Path

import pygit2
import pytest
import structlog
from model_server import by_turn, calls, model_server
from support import EXACT, run, write_source

from loopsmith import log, workflow

AGENT = "the-agents-own-k3y"  # looks like nothing; known because it is the agent's
ENVIRONMENT = "v3ry pri\\vate 'quoted' \"value\""  # of a variable whose name sounds secret
INLINE = "inl1ne-w0rkflow-key"  # written into the workflow itself
UNKNOWN = "sk-proj-" + "Zz09_" * 12  # nobody's we know, but it looks like a key
PLANTED = {"agent": AGENT, "environment": ENVIRONMENT, "inline": INLINE, "unknown": UNKNOWN}


@pytest.fixture
def everything(tmp_path, monkeypatch):
    """The source and the state of a campaign that met every key, the log of it, and what its model was told."""
    monkeypatch.setenv("OPENAI_API_KEY", AGENT)
    monkeypatch.setenv("DEPLOY_TOKEN", ENVIRONMENT)
    hidden = tmp_path / "keys"
    hidden.mkdir()
    for name, key in PLANTED.items():
        (hidden / name).write_text(key)
    leak = "cat keys/agent; echo; cat keys/environment; echo; cat keys/inline; echo; cat keys/unknown; echo"
    words = f"{AGENT} {ENVIRONMENT} {INLINE} {UNKNOWN}"
    script = by_turn(
        [
            calls(bash={"command": f"{leak}; echo '{UNKNOWN}'"}),
            calls(text=words, bash={"command": "sed -i 's/^X=.*/X=$(bad/' program.sh"}),
            calls(
                submit={
                    "hypothesis": f"use {words}",
                    "summary": words,
                    "tried": words,
                    "lesson": words,
                    "try_next": words,
                    "expected_effect": words,
                }
            ),
        ]
    )
    stream = io.StringIO()
    log.configure("debug", stream=stream)
    with model_server(script) as url:
        path = write_source(
            tmp_path / "source",
            command=f"{leak} >&2\n{EXACT}",
            agent={
                "kind": "openai",
                "model": "local",
                "base_url": str(url),
                "price": 0,
            },
            workspace={"link": ["keys"]},
            verify={"env": {"SERVICE_API_KEY": INLINE}, "checks": ["sh verify.sh"]},
            search={"candidates_per_round": 1, "plan": False},
            budget={"rounds": 2},
        )
        (path.parent / "keys").symlink_to(hidden)
        view = run(path)
    assert view["counts"]["candidates"] == 2
    yield path, stream.getvalue(), url.requests
    structlog.reset_defaults()
    log._secrets.clear()


def test_no_key_stands_in_anything_that_a_campaign_wrote(everything):
    path, lines, requests = everything
    state = workflow.load(path).state
    found = {}
    for file in filter(Path.is_file, state.rglob("*")):
        found[str(file)] = file.read_bytes().decode("utf-8", "replace")
    tracker = sqlite3.connect(state / "tracker.db")
    for (table,) in tracker.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        found[f"table {table}"] = str(tracker.execute(f'SELECT * FROM "{table}"').fetchall())
    tracker.close()
    repository = pygit2.Repository(str(state / "repository.git"))
    for name in repository.odb:
        item = repository.get(name)
        if isinstance(item, pygit2.Commit):
            found[f"commit {name}"] = item.message
    found["the log"] = lines
    found["what the model was told in a brief"] = str([request["messages"][:2] for request in requests])
    shown = [name for name in found if "artifacts" in name]
    assert any("shell-" in name for name in shown)
    assert any("transcript" in name for name in shown)
    assert any("***" in found[name] for name in shown), "nothing was masked, so nothing was planted"
    for where, text in found.items():
        for name, key in PLANTED.items():
            for form in {key, key[:16], repr(key)[1:-1], key.replace("\\", "\\\\").replace('"', '\\"')}:
                assert form not in text, f"the {name} key stands in {where}"


def test_a_key_that_a_command_printed_does_not_come_back_to_the_model(everything):
    _, _, requests = everything
    told = str([message for request in requests for message in request["messages"] if message["role"] == "tool"])
    for name in ("agent", "inline", "unknown"):
        assert PLANTED[name] not in told
