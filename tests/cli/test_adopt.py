"""`loopsmith adopt`: it writes a workflow that passes `check`, and never over another file."""

import os
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[1] / "workflow/programs"
FILES = {
    "nightly": ["model.py", "corpus.py"],
    "terse": ["fit.py", "data.py"],
    "fitness": ["server_conf.py", "judge.py"],
    "session": ["lib/lexer.rb", "lib/parser.rb", "measure.sh"],
    "fenced": ["knobs.py", "rig.py"],
    "prose": ["points.json", "trace.c"],
    "crate": ["src/arch/avx.rs", "src/portable.rs"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The present folder; `program(name)` puts a program there, with the files that it names."""
    for tool in ("uv", "cargo"):
        stub = tmp_path / "bin" / tool
        stub.parent.mkdir(exist_ok=True)
        stub.write_text("#!/bin/sh\n")
        stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of-the-test")
    here = tmp_path / "source"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def program(folder, name, at="program.md"):
    for file in FILES[name]:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("RATE = 0.25\n")
    (folder / at).parent.mkdir(exist_ok=True)
    (folder / at).write_text((PROGRAMS / f"{name}.md").read_text())


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_draft_passes_check_in_a_folder_that_has_the_files(folder, loopsmith, name):
    program(folder, name)
    result = loopsmith("adopt")
    assert result.code == 0
    assert result.out == ""
    assert f"line {1}" in result.err
    assert "wrote WORKFLOW.md; read it, then `loopsmith check`" in result.err
    checked = loopsmith("check")
    assert (checked.code, checked.err) == (0, "")


def test_a_program_that_is_not_installed_is_told_by_check(folder, loopsmith, monkeypatch):
    program(folder, "nightly")
    loopsmith("adopt")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = loopsmith(
        "check", "--set", "verify.command=no-such-tool run model.py", "--set", "verify.checks=[test -f x]"
    )
    assert result.code == 2
    assert result.err == (
        "loopsmith: verify.command: there is no program `no-such-tool` on PATH; install it, or write another command\n"
    )


def test_a_variable_with_words_in_quotes_is_no_program(folder, loopsmith):
    program(folder, "nightly")
    loopsmith("adopt")
    result = loopsmith(
        "check", "--set", """verify.command="CFLAGS='-O3 fast math' make" """, "--set", "agent.kind=tuner"
    )
    assert "fast" not in result.err


def test_it_never_overwrites_without_force(folder, loopsmith):
    program(folder, "terse")
    (folder / "WORKFLOW.md").write_text("mine\n")
    result = loopsmith("adopt", "program.md")
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("WORKFLOW.md exists; write another file with --output, or over it with --force\n")
    assert (folder / "WORKFLOW.md").read_text() == "mine\n"
    assert loopsmith("adopt", "--force").code == 0
    assert "holdout_rmse" in (folder / "WORKFLOW.md").read_text()


def test_a_dash_writes_to_standard_output_and_nothing_else(folder, loopsmith):
    program(folder, "terse")
    before = sorted(folder.iterdir())
    result = loopsmith("adopt", "program.md", "--output", "-")
    assert result.code == 0
    assert result.out.startswith("---\n# Drafted by")
    assert result.out.endswith("\n\n{{ brief }}\n")
    assert "found in program.md:" in result.err
    assert "wrote" not in result.err
    assert sorted(folder.iterdir()) == before


def test_an_output_elsewhere_names_the_source(folder, loopsmith):
    program(folder, "terse")
    (folder.parent / "flows").mkdir()
    assert loopsmith("adopt", "--output", "../flows/terse.md").code == 0
    assert "\n  source: ../source\n" in (folder.parent / "flows/terse.md").read_text()
    assert loopsmith("check", "../flows/terse.md").code == 0
    assert loopsmith("adopt", "--output", "../flows").code == 0
    assert (folder.parent / "flows/WORKFLOW.md").is_file()


def test_a_program_in_a_hidden_folder_is_about_the_folder_above(folder, loopsmith):
    program(folder, "session", at=".auto/prompt.md")
    assert loopsmith("adopt").code == 0
    assert loopsmith("check").code == 0


def test_what_is_missing_is_listed_and_left_open_for_check_to_name(folder, loopsmith):
    (folder / "program.md").write_text("# Sort\n\nMake `sort.py` faster.\n")
    result = loopsmith("adopt")
    assert result.code == 2
    for key in ("objective.metric", "objective.direction", "verify.command"):
        assert f"\n  {key}: " in result.err
    assert "fill in what is missing, then `loopsmith check`" in result.err
    assert "`objective.metric` has no value; give one or remove the line" in loopsmith("check").err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "program.md: there is no such file; name the program"),
        ("", "program.md: the file is empty"),
        ("---\nname: a\n---\n", "program.md: it has front matter already; `loopsmith check program.md`"),
        ("x" * 2_000_000, "is too large for a workflow"),
        ("some words\n" * 10_000, "110000 characters are too many for a program"),
    ],
)
def test_a_file_that_is_no_plain_program_is_told(folder, loopsmith, text, words):
    if text is not None:
        (folder / "program.md").write_text(text)
    result = loopsmith("adopt")
    assert result.code == 2
    assert words in result.err
    assert not (folder / "WORKFLOW.md").exists()


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_program_without_front_matter_is_told_what_is_missing_and_names_adopt(folder, loopsmith, command):
    program(folder, "terse")
    result = loopsmith(command)
    assert result.code == 2
    for words in ("objective.metric", "objective.direction", "verify.command", "workspace.editable"):
        assert words in result.err
    assert "`loopsmith adopt program.md`" in result.err


def test_a_campaign_runs_on_the_draft_as_it_is(folder, loopsmith):
    program(folder, "terse")
    (folder / "fit.py").write_text(
        "import data\n\nRATE = 0.3\n\nprint('---')\nprint(f'holdout_rmse:     {data.score(RATE):.6f}')\n"
    )
    (folder / "data.py").write_text("def score(rate):\n    return 1 + (rate - 0.1) ** 2\n")
    assert loopsmith("adopt").code == 0
    agent = "agent={kind: scripted, commands: ['sed -i s/0.3/0.2/ fit.py', 'sed -i s/0.3/0.1/ fit.py']}"
    small = ["budget.rounds=1", "search.candidates_per_round=2", "calibrate.runs=2"]
    result = loopsmith("run", "--plain", *(part for each in (agent, *small) for part in ("--set", each)))
    assert result.code == 0
    assert "holdout_rmse 1.04 -> 1" in result.out
