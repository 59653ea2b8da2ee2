import asyncio
import os

import pytest

from loopsmith.workspace import Sandbox, make_worker_folder


@pytest.fixture(params=["sandboxed", "plain"])
def shell(request, repo, baseline, source, state):
    """A worker's workspace and its shell, with a sandbox and without."""
    sandbox = Sandbox()
    if request.param == "sandboxed":
        sandbox = Sandbox.detect("auto", state=state, source=source)
        if not sandbox.available:
            pytest.skip(f"no sandbox here: {sandbox.reason}")
    workspace = make_worker_folder(
        repo,
        baseline,
        state / "work/3.worker",
        source=source,
        links=(),
        scratch=state / "artifacts/3",
        sandbox=sandbox,
        network=False,
        mark="test.3",
    )

    def run(command, timeout=20.0):
        done = asyncio.run(workspace.shell(command, timeout))
        return done, done.log.read_text()

    run.workspace = workspace
    return run


def test_a_command_runs_in_the_folder_and_its_output_is_kept_in_scratch(shell):
    done, output = shell("pwd; echo oops >&2; git log --oneline | wc -l; exit 3")
    assert output.split() == [str(shell.workspace.path), "oops", "1"]
    assert done.exit_code == 3
    assert done.log.parent == shell.workspace.scratch


def test_each_command_has_its_own_log_and_later_ones_can_read_it(shell):
    first, _ = shell("echo one")
    second, output = shell(f"cat {first.log}")
    assert first.log != second.log
    assert output == "one\n"


def test_what_one_command_leaves_in_its_tmp_the_next_one_finds(shell):
    if not shell.workspace.sandbox.available:
        pytest.skip("without a sandbox /tmp is the machine's own")
    shell("echo note > /tmp/note")
    assert shell("cat /tmp/note")[1] == "note\n"


def test_a_command_that_takes_too_long_is_ended(shell):
    done, _ = shell("sleep 60", timeout=0.3)
    assert done.timed_out


def test_no_secret_of_the_environment_reaches_a_command(shell, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    _, output = shell("env")
    assert "PATH=" in output
    assert "sk-secret" not in output


def test_a_sandboxed_command_cannot_read_the_environment_of_loopsmith(shell):
    if not shell.workspace.sandbox.available:
        pytest.skip("needs the sandbox")
    _, output = shell(f"cat /proc/*/environ | tr '\\0' '\\n'; readlink /proc/{os.getpid()}/exe")
    assert os.readlink("/proc/self/exe") not in output
    assert "PYTEST_CURRENT_TEST" not in output


def test_git_does_not_look_above_the_folder(shell, source, tools):
    tools.git(source, "init", "-q")
    assert "not a git repository" in shell("rm -rf .git; git status")[1]


def test_removing_leaves_only_scratch(shell, state):
    shell("mkdir -p closed/inner; chmod 0 closed; echo x > /dev/null")
    shell.workspace.remove()
    assert list((state / "work").iterdir()) == []
    assert shell.workspace.scratch.exists()
