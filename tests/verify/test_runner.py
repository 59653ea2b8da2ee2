"""The verifier with real commands, inside the sandbox where there is one."""

import asyncio
import os
import re
import time
from dataclasses import replace

import pytest

from loopsmith import process
from loopsmith.errors import HarnessError
from loopsmith.records import Verdict
from loopsmith.verify.runner import Verifier, violations
from loopsmith.workflow.schema import Settings
from loopsmith.workflow.values import Constraint
from loopsmith.workspace import Protection, Repository, Sandbox, make_verification_folder, snapshot


@pytest.fixture(scope="module", params=["auto", "off"])
def sandbox(request):
    found = Sandbox.detect(request.param)
    if request.param == "auto" and not found.available:
        pytest.skip(f"no sandbox here: {found.reason}")
    return found


@pytest.fixture
def verify(tmp_path, sandbox):
    folder = tmp_path / "folder"
    folder.mkdir()

    def verify(command, *, check=False, seed=7, env=None, **settings):
        settings = Settings.model_validate(
            {
                "objective": {"metric": "x", "direction": "maximize"},
                "workspace": {"editable": ["*.py"]},
                "verify": {"command": command, **settings},
            }
        )
        verifier = Verifier(settings, sandbox)
        return asyncio.run(verifier.run(folder, seed=seed, log=tmp_path / "run.log", mark="test:", check=check))

    return verify


def test_a_run_that_scores_has_its_metrics_and_no_verdict(verify, tmp_path):
    run = verify("echo METRIC x=2.5; echo memory_mb: 100")
    assert (run.metrics, run.verdict, run.problem) == ({"x": 2.5, "memory_mb": 100.0}, None, "")
    assert run.log == tmp_path / "run.log"
    assert run.seconds > 0


def test_the_seed_is_given_to_every_step(verify):
    steps = {"setup": ["test $LOOPSMITH_SEED = 41"], "checks": ["test $LOOPSMITH_SEED = 41"]}
    assert verify("echo METRIC x=$LOOPSMITH_SEED", seed=41, check=True, **steps).metrics == {"x": 41.0}


def test_no_key_reaches_the_verifier_and_its_own_variables_do(verify, monkeypatch, tmp_path):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "s3cret")
    monkeypatch.setenv("WIDTH", "9")
    run = verify("env; echo METRIC x=$MINE", env={}, checks=[])
    assert "s3cret" not in (tmp_path / "run.log").read_text()
    assert run.verdict is Verdict.FAILED


def test_variables_of_the_workflow_reach_the_verifier(tmp_path, sandbox, monkeypatch):
    monkeypatch.setenv("WIDTH", "9")
    settings = Settings.model_validate(
        {
            "objective": {"metric": "x", "direction": "maximize"},
            "workspace": {"editable": ["*.py"]},
            "verify": {"command": "echo METRIC x=$MINE$OTHER", "env": {"MINE": "$WIDTH", "OTHER": 5}},
        }
    )
    run = asyncio.run(Verifier(settings, sandbox).run(tmp_path, seed=1, log=tmp_path / "log", mark="test:"))
    assert run.metrics == {"x": 95.0}


def test_setup_comes_before_checks_and_both_before_the_measurement(verify, tmp_path):
    steps = {"setup": ["echo s >> order"], "checks": ["echo c >> order"]}
    assert verify("cat order | tr -d '\\n'; echo; echo METRIC x=1", check=True, **steps).verdict is None
    assert (tmp_path / "run.log").read_text() == "sc\nMETRIC x=1\n"
    assert [path.name for path in tmp_path.glob("*.log")] == ["run.log"]


def test_checks_run_only_when_asked_for(verify):
    assert verify("echo METRIC x=1", checks=["exit 1"]).verdict is None


@pytest.mark.parametrize("kind", ["setup", "check"])
def test_a_step_that_fails_ends_the_run_and_keeps_its_output(verify, tmp_path, kind):
    steps = {"setup" if kind == "setup" else "checks": ["true", "echo wrong answer; exit 3"]}
    run = verify("touch measured; echo METRIC x=1", check=True, **steps)
    assert run.verdict is Verdict.FAILED
    assert run.problem == f"{kind} `echo wrong answer; exit 3` exited with code 3"
    assert run.tail == "wrong answer"
    assert run.log.read_text() == "wrong answer\n"
    assert not (tmp_path / "folder" / "measured").exists()


def test_a_failing_verifier_has_no_score_whatever_it_printed(verify):
    run = verify("echo METRIC x=1; exit 2")
    assert (run.verdict, run.metrics, run.problem) == (Verdict.FAILED, {}, "the verifier exited with code 2")
    assert run.tail == "METRIC x=1"


