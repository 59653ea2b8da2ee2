"""The verifier: the workflow's commands, run in a fresh folder, and what they say."""

import signal
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loopsmith import process
from loopsmith.errors import HarnessError
from loopsmith.records import Completed, Run, Verdict
from loopsmith.verify.feedback import read_feedback
from loopsmith.verify.metrics import read_metrics
from loopsmith.workflow.schema import Settings
from loopsmith.workflow.units import format_duration, format_size
from loopsmith.workflow.values import Constraint
from loopsmith.workspace.protection import Protection
from loopsmith.workspace.removal import names, remove_folder, remove_new
from loopsmith.workspace.sandbox import Sandbox

DRIFT = 1.0  # seconds that the clock may move against the monotonic one, and a thousandth of the run
SHOWN = 5  # changed files named in a reason
# What a limit that the kernel holds ends a process with; see `process.Limits.script`.
OVER = {
    signal.SIGXCPU: "used more CPU time than verify.limits.cpu_time allows",
    signal.SIGXFSZ: "wrote a file larger than verify.limits.file_size allows",
}


class Verifier:
    """Runs setup, checks and the measuring command of one workflow."""

    def __init__(self, settings: Settings, sandbox: Sandbox):
        self._settings = settings.verify
        metrics = (settings.objective.metric, *settings.verify.constraints, *settings.decide.secondary)
        self._needed = tuple(dict.fromkeys(metrics))
        self._network = settings.guardrails.network != "none"
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
        measure: bool = True,
        protection: Protection | None = None,
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
            measure: without it, what passes has no verdict and no metrics.
            protection: of this folder. What it protects is read-only where there is a sandbox, and compared before
                and after; a run in which it changed has no score.

        Raises:
            HarnessError: a command could not be started, its output not written, or the folder is not as it must be.
        """
        if protection is not None:
            if self._sandbox.available:
                protection.mount_links()
            if changed := protection.changed():
                raise HarnessError(f"{folder} is not as it was committed ({named(changed)}); check the disk, run again")
        clocks = Clocks()
        job = _Job(folder, {"LOOPSMITH_SEED": str(seed), **(environment or {})}, mark, cores, protection)
        try:
            run = await self._steps(job, log, seed, check, measure)
        finally:
            if self._sandbox.shares_tmp:
                remove_folder(job.tmp)
        notes = {**clocks.notes(), **({"leftover_processes": job.leftovers} if job.leftovers else {})}
        if changed := job.changed or (protection.changed() if protection else ()):
            problem = f"protected files changed while it ran: {named(changed)}"
            notes["changed_files"] = list(changed)
            tail = run.tail or process.tail(log)
            run = replace(run, metrics={}, verdict=Verdict.FAILED, problem=problem, tail=tail)
        return replace(run, notes=notes)

    async def command(
        self,
        command: str,
        folder: Path,
        *,
        seed: int,
        log: Path,
        mark: str,
        cores: Collection[int] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        """Setup, then one command in the verifier's place, for what it prints and writes: nothing is scored.

        Gives how the command ended, or the step of the setup that failed, whose output is in `log` then. The other
        arguments are those of `run`.

        Raises:
            HarnessError: a command could not be started, or its output not written.
        """
        job = _Job(folder, {"LOOPSMITH_SEED": str(seed), **(environment or {})}, mark, cores, None)
        try:
            for step in self._settings.setup:
                done = await self._command(step, job, log)
                if not done.ok:
                    return done
            return await self._command(command, job, log)
        finally:
            if self._sandbox.shares_tmp:
                remove_folder(job.tmp)

    async def _steps(self, job: "_Job", log: Path, seed: int, check: bool, measure: bool) -> Run:
        steps = [("setup", command) for command in self._settings.setup]
        steps += [("check", command) for command in self._settings.checks if check]
        built: frozenset[str] | None = None
        for number, (kind, command) in enumerate(steps, 1):
            if kind == "check" and built is None:
                built = names(job.folder)
            step_log = log.with_name(f"{log.stem}.{kind}-{number}{log.suffix}")
            done = await self._command(command, job, step_log, setup=kind == "setup")
            if not done.ok:
                return self._failed(f"{kind} `{command}`", done, seed)
            if kind == "setup" and job.protection and (changed := job.protection.changed()):
                job.changed = changed
                return _run(done, seed, verdict=Verdict.FAILED)
            step_log.unlink()
        if built is not None:  # what a check left could stand in the verifier's way, and other runs have no checks
            remove_new(job.folder, built)
            if self._sandbox.shares_tmp:
                remove_folder(job.tmp)
        if not measure:
            return Run(seed=seed, metrics={}, seconds=0.0, log=None)
        done = await self._command(self._settings.command, job, log)
        if not done.ok:
            return self._failed("the verifier", done, seed)
        reading = read_metrics(log, self._settings.metrics, self._needed)
        if reading.problem:
            problem = reading.problem
            if done.output_bytes > self._settings.output_limit:
                problem += f" (it printed {format_size(done.output_bytes)}, and the middle of that was not kept)"
            return _run(done, seed, verdict=Verdict.FAILED, problem=problem)
        return _run(done, seed, metrics=reading.metrics)

    async def _command(self, command: str, job: "_Job", log: Path, *, setup: bool = False) -> Completed:
        tmp = None
        if self._sandbox.shares_tmp:  # which cannot give each command a /tmp of its own
            tmp = job.tmp
            tmp.mkdir(exist_ok=True)
        # Git must not find the user's repository, in which loopsmith's own folder may lie.
        ceiling = {"GIT_CEILING_DIRECTORIES": str(job.folder.parent)}
        done = await process.run(
            self._sandbox.wrap(
                self._sandbox.shell(command),
                folder=job.folder,
                writable=job.protection.pinned() if job.protection else (),
                protect=job.protection.read_only(setup=setup) if job.protection else None,
                tmp=tmp,
                network=self._network,
            ),
            cwd=job.folder,
            env=process.clean_environment({**self._settings.env, **job.environment, **ceiling}),
            timeout=self._settings.timeout,
            log=log,
            log_limit=self._settings.output_limit,
            mark=job.mark,
            cores=job.cores,
            limits=self._sandbox.limits,
            folders=() if tmp is None else (tmp,),
        )
        job.leftovers += done.leftovers
        return done

    def _failed(self, what: str, done: Completed, seed: int) -> Run:
        if done.timed_out:
            problem = f"{what} took longer than {format_duration(self._settings.timeout)}"
            return _run(done, seed, verdict=Verdict.TIMED_OUT, problem=problem)
        if done.limit:
            return _run(done, seed, verdict=Verdict.FAILED, problem=f"{what} {done.limit}")
        if (number := _signal(done)) in OVER:
            return _run(done, seed, verdict=Verdict.FAILED, problem=f"{what} {OVER[number]}")
        if number:
            return _run(done, seed, verdict=Verdict.CRASHED, problem=f"{what} was ended by {number.name}")
        problem = f"{what} exited with code {done.exit_code}"
        if done.exit_code in (126, 127):
            problem += ": a command was not found or could not be run"
        return _run(done, seed, verdict=Verdict.FAILED, problem=problem)


@dataclass
class _Job:
    """What the commands of one run share."""

    folder: Path
    environment: Mapping[str, str]
    mark: str
    cores: Collection[int] | None
    protection: Protection | None
    leftovers: int = 0
    changed: tuple[str, ...] = ()

    @property
    def tmp(self) -> Path:
        return self.folder.with_name(self.folder.name + ".tmp")


class Clocks:
    """The clock against those that nobody can set, from now on. No duration of ours comes from the clock."""

    def __init__(self) -> None:
        self._began = self._read()

    def _read(self) -> tuple[float, float, float]:
        awake = time.monotonic()
        return time.time(), awake if sys.platform != "linux" else time.clock_gettime(time.CLOCK_BOOTTIME), awake

    def notes(self) -> dict[str, Any]:
        """`clock_jump`: seconds that the clock was set by; `suspended`: seconds that the machine slept."""
        clock, uptime, awake = (now - then for now, then in zip(self._read(), self._began, strict=True))
        allowed = DRIFT + uptime / 1000
        found = {"clock_jump": clock - uptime, "suspended": uptime - awake}
        return {name: round(seconds, 3) for name, seconds in found.items() if abs(seconds) > allowed}


def named(files: tuple[str, ...]) -> str:
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]) + more


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
        feedback=read_feedback(done.log),
    )
