"""Campaigns whose worker is a program of its own: what it may change, what it costs, and how it stops the campaign."""

import json
import os

import pytest
from agents.player import STREAMS, player, recorded
from support import run, write_source

from loopsmith import workflow
from loopsmith.errors import ProviderError, WorkflowError
from loopsmith.records import Status
from loopsmith.tracker import open_store

SET_X = "sed -i 's/^X=.*/X=15/' program.sh"
PRICE = {"input": 1, "output": 10}


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A campaign's source whose agent is codex, played by sh commands."""
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"])))
    monkeypatch.setenv("CODEX_API_KEY", "sk-planted-key-of-codex")

    def make(*commands, agent=None, **front):
        player(tmp_path / "bin", "codex", *commands)
        settings = {"kind": "cli", "program": "codex", "price": PRICE, **(agent or {})}
        front = {"search": {"candidates_per_round": 1}, **front}
        front["verify"] = {"read": [str(STREAMS)], **front.get("verify", {})}
        return write_source(tmp_path / "source", agent=settings, **front)

    return make


def candidates(path):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return store.candidates(store.campaigns()[0].id)


def reason(path):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return store.decision(store.candidates(store.campaigns()[0].id)[0].id).reason


def test_a_programs_change_is_verified_kept_and_paid_for(source):
    words = json.dumps({"hypothesis": "a larger X is better", "lesson": "X matters"})
    path = source(SET_X, f"echo '{words}' > \"$LOOPSMITH_REPORT\"", recorded("codex-completed"))
    view = run(path, "budget.cost_usd=1")
    assert view["best"]["value"] == 15.0
    assert view["usage"]["cost_usd"] == pytest.approx((20351 * 1 + 40 * 10) / 1e6)
    (candidate,) = candidates(path)
    assert (candidate.hypothesis, candidate.lesson) == ("a larger X is better", "X matters")


LOOK = """
import json, os, sys
told = dict(word.split("=", 1) for word in sys.argv[1:] if word.startswith("mcp_servers.loopsmith."))
socket = json.loads(told["mcp_servers.loopsmith.args"])[-1]
words = [os.path.basename(json.loads(told["mcp_servers.loopsmith.command"])), str(os.path.exists(socket))]
json.dump({"summary": " ".join(words)}, open(os.environ["LOOPSMITH_REPORT"], "w"))
"""


def test_a_program_that_speaks_mcp_is_told_of_a_server_that_it_can_reach(source):
    path = source(SET_X, f"python3 -c '{LOOK}' \"$@\"", recorded("codex-completed"))
    run(path)
    (candidate,) = candidates(path)
    assert candidate.summary.startswith("python")
    assert candidate.summary.endswith(" True")


def test_a_program_that_changes_another_file_is_rejected(source):
    path = source(SET_X, "echo 'echo METRIC score=99' > verify.sh", recorded("codex-completed"))
    assert run(path)["counts"]["rejected"] == 1
    assert "verify.sh" in reason(path)


def test_a_rate_limit_with_an_end_costs_a_program_no_time_and_is_written_down_once(source):
    path = source(
        f"if ! grep -q X=15 program.sh; then {SET_X}; echo '{json.dumps({'type': 'limit', 'wait': 9})}'; exit 1; fi",
        "sleep 4",  # more than is left of its time, if the wait had cost any
        "sed -i 's/^X=.*/X=16/' program.sh",
        'echo \'{"type": "end"}\'',
        agent={
            "program": None,
            "argv": ["codex"],
            "price": None,
            "usage": {
                "events": [
                    {"when": {"type": "limit"}, "means": "rate_limited", "retry_after": "wait"},
                    {"when": {"type": "end"}, "means": "completed"},
                ]
            },
        },
    )
    view = run(path, "budget.per_worker.wall_clock=8s")
    assert view["best"]["value"] == 16.0
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        (event,) = store.events(store.campaigns()[0].id, name="model.rate_limited", limit=9, newest_first=True)
    assert event.data["model"] == "codex"


def test_what_a_program_left_when_it_broke_is_verified(source):
    path = source(SET_X, recorded("codex-failed"), "exit 1")
    assert run(path)["best"]["value"] == 15.0


def test_a_program_that_broke_without_a_change_is_told_in_its_words(source):
    path = source(recorded("codex-failed"), "exit 1")
    assert run(path)["counts"]["crashed"] == 1
    assert "experiencing high demand" in reason(path)


def test_a_refused_key_stops_the_campaign_and_blames_no_candidate(source):
    path = source(recorded("codex-wrong_key"), "exit 1")
    with pytest.raises(ProviderError, match="codex cannot log in"):
        run(path)
    assert candidates(path)[0].status is Status.PLANNED
    player(path.parents[1] / "bin", "codex", SET_X, recorded("codex-completed"))
    assert run(path)["best"]["value"] == 15.0


def test_the_budget_ends_a_campaign_of_programs(source):
    path = source(SET_X, recorded("codex-completed"), budget={"rounds": 50})
    view = run(path, "budget.cost_usd=0.05")
    assert view["campaign"]["stop_reason"] == "cost_usd"
    assert view["usage"]["cost_usd"] <= 0.05


def test_a_key_and_the_home_of_a_program_are_gone_afterwards(source):
    path = source('echo "{\\"key\\": \\"$CODEX_API_KEY\\"}"', SET_X, recorded("codex-completed"))
    run(path)
    state = workflow.load(path).state
    held = [each for each in state.rglob("*") if each.is_file() and b"sk-planted-key" in each.read_bytes()]
    assert held == []
    assert not list(state.rglob("*.home"))


def test_a_campaign_under_a_limit_of_money_does_not_start_without_a_price(source):
    path = source("true", agent={"price": None})
    with pytest.raises(WorkflowError, match=r"agent\.cost_per_run"):
        run(path, "budget.cost_usd=1")
    assert run(path, "budget.cost_usd=1", "agent.cost_per_run=0.1")["usage"]["cost_usd"] == pytest.approx(0.1)
