"""The hooks around a worker: shell commands that run in its folder, around its agent.

What failing means is as in Symphony's SPEC.md, "Workspace Hooks": before the agent it ends the attempt, after it the
campaign goes on.
"""

from collections.abc import Callable, Sequence

import structlog

from loopsmith.campaign.context import Context
from loopsmith.errors import HarnessError
from loopsmith.log import mask
from loopsmith.records import Candidate, Completed, Decision, Verdict
from loopsmith.tracker.reading.extract import json_text
from loopsmith.workflow import format_duration
from loopsmith.workflow.hooks import HookName, Hooks
from loopsmith.workflow.quote import one_line
from loopsmith.workspace.worker import WorkerWorkspace

FAILED = "hook.failed"
IN_A_ROW = 4  # attempts that hooks end before the campaign stops
log = structlog.get_logger("loopsmith")


class WorkerHooks:
    """The hooks of one worker."""

    def __init__(self, context: Context, candidate: Candidate, workspace: WorkerWorkspace):
        self.context, self.candidate, self.workspace = context, candidate, workspace
        self.settings = context.settings.hooks

    async def prepare(self, problems: Callable[[], Sequence[str]]) -> Decision | None:
        """Run `after_create` and `before_run`; gives how the attempt ended when one of them failed.

        Args:
            problems: the rules that the folder breaks; a hook that leaves any has failed, not the worker after it.

        Raises:
            HarnessError: a hook could not be run, or hooks ended several attempts in a row.
        """
        first: tuple[HookName, ...] = ("after_create", "before_run")
        there = [name for name in first if self.settings.script(name) is not None]
        before = set(problems()) if there else set()  # conflicts that a worker is to resolve
        for name in there:
            failed = await self._run(name)
            if not failed and (found := [each for each in problems() if each not in before]):
                failed = f"hooks.{name} changed what a candidate may not: {one_line('; '.join(found))}"
            if failed:
                self.context.emit(FAILED, self.candidate, hook=name, reason=failed)
                self.context.hook_failures += 1
                if self.context.hook_failures >= IN_A_ROW:
                    raise HarnessError(
                        f"hooks ended {IN_A_ROW} attempts in a row, at last because {failed}; mend hooks.{name} in the "
                        "workflow, and run it again to go on"
                    )
                return Decision(verdict=Verdict.CRASHED, reason=failed, rule="hook")
        self.context.hook_failures = 0
        return None

    async def after_run(self) -> None:
        """Run it; a failure is an event, no more."""
        await self._run_and_ignore("after_run")

    async def remove(self) -> None:
        """Run `before_remove`, and remove the folder whatever becomes of that."""
        try:
            await self._run_and_ignore("before_remove")
        finally:
            self.workspace.remove()

    async def _run_and_ignore(self, name: HookName) -> None:
        try:
            failed = await self._run(name)
        except HarnessError as error:
            failed = f"hooks.{name} could not be run: {one_line(str(error))}"
        if failed:
            self.context.emit(FAILED, self.candidate, hook=name, reason=failed)

    async def _run(self, name: HookName) -> str:
        """Why the hook failed, in words; empty when it did not, or there is none."""
        script = self.settings.script(name)
        if script is None:
            return ""
        log.info("hook.started", campaign=self.context.id, candidate=self.candidate.number, hook=name)
        done = await self.workspace.shell(
            script,
            self.settings.timeout_ms / 1000,
            env=self._environment(name),
            log=f"hook-{name}-{self.candidate.attempt}.log",
            stdin=record_of(name, self.context, self.candidate),
        )
        return failure(name, done, self.settings)

    def _environment(self, name: HookName) -> dict[str, str]:
        return environment(name, self.context, self.candidate)


def failure(name: HookName, done: Completed, settings: Hooks) -> str:
    """Why a hook failed, in words; empty when it did not."""
    if done.ok:
        return ""
    said = done.log.read_text(errors="replace").strip().splitlines()[-1:]
    if done.timed_out:
        how = f"took longer than {format_duration(settings.timeout_ms / 1000)}"
    elif done.limit:
        how = f"was ended: {done.limit}"
    elif done.signal is not None:
        how = f"was ended by signal {done.signal}"
    else:
        how = f"ended with exit code {done.exit_code}"
    return f"hooks.{name} {how}" + "".join(f": {one_line(line)}" for line in said)


def record_of(name: HookName, context: Context, candidate: Candidate) -> bytes:
    """What a hook reads on its standard input: all that is known of the candidate, as one JSON object."""
    known = context.store.known_candidate(context.id, candidate.number)
    objective = context.settings.objective
    campaign = {"campaign": context.id, "metric": objective.metric, "direction": objective.direction}
    return (mask(json_text({"hook": name, **campaign, **known})) + "\n").encode()


def environment(name: HookName, context: Context, candidate: Candidate) -> dict[str, str]:
    """The variables that every hook has."""
    return {
        "LOOPSMITH_HOOK": name,
        "LOOPSMITH_CAMPAIGN": candidate.campaign_id,
        "LOOPSMITH_ROUND": str(context.store.round(candidate.round_id).number),
        "LOOPSMITH_CANDIDATE": str(candidate.number),
        "LOOPSMITH_CANDIDATE_ID": candidate.id,
        "LOOPSMITH_ATTEMPT": str(candidate.attempt),
    }
