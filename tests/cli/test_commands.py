"""Every command, on a finished campaign and on none."""

import csv
import io
import json
import shlex
import subprocess

import pytest
from support import setting_x, write_source

from loopsmith import __version__
from loopsmith.cli.run import agent_override
from loopsmith.workflow import load


@pytest.fixture
def done(tmp_path, loopsmith, monkeypatch):
    """The folder of a campaign with a kept candidate (2), a discarded (1) and two more, inside a git repository."""
    path = write_source(tmp_path / "source", agent=setting_x(12, 15, 9, 15), budget={"rounds": 2})
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=path.parent, check=True)
    subprocess.run(["git", "add", "-A"], cwd=path.parent, check=True)
    person = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *person, "commit", "-qm", "start"], cwd=path.parent, check=True)
    result = loopsmith("run", path)
    assert result.code == 0, result.err
    monkeypatch.chdir(path.parent)
    return path


def test_the_commands_that_are_named_find_the_campaign_wherever_its_state_is(tmp_path, loopsmith):
    path = write_source(tmp_path / "a source", agent=setting_x(12, 15))
    broken = path.with_name("verify.sh")
    whole = broken.read_text()
    broken.write_text("exit 1\n")
    state = tmp_path / "my state"
    assert loopsmith("run", path, "--state", state).code == 3
    out = loopsmith("status", "--state", state).out
    (line,) = (text for text in out.splitlines() if "# go on" in text)
    assert loopsmith(*shlex.split(line.partition("loopsmith ")[2], comments=True)).code == 3
    assert not (path.parent / ".loopsmith").exists()
    broken.write_text(whole)
    out = loopsmith("run", path, "--state", state, "--new").out
    shown = next(text for text in out.splitlines() if "loopsmith show" in text)
    assert "candidate 2 of" in loopsmith(*shlex.split(shown.partition("loopsmith ")[2], comments=True)).out


def test_of_workflows_that_share_a_tracker_the_named_one_s_campaign_is_meant(tmp_path, loopsmith):
    paths = [write_source(tmp_path / name, name=name, agent=setting_x(12, 15)) for name in ("one", "other")]
    shared = ["--tracker", tmp_path / "tracker.db"]
    assert [loopsmith("run", path, *shared).code for path in paths] == [0, 0]
    for path in paths:
        record = json.loads(loopsmith("status", "-w", path.parent, *shared, "--json").out)
        assert record["campaign"]["name"] == path.parent.name
    third = write_source(tmp_path / "third", name="third")
    refused = loopsmith("stop", "-w", third, *shared)
    assert refused.code == 2
    assert f"no campaign of {third} yet" in refused.err
    (tmp_path / "one").rename(tmp_path / "moved")
    assert "one" in loopsmith("status", "-w", tmp_path / "moved", *shared).out


def test_run_ends_with_a_summary(tmp_path, loopsmith):
    result = loopsmith("run", write_source(tmp_path, agent=setting_x(12, 15)))
    assert result.code == 0
    for words in (
        "score 10 -> 15",
        "+50.0 %",
        "1.50x",
        "2 candidates: 1 kept, 1 discarded",
        "rounds",
        "loopsmith apply",
    ):
        assert words in result.out, words
    assert "candidate.decided" in result.err
    assert "baseline.measured" in result.err


def test_status_json_is_one_object_with_the_documented_keys(done, loopsmith):
    view = json.loads(loopsmith("status", "--json").out)
    assert set(view) == {"campaign", "objective", "baseline", "best", "counts", "budget", "roles", "steering", "usage"}
    assert view["campaign"]["status"] == "done"
    assert view["campaign"]["stop_reason"] == "rounds"
    assert view["best"] == {
        "value": 15.0,
        "holdout": None,
        "candidate": 2,
        "commit": view["best"]["commit"],
        "effect": 0.5,
        "interval": [0.5, 0.5],
        "ratio": 1.5,
    }
    assert view["counts"]["kept"] == 1
    assert view["counts"]["candidates"] == 4
    assert view["budget"]["rounds"] == {"used": 2, "limit": 2}
    assert view["usage"]["calls"] == 0


def test_status_for_a_person_says_the_result_and_what_to_do(done, loopsmith):
    out = loopsmith("status").out
    assert "score 10 -> 15" in out
    assert "loopsmith show 2" in out


@pytest.mark.parametrize("name", ["2", "c2"])
def test_show_tells_everything_of_a_candidate(done, loopsmith, name):
    out = loopsmith("show", name).out
    for words in ("candidate 2", "kept", "+50.0 %", "screen", "seed", "-X=10", "+X=15"):
        assert words in out, words


def test_show_of_no_candidate_is_one_clear_line(done, loopsmith):
    result = loopsmith("show", "99")
    assert result.code == 2
    assert "99" in result.err


def test_log_prints_the_newest_events_oldest_first(done, loopsmith):
    lines = loopsmith("log", "-n", "3").out.splitlines()
    assert len(lines) == 3
    assert "campaign.ended" in lines[-1]
    events = [json.loads(line) for line in loopsmith("log", "--json").out.splitlines()]
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    assert {"campaign.started", "baseline.measured", "candidate.decided"} <= {event["name"] for event in events}


@pytest.mark.parametrize("command", ["log", "memory"])
def test_more_lines_than_a_database_can_count_are_refused_in_a_line(done, loopsmith, command):
    result = loopsmith(command, "-n", str(2**64))
    assert result.code == 2
    assert "Invalid value" in result.err


def test_memory_lists_and_searches_lessons(done, loopsmith):
    assert len(loopsmith("memory").out.splitlines()) == 4
    found = loopsmith("memory", "baseline now").out
    assert "c1" in found
    assert loopsmith("memory", "zebra").out.strip() == "nothing learned yet"


