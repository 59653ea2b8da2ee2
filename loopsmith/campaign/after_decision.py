"""The hook after each decision: a command of the person's own, which the campaign does not wait for within a round."""

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from loopsmith import process
from loopsmith.campaign.context import Context
from loopsmith.campaign.hooks import FAILED, environment, failure, record_of
from loopsmith.errors import HarnessError
from loopsmith.records import Candidate
from loopsmith.workflow.hooks import HookName
from loopsmith.workflow.quote import one_line

NAME: HookName = "after_decision"
RAN = "hook.ran"
DECIDED = ("candidate.decided", "candidate.reviewed")


class AfterDecision:
    """Runs the hook for one candidate after another, in the order of their decisions, beside the campaign.

    The end of a round waits for it, so that it never falls behind by more; a candidate whose hook a kill cut off is
    in the open round, and its hook runs again.
    """

    def __init__(self, context: Context):
        self.context = context
        self.waiting: deque[Candidate] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def script(self) -> str | None:
        """As the settings are now: they may change while the campaign runs."""
        return self.context.settings.hooks.after_decision

    def observe(self, name: str, candidate: Candidate | None, data: Mapping[str, Any]) -> None:
        if name in DECIDED and candidate is not None and self.script is not None:
            self._add(candidate)

    def resume(self) -> None:
        """Take up the decided candidates of the open round whose hook did not end."""
        store = self.context.store
        if self.script is None or (open_round := store.open_round(self.context.id)) is None:
            return
        events = (*store.events(self.context.id, name=RAN), *store.events(self.context.id, name=FAILED))
        ran = {event.candidate_id for event in events if event.data.get("hook") == NAME}
        for candidate in store.candidates(self.context.id, round_id=open_round.id):
            if candidate.status.final and candidate.id not in ran:
                self._add(candidate)

    async def drained(self) -> None:
        """Wait until it has run for every decided candidate."""
        while self._task is not None:
            await self._task

    async def cancel(self) -> None:
        """End the one that runs, and run no more."""
        self.waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _add(self, candidate: Candidate) -> None:
        self.waiting.append(candidate)
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self.waiting:
                await self._run(self.waiting.popleft())
        finally:
            self._task = None

    async def _run(self, candidate: Candidate) -> None:
        context, script = self.context, self.script
        if script is None:
            return
        folder = context.state.artifacts(context.id, candidate.number)
        own = {
            "LOOPSMITH_VERDICT": str(candidate.status),
            "LOOPSMITH_ARTIFACTS": str(folder),
            "LOOPSMITH_STATE": str(context.state.root),
        }
        try:
            done = await process.run(
                ["/bin/sh", "-c", script],
                cwd=context.workflow.folder,
                env={**os.environ, **environment(NAME, context, candidate), **own},
                timeout=context.settings.hooks.timeout_ms / 1000,
                log=folder / f"hook-{NAME}-{candidate.attempt}.log",
                mark=f"{context.id}.{candidate.number}.{NAME}",
                stdin=record_of(NAME, context, candidate),
            )
            failed = failure(NAME, done, context.settings.hooks)
        except HarnessError as error:
            failed = f"hooks.{NAME} could not be run: {one_line(str(error))}"
        if failed:
            context.emit(FAILED, candidate, hook=NAME, reason=failed)
        else:
            context.emit(RAN, candidate, hook=NAME)
