"""The worker with a model: ask, run the tools it calls, and so on until it submits or meets a limit."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from loopsmith.agents.compaction import compacted
from loopsmith.agents.conversation import Conversation
from loopsmith.agents.model import (
    Completion,
    ContextFull,
    ConversationError,
    Message,
    Model,
    OutOfTime,
    Stop,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from loopsmith.agents.patch import PatchWorker, check_size
from loopsmith.agents.progress import Progress
from loopsmith.agents.prompts import CUT_OFF, GO_ON, NOT_YET, SYSTEM, ending, opening
from loopsmith.agents.registry import build_model
from loopsmith.agents.tools import Submitted, Toolbox
from loopsmith.errors import LimitReached
from loopsmith.log import mask
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief, Report
from loopsmith.workflow.agent import ModelAgent

KEPT_TURNS = 3  # whose tool output is kept when room is made before the context is full


class Ended(Exception):
    """The work is over, as expected; carries the report."""

    def __init__(self, report: Report):
        self.report = report


class ToolLoop:
    """`Agent` over any `Model`."""

    def __init__(self, settings: ModelAgent, model: Model | None = None):
        self.settings, self.model = settings, model or build_model(settings)
        self.name = self.model.name

    def check(self, folder: Path, files: Sequence[str]) -> None:
        """See `protocols.Agent`; without a key and a price the agent could not be built."""
        if self.settings.mode == "patch":
            check_size(folder, files)

    async def work(self, brief: Brief, workspace: Workspace, services: Services) -> Report:
        """See `protocols.Agent`."""
        if self.settings.mode == "patch":
            return await PatchWorker(self.model, brief, workspace, services).run()
        return await Worker(self.model, brief, workspace, services, idle_turns=self.settings.idle_turns).run()


class Worker:
    """One run of the loop: run -> step -> query -> execute."""

    def __init__(self, model: Model, brief: Brief, workspace: Workspace, services: Services, *, idle_turns: int):
        limit = brief.limits.wall_clock
        deadline = None if limit is None else time.monotonic() + limit
        self.brief, self.services = brief, services
        self.tools = Toolbox(brief, workspace, services, deadline)
        self.transcript = workspace.scratch / f"transcript-{brief.attempt}.jsonl"
        self.talk = Conversation(
            model=model,
            role="worker",
            reserve=services.reserve,
            settle=services.settle,
            system=SYSTEM,
            tools=self.tools.tools,
            deadline=deadline,
            pause=services.pause,
            ready=services.ready,
            scope=brief.candidate_id.rpartition(".")[2],
        )
        self.progress = Progress(idle_turns)
        self.turns = 0
        self.nudged = self.squeezed = False

    async def run(self) -> Report:
        self.transcript.write_text(json.dumps({"system": SYSTEM}) + "\n")
        self.say(UserMessage(text=opening(self.brief)))
        try:
            async with self.talk.model.connected():
                while True:
                    await self.step()
        except Ended as end:
            return end.report

    async def step(self) -> None:
        await self.execute(await self.query())

    async def query(self) -> Completion:
        """The model's next answer, if the limits allow one."""
        limit = self.brief.limits.turns
        if limit is not None and self.turns >= limit:
            raise self.ended("turns")
        self.turns += 1
        self.services.progress(f"turn {self.turns}: thinking")
        bound, window = self.talk.bound(), self.talk.model.context_tokens
        if window is not None and bound.input + bound.output > window:
            self.make_room(keep=KEPT_TURNS)
        try:
            answer = await self.ask()
        except ContextFull as full:
            raise self.ended("context") from full
        except LimitReached as reached:
            raise self.ended(reached.limit.rpartition(".")[2]) from reached
        except OutOfTime as late:
            raise self.ended("wall_clock") from late
        except ConversationError as error:
            raise self.ended("error", error=str(error)) from error
        self.record(answer)
        return answer

    async def ask(self) -> Completion:
        """An answer, after one compaction if the context is full."""
        try:
            answer = await self.talk.ask()
        except ContextFull:
            if self.squeezed or not self.make_room(keep=1):
                raise
            self.squeezed = True
            answer = await self.talk.ask()
        self.tools.deadline = self.talk.deadline  # a rate limit moves it
        return answer

    def make_room(self, keep: int) -> bool:
        """Leave stale tool output out of the conversation, if there is enough of it."""
        shorter = compacted(self.talk.messages, keep=keep)
        if shorter is None:
            return False
        self.talk.messages = shorter
        self.progress.forget()
        self.note("Compaction", kept_turns=keep)
        return True

    async def execute(self, answer: Completion) -> None:
        """Run the calls of one answer in order, and tell the model what came out."""
        if answer.stop is Stop.REFUSED:
            raise self.ended("error", error=f"the model refuses: {answer.text[:200] or 'it gives no reason'}")
        if not answer.calls:
            if self.nudged:
                raise self.ended("stopped")
            self.nudged = True
            self.say(UserMessage(text=CUT_OFF if answer.stop is Stop.LENGTH else GO_ON))
            return
        self.nudged = False
        results: list[ToolResult] = []
        for call in answer.calls:
            self.services.progress(f"turn {self.turns}: {describe(call)}")
            if call.name == "submit" and any(result.failed for result in results):
                results.append(ToolResult(call_id=call.id, text=NOT_YET, failed=True))
                continue
            try:
                last = self.turns == self.brief.limits.turns
                results.append(await self.tools.run(call, last=last))
            except Submitted as done:
                raise self.ended("submitted", **done.words.model_dump()) from None
        left = None if self.talk.deadline is None else self.talk.deadline - time.monotonic()
        note = self.progress.turn([*zip(answer.calls, results, strict=True)], edited=self.tools.edited())
        note += ending(self.brief.limits, self.turns, left)
        results[-1] = replace(results[-1], text=results[-1].text + note)
        self.say(ToolMessage(results=tuple(results)))
        if self.progress.stopped:
            own = self.tools.offered.lesson if self.tools.offered else ""
            why = f"the worker was stopped without progress: {self.progress.stopped}"
            raise self.ended("no_progress", lesson=f"{own} ({why})" if own else why)

    def say(self, message: Message) -> None:
        self.talk.messages.append(message)
        self.record(message)

    def record(self, message: Message) -> None:
        self.note(type(message).__name__, **asdict(message))

    def note(self, kind: str, **data: Any) -> None:
        with self.transcript.open("a") as file:
            file.write(mask(json.dumps({"kind": kind, **data})) + "\n")

    def ended(self, reason: str, **words: Any) -> Ended:
        """The end, with the words of its submit, or else the model's last words as the summary."""
        if "summary" not in words and self.tools.offered is not None:
            words = {**self.tools.offered.model_dump(), **words}
        if "summary" not in words:
            spoken = [m.text for m in self.talk.messages if isinstance(m, Completion) and m.text.strip()]
            words["summary"] = spoken[-1].strip()[:1000] if spoken else ""
        words["hypothesis"] = words.get("hypothesis") or self.brief.hypothesis
        return Ended(Report(finish_reason=reason, transcript=self.transcript, **words))


def describe(call: ToolCall) -> str:
    """A call in a few words, for the live line."""
    words = str(next(iter(call.arguments.values()), ""))
    return f"{call.name} {' '.join(words.split())[:60]}".rstrip()
