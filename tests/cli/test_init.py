"""`loopsmith init`: a template fitted to the program that is there, which then passes `loopsmith check`."""

import io
import subprocess
import sys

import pytest

from loopsmith.cli.guess import Found, needed, sources
from loopsmith.workflow import load
from loopsmith.workflow.templates import templates
from loopsmith.workspace import source_files

PROGRAM = "import sys\n\nSTEPS = 10\nprint('sum', sum(range(STEPS)))\n"
SPEED = ["--command", "python3 main.py", "--editable", "main.py"]
TEST = "import main\n\ndef test_a():\n    assert main.STEPS == 10\n\ndef test_b():\n    assert main.STEPS == 9\n"
FITTED = {
    "make-it-faster": ["--command", "python3 main.py", "--improve", "memory"],
    "fix-the-tests": ["--command", f"{sys.executable} -m pytest", "--agent", "openai"],
    "shrink-it": ["--files", "main.py", "--build", "true", "--check", "python3 main.py"],
    "overnight-research": [
        "--command",
        "python3 main.py",
        "--metric",
        "sum",
        "--direction",
        "larger",
        "--editable",
        "main.py",
    ],
    "prompt-tuning": ["--model", "mine", "--base-url", "http://localhost:1/v1"],
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A Python project in a git repository, whose environment git ignores, with the keys that agents want."""
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "a-key")
    files = {
        "main.py": PROGRAM,
        "tests/test_main.py": TEST,
        "ask.prompt": "Sort it.",
        "cases.jsonl": '{"input": "a", "expected": "b"}',
        "README.md": "mine",
        ".gitignore": "data/\n",
        "data/numbers": "1 2 3",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and ".git/" not in str(path)
    }


def test_without_a_template_they_are_listed_with_their_use(loopsmith):
    out = loopsmith("init").out
    for template in templates().values():
        assert template.name in out
        assert template.when.split(",")[0][:40] in " ".join(out.split())


def test_a_template_that_does_not_exist_is_told_with_those_that_do(loopsmith):
    result = loopsmith("init", "make-it-fast")
    assert result.code == 2
    assert "make-it-faster" in result.err


@pytest.mark.parametrize("name", templates())
def test_an_empty_folder_gets_the_whole_example_and_it_passes_check(tmp_path, loopsmith, monkeypatch, name):
    for key in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(key, "a-key")
    result = loopsmith("init", name, "--into", tmp_path / "new", "--yes")
    assert result.code == 0, result.err
    assert files(tmp_path / "new") == set(templates()[name].files(example=True))
    assert loopsmith("check", tmp_path / "new").code == 0


def test_every_template_with_questions_is_fitted_below():
    assert set(FITTED) >= {name for name, template in templates().items() if template.settings}


@pytest.mark.parametrize("name", FITTED)
def test_a_template_fits_a_project_and_passes_check(project, loopsmith, name):
    before = files(project)
    result = loopsmith("init", name, "--yes", *FITTED[name])
    assert result.code == 0, result.err
    assert (project / "README.md").read_text() == "mine"
    new = files(project) - before
    assert "WORKFLOW.md" in new
    assert not new & set(templates()[name].settings.example) - {"golden/", "tests.sh", "tests.json"}
    assert loopsmith("check").code == 0
    fitted = load(project)
    assert fitted.settings.verify.holdout is None
    assert fitted.settings.workspace.editable == (("ask.prompt",) if name == "prompt-tuning" else ("main.py",))
    assert "# example" not in fitted.text


def test_what_stands_in_the_workflow_is_what_was_answered(project, loopsmith):
    assert loopsmith("init", "make-it-faster", "--command", "cat data/numbers; echo \"it's $HOME\"",
                     "--editable", "*.py", "--editable", "!tests/", "--agent", "cli:codex").code == 2  # fmt: skip
    settings = load(project).settings
    assert settings.workspace.editable == ("*.py", "!tests/")
    assert settings.workspace.link == ("data",)
    assert settings.objective.metric == "seconds"
    assert (settings.agent.kind, settings.agent.program) == ("cli", "codex")
    assert (project / "golden/command.sh").read_text() == 'cat data/numbers; echo "it\'s $HOME"\n'
    assert (project / "golden/output").read_text().startswith("1 2 3it's ")


def test_without_a_terminal_what_is_missing_is_named_with_its_flag(project, loopsmith, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = loopsmith("init", "overnight-research", "--command", "python3 main.py")
    assert result.code == 2
    assert "--metric" in result.err
    assert "--editable" in result.err
    assert "--command" not in result.err
    result = loopsmith("init", "fix-the-tests")
    assert result.code == 2
    assert "--agent" in result.err
    assert not (project / "WORKFLOW.md").exists()


def test_on_a_terminal_it_asks_and_takes_what_it_found_for_an_empty_answer(project, loopsmith, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    said = Terminal("python3 main.py\n\nfastest\nmemory\ntuner\n")
    monkeypatch.setattr(sys, "stdin", said)
    result = loopsmith("init", "make-it-faster")
    assert result.code == 0, result.err
    assert "one of: time, cpu, memory" in result.out
    settings = load(project).settings
    assert settings.workspace.editable == ("main.py",)
    assert settings.objective.metric == "peak_mem_mb"
    assert settings.agent.kind == "tuner"


def test_nothing_is_overwritten_unasked(project, loopsmith):
    (project / "measure.py").write_text("mine")
    result = loopsmith("init", "make-it-faster", "--yes", *SPEED)
    assert result.code == 2
    assert "measure.py" in result.err
    assert "--force" in result.err
    assert not (project / "WORKFLOW.md").exists()
    assert loopsmith("init", "make-it-faster", "--yes", "--force", *SPEED).code == 0
    assert "The verifier" in (project / "measure.py").read_text()
    result = loopsmith("init", "quickstart")
    assert result.code == 2
    assert "README.md" in result.err
    assert "WORKFLOW.md" in result.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo broken >&2; exit 3", "broken"),
        ("date +%N", "two runs differ"),
        ("cat no-such-file", "No such file"),
    ],
)
def test_a_command_that_cannot_be_compared_is_told_and_nothing_is_written(project, loopsmith, command, words):
    before = files(project)
    result = loopsmith("init", "make-it-faster", "--yes", "--command", command, "--editable", "main.py")
    assert result.code == 2
    assert words in result.err
    assert files(project) == before
    assert not (project / "golden").exists()


def test_a_wrong_answer_is_told(project, loopsmith):
    result = loopsmith("init", "make-it-faster", "--yes", *SPEED, "--improve", "everything")
    assert result.code == 2
    assert "memory" in result.err
    result = loopsmith("init", "make-it-faster", "--yes", *SPEED, "--agent", "antropic:x")
    assert result.code == 2
    assert "anthropic" in result.err
    assert not (project / "WORKFLOW.md").exists()


def test_an_agent_that_cannot_work_yet_is_told_and_the_workflow_stays(project, loopsmith, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    result = loopsmith("init", "make-it-faster", "--yes", *SPEED, "--agent", "openai")
    assert result.code == 2
    assert "OPENAI_API_KEY" in result.err
    assert (project / "WORKFLOW.md").exists()


def test_a_run_without_a_workflow_names_init(tmp_path, loopsmith, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = loopsmith("run")
    assert result.code == 2
    assert "loopsmith init" in result.err


def test_sources_are_the_programs_own_files_by_folder_where_there_are_many(tmp_path):
    names = [f"shop/part{n}.py" for n in range(7)] + [
        "shop/tests/test_part.py",
        "shop/conftest.py",
        "setup.py",
        "run.py",
    ]
    for name in [*names, "docs/conf.py", "web/page.js"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = Found(tmp_path, source_files(tmp_path))
    assert found.language == "Python"
    assert sources(found, {}) == ("run.py", "/shop/**/*.py", "!test_*", "!conftest.py", "!tests/")


def test_what_git_ignores_and_a_command_needs_is_found(tmp_path):
    for name in (".venv/bin", "node_modules", "data", "src"):
        (tmp_path / name).mkdir(parents=True)
    found = Found(tmp_path, ("src/a.py",))
    assert needed(found, [".venv/bin/python src/a.py ./data/x /etc/passwd ''", "npm test", "it's", "go run ."]) == (
        ".venv",
        "data",
        "node_modules",
    )
