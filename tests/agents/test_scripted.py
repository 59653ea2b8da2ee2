"""The scripted agent applies entry n for candidate n, exactly or not at all."""

import asyncio
from pathlib import Path

import pygit2
import pytest

from loopsmith.agents.scripted import Scripted
from loopsmith.errors import WorkflowError
from loopsmith.records import Brief, Report, WorkerLimits
from loopsmith.workflow.agent import ScriptedAgent
from loopsmith.workspace.sandbox import Sandbox
from loopsmith.workspace.worker import WorkerWorkspace

CHANGE = "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n-x = 1\n+x = 3\n y = 2\n"
GIT_CHANGE = "diff --git a/a.py b/a.py\n" + CHANGE
ADD = "--- /dev/null\n+++ b/n/new.py\n@@ -0,0 +1 @@\n+new = 1\n"
DELETE = "--- a/a.py\t2024-01-01\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-x = 1\n-y = 2\n"
OUTSIDE = "--- /dev/null\n+++ b/../evil\n@@ -0,0 +1 @@\n+new\n"
STALE_SECOND = CHANGE + "--- a/a.py\n+++ b/b.py\n@@ -1,1 +1,1 @@\n-gone\n+here\n"


@pytest.fixture
def workspace(tmp_path):
    folder, scratch = tmp_path / "work", tmp_path / "scratch"
    scratch.mkdir()
    pygit2.init_repository(str(folder))
    (folder / "a.py").write_text("x = 1\ny = 2\n")
    return WorkerWorkspace(folder, scratch, Sandbox.detect("off"), False, "test-scripted")


class Services:
    def progress(self, text: str) -> None:
        pass


def work(workspace: WorkerWorkspace, number: int = 1, *, wall_clock: float | None = 60.0, **settings: object) -> Report:
    agent = Scripted(ScriptedAgent.model_validate({"kind": "scripted", **settings}))
    brief = Brief(
        candidate_id=f"20261120-quick.start.{number}",
        prompt="",
        seed=1,
        round=1,
        attempt=1,
        editable=("*",),
        files=("a.py",),
        metric="m",
        direction="minimize",
        limits=WorkerLimits(wall_clock=wall_clock),
    )
    return asyncio.run(agent.work(brief, workspace, Services()))


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (CHANGE, {"a.py": "x = 3\ny = 2\n"}),
        (GIT_CHANGE, {"a.py": "x = 3\ny = 2\n"}),
        (ADD, {"a.py": "x = 1\ny = 2\n", "n/new.py": "new = 1\n"}),
        (DELETE, {}),
        (DELETE + ADD, {"n/new.py": "new = 1\n"}),
    ],
)
def test_a_patch_is_applied_from_its_text(workspace, patch, expected):
    report = work(workspace, patches=[patch])
    assert (report.finish_reason, report.error) == ("submitted", "")
    assert contents(workspace.path) == expected


def test_a_patch_is_applied_from_a_file_in_the_source(workspace):
    (workspace.path / "one.patch").write_text(CHANGE)
    report = work(workspace, patches=["one.patch"])
    assert (report.finish_reason, report.hypothesis) == ("submitted", "one.patch")
    assert (workspace.path / "a.py").read_text() == "x = 3\ny = 2\n"


@pytest.mark.parametrize("patch", [CHANGE.replace("x = 1", "x = 9"), STALE_SECOND, OUTSIDE, "gone.patch", "no\ndiff"])
def test_a_patch_that_does_not_apply_changes_nothing_and_says_so(workspace, patch):
    before = contents(workspace.path)
    report = work(workspace, patches=[patch])
    assert report.finish_reason == "error"
    assert "patch 1 " in report.error
    assert contents(workspace.path) == before
    assert not (workspace.path.parent / "evil").exists()


def test_candidate_number_n_runs_command_n_and_knows_its_number(workspace):
    commands = ["exit 3", "echo $LOOPSMITH_CANDIDATE_NUMBER > number\necho two >> number", "exit 3"]
    report = work(workspace, 2, commands=commands)
    assert (report.finish_reason, report.error) == ("submitted", "")
    assert (workspace.path / "number").read_text() == "2\ntwo\n"


def test_beyond_the_end_of_the_script_nothing_changes(workspace):
    before = contents(workspace.path)
    assert work(workspace, 2, patches=[CHANGE]).finish_reason == "stopped"
    assert work(workspace, 3, commands=["touch a", "touch b"]).finish_reason == "stopped"
    assert contents(workspace.path) == before


def test_a_command_that_fails_is_an_error_with_its_output(workspace):
    report = work(workspace, commands=["echo broken pieces; exit 3"])
    assert report.finish_reason == "error"
    assert "exit code 3" in report.error
    assert "broken pieces" in report.error


def test_a_command_is_ended_at_the_workers_limit(workspace):
    report = work(workspace, wall_clock=0.2, commands=["sleep 60"])
    assert report.finish_reason == "wall_clock"


def test_check_names_every_patch_that_cannot_be_used(tmp_path):
    (tmp_path / "good.patch").write_text(CHANGE)
    (tmp_path / "bad.patch").write_text("not a diff\n")
    agent = Scripted(ScriptedAgent(kind="scripted", patches=("good.patch", "bad.patch", "gone.patch", ADD)))
    with pytest.raises(WorkflowError) as caught:
        agent.check(tmp_path, ["a.py"])
    assert len(caught.value.problems) == 2
    assert "entry 2 is not a unified diff" in caught.value.problems[0]
    assert "entry 3 cannot be read" in caught.value.problems[1]
