"""Bad input: one clear line, the right exit code, no traceback, nothing lost."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
from support import setting_x, write_source

FRONT = "---\nobjective: {metric: m, direction: minimize}\nworkspace: {editable: [a.txt]}\nverify: {command: 'true'}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("---\n- a\n- b\n---\n", "map"),
        ("---\nname: [\n---\n", "YAML"),
        (b"---\nname: \xff\n---\n", "UTF-8"),
        (FRONT + "budgets: {}\n---\n", "did you mean `budget`"),
        (FRONT + "budget: {rounds: -1}\n---\n", "rounds"),
        (FRONT + "calibrate: {runs: soon}\n---\n", "runs"),
        (FRONT + "---\n{{ breif }}\n", "breif"),
        (FRONT + "---\n{{ brief \n", "WORKFLOW.md:"),
        ("no front matter\n", "front matter"),
        ("", "front matter"),
    ],
)
def test_a_workflow_that_cannot_be_read_is_told_with_its_line(tmp_path, loopsmith, text, words):
    path = tmp_path / "WORKFLOW.md"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for command in ("run", "check"):
        result = loopsmith(command, path)
        assert result.code == 2
        assert words in result.err
        assert "WORKFLOW.md:" in result.err
    assert not (tmp_path / ".loopsmith").exists()


def test_a_missing_workflow_is_named(tmp_path, loopsmith, monkeypatch):
    assert "nowhere.md" in loopsmith("run", tmp_path / "nowhere.md").err
    monkeypatch.chdir(tmp_path)
    result = loopsmith("run")
    assert result.code == 2
    assert "WORKFLOW.md" in result.err


def test_an_empty_source_is_told(tmp_path, loopsmith):
    (tmp_path / "empty").mkdir()
    path = write_source(tmp_path, agent=setting_x(1), workspace={"source": "empty"})
    result = loopsmith("run", path)
    assert result.code == 2
    assert "empty" in result.err


def test_an_enormous_source_is_told_with_its_size_and_how_to_exclude(tmp_path, loopsmith):
    path = write_source(tmp_path, agent=setting_x(1), workspace={"max_size": "1MB"})
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "big.bin").open("wb") as file:
        file.truncate(3_000_000_000)
    result = loopsmith("run", path)
    assert result.code == 2
    for words in ("data", "workspace.max_size", "exclude"):
        assert words in result.err, words


def test_a_baseline_that_fails_exits_with_3_and_shows_the_verifiers_words(tmp_path, loopsmith):
    path = write_source(tmp_path, command="echo the compiler is missing; false", agent=setting_x(1))
    result = loopsmith("run", path)
    assert result.code == 3
    assert "the compiler is missing" in result.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-verifier", "not found"),
        ("echo hello", "score"),
        ("head -c 200000 /dev/urandom", "score"),
        ("yes", "2s"),
        ("sleep 100", "2s"),
    ],
)
def test_a_verifier_that_is_missing_or_prints_rubbish_or_hangs_is_told(tmp_path, loopsmith, command, words):
    path = write_source(
        tmp_path, agent=setting_x(1), verify={"command": command, "timeout": "2s", "output_limit": "1MB"}
    )
    result = loopsmith("run", path)
    assert result.code == 3
    assert words in result.err
    size = sum(file.stat().st_size for file in (tmp_path / ".loopsmith").rglob("*") if file.is_file())
    assert size < 5_000_000, "output is capped"


def test_a_tracker_that_is_none_or_corrupt_or_locked_is_told(tmp_path, loopsmith):
    path = write_source(tmp_path, agent=setting_x(12))
    for content, words in ((b"hello, I am a text file, not a database" * 50, "not a tracker"),):
        (tmp_path / "other.db").write_bytes(content)
        result = loopsmith("run", path, "--tracker", tmp_path / "other.db")
        assert result.code == 4
        assert words in result.err
        assert (tmp_path / "other.db").read_bytes() == content
    with sqlite3.connect(tmp_path / "foreign.db") as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    result = loopsmith("run", path, "--tracker", tmp_path / "foreign.db")
    assert result.code == 4
    assert "not a tracker" in result.err


def test_a_missing_key_is_told_before_anything_is_made(tmp_path, loopsmith, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    path = write_source(tmp_path, agent={"kind": "anthropic", "model": "claude-sonnet-4-5"})
    result = loopsmith("run", path)
    assert result.code == 2
    assert "ANTHROPIC_API_KEY" in result.err


def test_an_unknown_price_stops_the_run_and_says_how_to_give_one(tmp_path, loopsmith, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    path = write_source(tmp_path, agent={"kind": "openai", "model": "my-own-model"})
    result = loopsmith("run", path)
    assert result.code == 2
    assert "agent" in result.err
    assert "price" in result.err


def command_line(*arguments, prefix=(), **env):
    """The console script in a process of its own."""
    line = [*prefix, sys.executable, "-m", "loopsmith", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=100, env={**os.environ, **env})


bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="needs bubblewrap to make a small or read-only disk"
)


@bubblewrap
def test_a_read_only_source_is_told_and_works_with_a_state_folder_elsewhere(tmp_path):
    path = write_source(tmp_path / "source", agent=setting_x(12), sandbox="off")
    (tmp_path / "state").mkdir()
    read_only = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", str(tmp_path / "source"), str(tmp_path / "source")]
    result = command_line("run", path, prefix=read_only)
    assert result.returncode == 4
    assert "--state" in result.stderr
    assert "Traceback" not in result.stderr
    result = command_line("run", path, "--state", tmp_path / "state", prefix=read_only)
    assert result.returncode == 0, result.stderr


@bubblewrap
def test_a_full_disk_is_told_and_the_campaign_goes_on_once_there_is_space(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    path = write_source(
        tmp_path / "source",
        agent={"kind": "scripted", "commands": ["head -c 500000 /dev/urandom | base64 > program.sh"] * 12},
        sandbox="off",
        budget={"rounds": 6},
        guardrails={"max_changed_lines": 10**6},
        verify={"command": "head -c 500000 /dev/zero | tr '\\0' 'y'; echo; echo METRIC score=1"},
    )
    small = ["bwrap", "--dev-bind", "/", "/", "--size", "40000000", "--tmpfs", str(state)]
    loopsmith = f"{sys.executable} -m loopsmith"
    script = f"""
        head -c 36000000 /dev/zero > {state}/filler
        {loopsmith} run {path} --state {state}; echo first: $?
        rm {state}/filler
        {loopsmith} run {path} --state {state}; echo second: $?
        {loopsmith} status --state {state} --json > {tmp_path}/status.json
    """
    result = subprocess.run([*small, "sh", "-c", script], capture_output=True, text=True, timeout=200)
    assert "first: 4" in result.stdout, result.stdout + result.stderr
    assert "is full" in result.stderr
    assert "Traceback" not in result.stderr
    assert "second: 0" in result.stdout, result.stdout + result.stderr
    view = json.loads((tmp_path / "status.json").read_text())
    assert view["counts"]["candidates"] == 12


def test_it_runs_on_a_machine_without_git(tmp_path):
    path = write_source(tmp_path / "source", agent=setting_x(12), sandbox="off")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("sh", "sed", "cat", "rm", "chmod"):
        (bin_ / name).symlink_to(shutil.which(name))
    result = command_line("run", path, PATH=str(bin_))
    assert result.returncode == 0, result.stderr
    assert json.loads(command_line("status", "-w", path, "--json", PATH=str(bin_)).stdout)["best"]["value"] == 12.0
