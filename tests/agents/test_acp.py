"""The client of the Agent Client Protocol against programs that misbehave, each through the SDK's agent side."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from model_worker import Ledger, make_brief

from loopsmith.agents.acp import Acp, session
from loopsmith.agents.acp.login import secrets_in
from loopsmith.agents.acp.meter import Meter
from loopsmith.errors import LimitReached, ProviderError, WorkflowError
from loopsmith.workflow.acp import AcpAgent

AGENT = Path(__file__).parents[1] / "acp_agent.py"


def settings(behaviour, **more):
    more = {"silence": 60.0, **more}
    return AcpAgent(kind="acp", argv=(sys.executable, str(AGENT), behaviour), **more)


def work(behaviour, workspace, ledger, limits=None, **more):
    return asyncio.run(Acp(settings(behaviour, **more)).work(make_brief(**limits or {}), workspace, ledger))


def records(report):
    return [json.loads(line) for line in report.transcript.read_text().splitlines()]


def kernel(workspace):
    return (workspace.path / "src/kernel.c").read_text()


def alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_an_agents_change_its_words_and_its_tokens_are_taken(workspace, ledger):
    report = work("works", workspace, ledger, model="large", cost_per_run=0.5)
    assert "UNROLL 8" in kernel(workspace)
    assert report.finish_reason == "stopped"
    assert json.loads(report.summary) == {"model": "large"}
    assert report.hypothesis == "unroll more"
    (row,) = ledger.rows
    assert ledger.settled == {0}
    assert (row.input_tokens, row.cached_tokens, row.output_tokens, row.cost_usd) == (40, 30, 20, 0.5)
    assert [record["kind"] for record in records(report)] == ["Agent", "Prompt", "Message", "Stop"]


def test_permission_is_given_by_the_guardrails(workspace, ledger):
    report = work("asks", workspace, ledger)
    answered = {
        record["asked"][0] + str(index): record for index, record in enumerate(records(report)) if "allowed" in record
    }
    first = json.loads(next(record["text"] for record in records(report) if record["kind"] == "Message"))
    assert {name for name, answer in first.items() if answer == "yes"} == {"edit", "command", "read", "tool of ours"}
    assert set(first.values()) == {"yes", "no"}  # never for always
    assert all(record["reason"] for record in answered.values())
    second = [record["text"] for record in records(report) if record["kind"] == "Prompt"][1]
    assert "fetch http://example.org: guardrails.network: none" in second


def test_a_network_is_for_those_who_may_use_one(workspace, ledger):
    workspace.network = True
    report = work("asks", workspace, ledger)
    first = json.loads(next(record["text"] for record in records(report) if record["kind"] == "Message"))
    assert first["fetch"] == "yes"


def test_files_are_read_and_written_inside_the_folder_alone(workspace, ledger):
    report = work("files", workspace, ledger)
    seen = json.loads(report.summary)
    assert seen["src/kernel.c"] == "#define UNROLL 4"
    assert seen["write src/new.c"] == "written"
    refused = ("../state/config", "/etc/hostname", "none.c", "write verify.py", "write /tmp/loopsmith-planted")
    assert {seen[name] for name in refused} == {"error -32602"}
    assert not Path("/tmp/loopsmith-planted").exists()


def test_commands_run_in_the_workers_shell(workspace, ledger):
    report = work("commands", workspace, ledger)
    code, output, running, killed, missing = json.loads(report.summary)
    assert (code, running, killed) == (3, None, "SIGKILL")
    assert output.splitlines()[0] == str(workspace.path)
    assert missing == "there is no terminal `terminal-77`"


@pytest.mark.parametrize(
    ("behaviour", "reason", "error"),
    [
        ("refuses", "error", "the model refuses: I would rather not."),
        ("out-of-turns", "turns", ""),
        ("rate-limited", "error", "the agent failed: Internal error; 429; too many requests"),
        ("crashes", "error", "ended with exit code 139: segmentation fault, core dumped"),
    ],
)
def test_how_a_run_ends_is_said(workspace, ledger, behaviour, reason, error):
    report = work(behaviour, workspace, ledger, cost_per_run=0.5)
    assert report.finish_reason == reason
    assert error in report.error
    assert bool(report.error) == bool(error)
    assert ledger.spent.cost_usd == 0.5  # it was asked, so it cost


def test_a_cut_off_answer_is_asked_to_go_on(workspace, ledger):
    report = work("cut-off", workspace, ledger)
    assert "UNROLL 8" in kernel(workspace)
    prompts = [record["text"] for record in records(report) if record["kind"] == "Prompt"]
    assert "cut off" in prompts[1]


def test_an_empty_answer_is_asked_once_to_go_on(workspace, ledger):
    report = work("empty", workspace, ledger)
    assert report.finish_reason == "stopped"
    assert report.summary == "2"


@pytest.fixture
def soon(monkeypatch):
    """One that does not end by itself is not waited for long."""
    monkeypatch.setattr(session, "WIND_DOWN", 0.5)


def test_an_agent_that_hangs_is_ended_with_all_that_it_started(workspace, ledger, soon):
    report = work("hangs", workspace, ledger, silence=1.5)
    assert report.error == "the agent said nothing for 1.5s"
    assert not alive(int((workspace.path.parent / "child.pid").read_text()))


def test_a_limit_of_time_ends_it(workspace, ledger, soon):
    report = work("hangs", workspace, ledger, {"wall_clock": 4.0})
    assert report.finish_reason == "wall_clock"
    assert not alive(int((workspace.path.parent / "child.pid").read_text()))


def test_a_limit_of_money_ends_it_while_it_works(workspace):
    ledger = Ledger(cost_usd=0.45)
    report = work("spends", workspace, ledger, reports_cost=True)
    assert report.finish_reason == "cost_usd"
    assert ledger.spent.cost_usd == pytest.approx(0.4)
    assert ledger.settled == set(range(len(ledger.rows)))


def test_a_limit_of_money_that_one_run_would_pass_lets_none_begin(workspace):
    ledger = Ledger(cost_usd=0.45)
    report = work("works", workspace, ledger, cost_per_run=0.5)
    assert report.finish_reason == "cost_usd"
    assert ledger.rows == []
    assert "UNROLL 4" in kernel(workspace)


def test_an_agent_that_says_it_reports_costs_and_does_not_stops_the_campaign(workspace, ledger):
    with pytest.raises(ProviderError, match="reported no cost, although"):
        work("works", workspace, ledger, reports_cost=True)


def test_what_is_no_message_is_passed_over(workspace, ledger, capfd):
    report = work("babbles", workspace, ledger)
    assert "UNROLL 8" in kernel(workspace)
    notes = [record["text"] for record in records(report) if record["kind"] == "Note"]
    assert "a line that is no message: Welcome!" in notes
    assert "a line of more than 16,000,000 bytes was passed over" in notes
    assert any("update of no known kind" in note for note in notes)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("logged-out", r"is not logged in: .* \(Authentication required; no account\)"),
        ("logs-out", "is not logged in"),
        ("exits", "ended with exit code 3: this program needs a terminal"),
        ("speaks-something-else", "lines in a row that are no messages of the Agent Client Protocol"),
        ("other-version", "speaks version 99"),
        ("never-answers", "did not open a session within 3s; perhaps it waits for a login or a terminal"),
    ],
)
def test_an_agent_that_cannot_work_here_stops_the_campaign_with_the_reason(workspace, ledger, behaviour, message):
    with pytest.raises(ProviderError, match=message):
        work(behaviour, workspace, ledger, {"wall_clock": 3.0} if behaviour == "never-answers" else None)


@pytest.mark.parametrize(
    ("behaviour", "model", "message"),
    [
        ("works", "larg", "has no model `larg`; it has large"),
        ("no-models", "large", "does not let loopsmith choose its model"),
    ],
)
def test_a_model_that_cannot_be_had_stops_the_campaign(workspace, ledger, behaviour, model, message):
    with pytest.raises(ProviderError, match=message):
        work(behaviour, workspace, ledger, model=model)


def test_what_is_missing_is_said_before_anything_is_spent(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    given = AcpAgent(kind="acp", program="opencode", env=("NO_SUCH_NAME",), login=(".none/login",))
    with pytest.raises(WorkflowError) as raised:
        Acp(given).check(tmp_path, ())
    first, second, third = raised.value.problems
    assert first == "the agent `opencode` is not installed or not on PATH: npm install -g opencode-ai"
    assert second == "agent.env names NO_SUCH_NAME, which is not set in the environment"
    assert third == f"agent.login names .none/login, and there is no such file in {tmp_path}"


def test_nothing_of_the_run_stays_in_the_persons_home(workspace, ledger, tmp_path, monkeypatch):
    home = tmp_path / "person"
    (home / ".agent").mkdir(parents=True)
    (home / ".agent/login.json").write_text('{"a": 1}')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PLANTED_TOKEN", "planted-token-value")
    monkeypatch.setenv("PASSED", str(tmp_path))
    report = work("looks-around", workspace, ledger, env=("PASSED",), login=(".agent/login.json",))
    seen = json.loads(report.summary)
    assert seen["home"] == [".agent/login.json"]
    assert seen["env"] == ["PASSED"]
    assert seen["servers"] == 1
    assert sorted(os.listdir(home)) == [".agent"]
    workspace.remove()
    assert not workspace.home.exists()


def test_costs_are_held_ahead_and_settled_at_what_was_reported(ledger):
    meter = Meter(ledger, "some", 0.25)
    assert ledger.spent.cost_usd == 0.25
    meter.cost(0.1)
    assert ledger.spent.cost_usd == 0.25  # 0.1, and as much again, is held already
    meter.cost(0.3)
    assert ledger.spent.cost_usd == pytest.approx(0.5)
    meter.end(1.0)
    assert ledger.spent.cost_usd == pytest.approx(0.3)
    assert ledger.settled == {0, 1}


def test_what_is_spent_beyond_a_limit_is_in_the_ledger():
    ledger = Ledger(cost_usd=0.45)
    meter = Meter(ledger, "some", None)
    meter.cost(0.2)
    for total in (0.3, 0.9):
        with pytest.raises(LimitReached):
            meter.cost(total)
    meter.end(1.0)
    assert ledger.spent.cost_usd == pytest.approx(0.9)


def test_the_keys_of_a_login_are_found():
    config = {"provider": {"x": {"options": {"apiKey": "planted-api-key", "baseURL": "https://example.org/v1"}}}}
    assert list(secrets_in(json.dumps(config))) == ["planted-api-key"]
    assert list(secrets_in('{"a": {"type": "oauth", "access": "planted-access"}}')) == ["planted-access"]
    assert list(secrets_in("/no/json: at all")) == []