def test_export_tsv_has_the_five_columns_of_autoresearch(done, loopsmith):
    rows = list(csv.reader(io.StringIO(loopsmith("export").out), delimiter="\t"))
    assert rows[0] == ["commit", "score", "memory_gb", "status", "description"]
    assert rows[1][1:4] == ["10.000000", "0.0", "keep"]
    assert {row[3] for row in rows[1:]} <= {"keep", "discard", "crash"}


def test_export_json_and_csv_have_every_candidate(done, loopsmith):
    records = json.loads(loopsmith("export", "--format", "json").out)
    rows = list(csv.DictReader(io.StringIO(loopsmith("export", "--format", "csv").out)))
    assert [record["candidate"] for record in records] == [1, 2, 3, 4]
    assert [int(row["candidate"]) for row in rows] == [1, 2, 3, 4]
    assert records[1]["effect"] == 0.5


def test_apply_writes_a_branch_and_touches_nothing_else(done, loopsmith):
    def git(*words):
        return subprocess.run(["git", *words], cwd=done.parent, check=True, capture_output=True, text=True).stdout

    before = git("status", "--porcelain"), git("rev-parse", "HEAD")
    result = loopsmith("apply", "--branch", "faster")
    assert result.code == 0, result.err
    assert (git("status", "--porcelain"), git("rev-parse", "HEAD")) == before
    assert git("show", "faster:program.sh").startswith("X=15\n")
    message = git("log", "-1", "--format=%B", "faster")
    assert "Loopsmith-Effect: +50.0 %" in message
    assert git("rev-list", "--count", "main..faster").strip() == "1"
    again = loopsmith("apply", "--branch", "faster")
    assert again.code == 2
    assert "faster" in again.err


def test_apply_refuses_when_the_source_moved_on_and_says_why(done, loopsmith):
    (done.parent / "program.sh").write_text("X=77\nZ=1\n")
    person = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *person, "commit", "-qam", "moved on"], cwd=done.parent, check=True)
    result = loopsmith("apply")
    assert result.code == 2
    assert "program.sh" in result.err


def test_apply_as_a_patch_can_be_applied_with_git(done, loopsmith, tmp_path):
    assert loopsmith("apply", "--patch", tmp_path / "kept.patch").code == 0
    subprocess.run(["git", "apply", tmp_path / "kept.patch"], cwd=done.parent, check=True)
    assert (done.parent / "program.sh").read_text().startswith("X=15\n")


def test_without_a_campaign_every_reader_says_how_to_start_one(tmp_path, loopsmith, monkeypatch):
    write_source(tmp_path, agent=setting_x(1))
    monkeypatch.chdir(tmp_path)
    for command in (["status"], ["show", "1"], ["log"], ["memory"], ["export"], ["apply"]):
        result = loopsmith(*command)
        assert result.code == 2, command
        assert "loopsmith run" in result.err
    assert loopsmith("stop").code == 2


def test_check_prints_every_setting_and_what_the_budget_affords(tmp_path, loopsmith):
    path = write_source(tmp_path, agent=setting_x(1), budget={"candidates": 12, "rounds": None})
    result = loopsmith("check", path)
    assert result.code == 0, result.err
    for words in ("objective.metric", "verify.timeout", "20s", "calibrate.runs", "default", "about 12 candidates"):
        assert words in result.out, words
    view = json.loads(loopsmith("check", path, "--json").out)
    assert view["ok"] is True
    assert view["settings"]["verify"]["timeout"] == 20
    assert not (tmp_path / ".loopsmith").exists()


def test_check_names_every_problem_at_once(tmp_path, loopsmith):
    path = write_source(
        tmp_path,
        agent={"kind": "anthropic", "model": "no-such-model", "api_key": "$NO_SUCH_KEY"},
        workspace={"editable": ["*.rs"]},
        verify={"resources": {"cpu": 5000}},
    )
    result = loopsmith("check", path)
    assert result.code == 2
    for words in ("*.rs", "NO_SUCH_KEY", "no-such-model", "5000"):
        assert words in result.err, words
    assert json.loads(loopsmith("check", path, "--json").out)["ok"] is False


def test_a_setting_can_be_overridden_from_the_command_line(tmp_path, loopsmith):
    path = write_source(tmp_path, agent=setting_x(11, 12, 13, 14))
    loopsmith("run", path, "--set", "budget.candidates=1", "--set", "search.candidates_per_round=1")
    view = json.loads(loopsmith("status", "-w", path, "--json").out)
    assert view["counts"]["candidates"] == 1


def test_another_agent_can_be_named_with_or_without_its_model():
    assert agent_override(None) == []
    assert agent_override("openai:gpt-x") == ["agent={kind: openai, model: 'gpt-x'}"]
    assert agent_override("tuner") == ["agent={kind: tuner}"]
    assert "model: 'claude" in agent_override("anthropic")[0]


@pytest.mark.parametrize("name", ["cli:codex", "acp:opencode", "openai:gpt-x", "anthropic"])
def test_what_is_named_is_an_agent_that_a_workflow_can_have(tmp_path, name):
    settings = load(write_source(tmp_path, agent={"kind": "tuner"}), agent_override(name)).settings
    assert settings.agent.kind == name.partition(":")[0]
    if ":" in name:
        assert name.partition(":")[2] in (
            getattr(settings.agent, "program", None),
            getattr(settings.agent, "model", None),
        )


def test_the_version_is_printed(loopsmith):
    assert loopsmith("--version").out.strip() == __version__