def test_a_missing_program_is_said_to_be_missing(verify):
    run = verify("no-such-program")
    assert run.verdict is Verdict.FAILED
    assert "code 127: a command was not found" in run.problem
    assert "no-such-program" in run.tail


@pytest.mark.parametrize("command", ["kill -SEGV $$", "sh -c 'kill -SEGV $$'; exit $?"])
def test_a_program_that_a_signal_ends_has_crashed(verify, command):
    run = verify(command)
    assert (run.verdict, run.problem) == (Verdict.CRASHED, "the verifier was ended by SIGSEGV")


def test_a_verifier_that_hangs_is_ended(verify):
    run = verify("echo METRIC x=1; sleep 60", timeout="0.3s")
    assert (run.verdict, run.metrics) == (Verdict.TIMED_OUT, {})
    assert run.problem.startswith("the verifier took longer than ")


def test_a_missing_metric_is_a_failure_with_its_reason(verify):
    run = verify("echo hello")
    assert (run.verdict, run.problem) == (Verdict.FAILED, "metric `x` is missing from the output")


def test_a_constrained_metric_must_be_measured_too(verify):
    run = verify("echo METRIC x=1", constraints={"mem": "<= 5"})
    assert run.problem == "metric `mem` is missing from the output"


def test_a_flood_of_output_is_cut_and_the_score_at_its_end_still_counts(verify, tmp_path):
    assert verify("yes | head -c 3000000; echo METRIC x=1", output_limit="100kB").metrics == {"x": 1.0}
    assert (tmp_path / "run.log").stat().st_size <= 100_000
    lost = verify("yes | head -c 3000000; echo METRIC x=1; yes | head -c 3000000", output_limit="100kB")
    assert "the middle of that was not kept" in lost.problem


def test_binary_output_is_no_obstacle(verify):
    assert verify("head -c 100000 /dev/urandom; echo; echo METRIC x=1").metrics["x"] == 1.0


def test_a_command_runs_in_the_folder(verify, tmp_path):
    (tmp_path / "folder" / "value").write_text("METRIC x=6")
    assert verify("cat value").metrics == {"x": 6.0}


def test_a_folder_that_is_gone_is_a_failure_of_the_harness(verify, tmp_path):
    (tmp_path / "folder").rmdir()
    with pytest.raises(HarnessError, match="cannot run"):
        verify("true")


def parsed(**constraints):
    return {metric: Constraint.parse(text) for metric, text in constraints.items()}


def test_constraints_that_hold_say_nothing():
    constraints = parsed(a="<= 5", b=">= baseline", c="within 10% of baseline")
    assert violations(constraints, {"a": 5, "b": 2, "c": 9.5}, {"b": 2, "c": 10}) == ()


def test_every_broken_constraint_is_said_with_its_numbers():
    constraints = parsed(a="<= 5", b=">= baseline", c="< baseline", d="> 1")
    assert violations(constraints, {"a": 6, "b": 1, "c": 1}, {"b": 2}) == (
        "a = 6, and must be <= 5",
        "b = 1, and must be >= baseline (baseline: 2)",
        "c = 1, and must be < baseline (baseline: unknown)",
        "d was not measured, and must be > 1",
    )


@pytest.fixture
def protected(tmp_path, sandbox):
    """Run commands in a real verification folder: `program.sh` is editable, `verify.sh` is not."""
    source, state = tmp_path / "source", tmp_path / "state"
    source.mkdir()
    (source / "program.sh").write_text("X=1\n")
    (source / "verify.sh").write_text(". ./program.sh; echo METRIC x=$X\n")
    repo = Repository.open(state)
    commit = snapshot(repo, source, max_size=10**6)
    folder = state / "folder"

    def run(command, **settings):
        make_verification_folder(repo, commit, folder, source=source, links=())
        parsed = Settings.model_validate(
            {
                "objective": {"metric": "x", "direction": "maximize"},
                "workspace": {"editable": ["program.sh"]},
                "verify": {"command": command, **settings},
            }
        )
        limited = replace(sandbox, limits=parsed.verify.limits.bounds())
        protection = Protection(repo, commit, folder, lambda name: name == "program.sh")
        verifier = Verifier(parsed, limited)
        job = verifier.run(
            folder, seed=1, log=tmp_path / "log", mark=f"runner{os.getpid()}:", check=True, protection=protection
        )
        return asyncio.run(job)

    run.folder, run.protection = folder, Protection(repo, commit, folder, lambda name: name == "program.sh")
    return run


def test_a_run_that_leaves_everything_as_it_was_has_no_notes(protected):
    run = protected("sh verify.sh", setup=["echo built > made"], checks=["test -f made"])
    assert (run.metrics, run.verdict, run.notes) == ({"x": 1.0}, None, {})


