"""The verifier: the workflow's commands, run in a fresh folder, and what they say."""

import signal
from collections.abc import Collection, Mapping
from pathlib import Path

from loopsmith import process
from loopsmith.records import Completed, Run, Verdict
from loopsmith.verify.metrics import read_metrics
from loopsmith.workflow.schema import Settings
from loopsmith.workflow.units import format_duration, format_size
from loopsmith.workflow.values import Constraint
from loopsmith.workspace.sandbox import Sandbox


class Verifier:
    """Runs setup, checks and the measuring command of one workflow."""

    def __init__(self, settings: Settings, sandbox: Sandbox):
        self._settings = settings.verify
        self._needed = tuple(dict.fromkeys((settings.objective.metric, *settings.verify.constraints)))
        self._network = settings.guardrails.network == "allow"
        self._sandbox = sandbox

    async def run(
        self,
        folder: Path,
        *,
        seed: int,
        log: Path,
        mark: str,
        cores: Collection[int] | None = None,
        environment: Mapping[str, str] | None = None,
        check: bool = False,
    ) -> Run:
        """Setup, then the checks if asked, then the measurement; the first that fails ends the run.

        Args:
            folder: a fresh folder of the verifier's own.
            seed: given to every command as `LOOPSMITH_SEED`.
            log: gets the output of the measurement; that of a failed step goes to a file beside it, which the
                run then names.
            mark: for `process.sweep`.
            cores: the CPUs to run on.
            environment: variables of this run alone, such as which GPUs it has.
            check: run the checks too.

        Raises:
            HarnessError: a command could not be started, or its output not written.
        """
        own = {"LOOPSMITH_SEED": str(seed), **(environment or {})}
        steps = [("setup", command) for command in self._settings.setup]
        steps += [("check", command) for command in self._settings.checks if check]
        for number, (kind, command) in enumerate(steps, 1):
            step_log = log.with_name(f"{log.stem}.{kind}-{number}{log.suffix}")
            done = await self._command(command, folder, own, step_log, mark, cores)
            if not done.ok:
                return self._failed(f"{kind} `{command}`", done, seed)
            step_log.unlink()
        done = await self._command(self._settings.command, folder, own, log, mark, cores)
        if not done.ok:
            return self._failed("the verifier", done, seed)
        reading = read_metrics(log, self._settings.metrics, self._needed)
        if reading.problem:
            problem = reading.problem
            if done.output_bytes > self._settings.output_limit:
                problem += f" (it printed {format_size(done.output_bytes)}, and the middle of that was not kept)"
            return _run(done, seed, verdict=Verdict.FAILED, problem=problem)
        return _run(done, seed, metrics=reading.metrics)

    async def _command(
        self,
        command: str,
        folder: Path,
        own: Mapping[str, str],
        log: Path,
        mark: str,
        cores: Collection[int] | None,
    ) -> Completed:
        # Git must not find the user's repository, in which loopsmith's own folder may lie.
        ceiling = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
        return await process.run(
            self._sandbox.wrap(["/bin/sh", "-c", command], folder=folder, network=self._network),
            cwd=folder,
            env=process.clean_environment({**self._settings.env, **own, **ceiling}),
            timeout=self._settings.timeout,
            log=log,
            log_limit=self._settings.output_limit,
            mark=mark,
            cores=cores,
        )

    def _failed(self, what: str, done: Completed, seed: int) -> Run:
        if done.timed_out:
            problem = f"{what} took longer than {format_duration(self._settings.timeout)}"
            return _run(done, seed, verdict=Verdict.TIMED_OUT, problem=problem)
        if number := _signal(done):
            return _run(done, seed, verdict=Verdict.CRASHED, problem=f"{what} was ended by {number.name}")
        problem = f"{what} exited with code {done.exit_code}"
        if done.exit_code in (126, 127):
            problem += ": a command was not found or could not be run"
        return _run(done, seed, verdict=Verdict.FAILED, problem=problem)


def violations(
    constraints: Mapping[str, Constraint], metrics: Mapping[str, float], baseline: Mapping[str, float]
) -> tuple[str, ...]:
    """The constraints that a run does not meet, each in words.

    Args:
        metrics: of the run; every constrained metric is there when it scored.
        baseline: what `baseline` in a constraint stands for, by metric.
    """
    problems = []
    for metric, constraint in constraints.items():
        value, reference = metrics.get(metric), baseline.get(metric)
        if value is None:
            problems.append(f"{metric} was not measured, and must be {constraint}")
        elif not constraint.holds(value, reference):
            known = "unknown" if reference is None else f"{reference:g}"
            problems.append(
                f"{metric} = {value:g}, and must be {constraint}"
                + (f" (baseline: {known})" if constraint.needs_baseline else "")
            )
    return tuple(problems)


def _signal(done: Completed) -> signal.Signals | None:
    """The signal that ended a command; a shell or a sandbox around it tells by an exit code of 128 and more."""
    number = done.signal or (done.exit_code or 0) - 128
    return signal.Signals(number) if number in set(signal.Signals) else None


def _run(
    done: Completed,
    seed: int,
    *,
    metrics: dict[str, float] | None = None,
    verdict: Verdict | None = None,
    problem: str = "",
) -> Run:
    return Run(
        seed=seed,
        metrics=metrics or {},
        seconds=done.seconds,
        log=done.log,
        verdict=verdict,
        problem=problem,
        tail=process.tail(done.log) if verdict else "",
    )