REACH = "echo 'echo METRIC x=99' > verify.sh"


@pytest.mark.parametrize("step", ["setup", "checks", "command"])
def test_a_run_that_reaches_for_the_verifier_has_no_score(protected, sandbox, step):
    reach = f"{{ {REACH}; }} 2>/dev/null || true; true"
    command = "sh verify.sh"
    run = protected(f"{reach}; {command}") if step == "command" else protected(command, **{step: [reach]})
    if sandbox.available:  # it could not be written at all
        assert (run.metrics, run.notes) == ({"x": 1.0}, {})
    else:
        assert (run.verdict, run.metrics) == (Verdict.FAILED, {})
        assert run.problem == "protected files changed while it ran: verify.sh"
        assert run.notes == {"changed_files": ["verify.sh"]}


def test_a_folder_that_is_not_as_committed_is_a_failure_of_the_harness(protected):
    protected("sh verify.sh")
    (protected.folder / "verify.sh").write_text("other")
    settings = Settings.model_validate(
        {
            "objective": {"metric": "x", "direction": "maximize"},
            "workspace": {"editable": ["program.sh"]},
            "verify": {"command": "true"},
        }
    )
    log = protected.folder / "log"
    job = Verifier(settings, Sandbox()).run(
        protected.folder, seed=1, log=log, mark="t:", protection=protected.protection
    )
    with pytest.raises(HarnessError, match=r"not as it was committed \(verify.sh\)"):
        asyncio.run(job)


def test_processes_that_outlive_the_verifier_are_noted(protected, sandbox):
    if sandbox.available:
        pytest.skip("in the sandbox the kernel ends them with the command")
    run = protected("(setsid sleep 60 &) ; sh verify.sh")
    assert run.metrics == {"x": 1.0}
    assert run.notes == {"leftover_processes": 1}


OVER = {
    "memory": ("100MB", "python3 -c 'import time; x = bytearray(300_000_000); time.sleep(9)'", "memory"),
    "file_size": ("1MB", "head -c 3000000 /dev/zero > big && sh verify.sh", "file larger|exited with"),
    "disk": ("8MB", "for i in 1 2 3 4 5; do head -c 4000000 /dev/zero > $i; done; sleep 9", "to disk"),
    "cpu_time": ("1s", "while :; do :; done", "CPU time than verify.limits.cpu_time"),
}


@pytest.mark.parametrize("limit", OVER)
def test_a_run_over_a_limit_has_failed_and_says_which(protected, limit):
    bound, command, said = OVER[limit]
    run = protected(command, limits={limit: bound})
    assert (run.verdict, run.metrics) == (Verdict.FAILED, {})
    assert re.search(said, run.problem), run.problem


def test_a_fork_bomb_fails_its_own_run_alone(protected):
    if not process.can_group():
        pytest.skip("no control group can be made here, and a fork bomb that only we watch would disturb the machine")
    run = protected("f() { f | f & }; f; sleep 1; sh verify.sh", limits={"processes": 40})
    assert (run.verdict, run.metrics) == (Verdict.FAILED, {})
    assert "more than 40 processes and threads (verify.limits.processes)" in run.problem
    assert protected("sh verify.sh").metrics == {"x": 1.0}


@pytest.mark.parametrize("jump", [3600.0, -86400.0])
def test_a_clock_that_is_set_during_a_run_is_noted_and_changes_nothing_else(protected, monkeypatch, jump):
    real, set_at = time.time, []

    def clock():  # as a person, or a time server, sets it after the first look
        set_at.append(real())
        return set_at[-1] + (jump if len(set_at) > 1 else 0.0)

    monkeypatch.setattr(time, "time", clock)
    run = protected("sleep 0.2; sh verify.sh")
    assert run.metrics == {"x": 1.0}
    assert run.notes["clock_jump"] == pytest.approx(jump, abs=5)
    assert 0.2 <= run.seconds < 20


def test_what_a_check_leaves_is_gone_before_the_measurement_and_what_setup_built_is_not(verify, tmp_path):
    (tmp_path / "folder/lib").mkdir()
    leave = "mkdir -p a/b lib/c && touch a/b/x lib/y x lib/c/z && ln -s / lib/link && chmod 500 lib a"
    steps = {"setup": ["echo built > lib/made"], "checks": [leave, "test -e a/b/x"]}
    run = verify("find . | sort | tr '\\n' ' '; echo; echo METRIC x=1", check=True, **steps)
    assert run.verdict is None, run.tail
    assert run.log.read_text().splitlines()[0] == ". ./lib ./lib/made "
