"""The worker with a model: ask, run the tools it calls, and so on until it submits or meets a limit."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from loopsmith.agents import build_model
from loopsmith.agents.conversation import Conversation, OutOfTime
from loopsmith.agents.model import (
    Completion,
    ConversationError,
    Message,
    Model,
    Stop,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from loopsmith.agents.prompts import CUT_OFF, GO_ON, NOT_YET, SYSTEM, ending, opening
from loopsmith.agents.tools import Submitted, Toolbox
from loopsmith.errors import LimitReached
from loopsmith.log import mask
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief, Report
from loopsmith.workflow.agent import ModelAgent


class Ended(Exception):
    """The work is over, as expected; carries the report."""

    def __init__(self, report: Report):
        self.report = report


class ToolLoop:
    """`Agent` over any `Model`."""

    def __init__(self, settings: ModelAgent):
        self.model = build_model(settings)
        self.name = self.model.name

    def check(self, folder: Path, files: Sequence[str]) -> None:
        """Nothing is left to check: without a key and a price the agent could not be built."""

    async def work(self, brief: Brief, workspace: Workspace, services: Services) -> Report:
        """See `protocols.Agent`."""
        return await Worker(self.model, brief, workspace, services).run()


class Worker:
    """One run of the loop: run -> step -> query -> execute."""

    def __init__(self, model: Model, brief: Brief, workspace: Workspace, services: Services):
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
        )
        self.turns = 0
        self.nudged = False

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
        try:
            answer = await self.talk.ask()
        except LimitReached as reached:
            raise self.ended(reached.limit.rpartition(".")[2]) from reached
        except OutOfTime as late:
            raise self.ended("wall_clock") from late
        except ConversationError as error:
            raise self.ended("error", error=str(error)) from error
        self.record(answer)
        return answer

    async def execute(self, answer: Completion) -> None:
        """Run the calls of one answer in order, and tell the model what came out."""
        if answer.stop is Stop.REFUSED:
            raise self.ended("error", error=f"the model refuses: {answer.text[:200] or 'it gives no reason'}")
        if not answer.calls:
            if self.nudged:
                raise self.ended("stopped")
            self.nudged = True
            return self.say(UserMessage(text=CUT_OFF if answer.stop is Stop.LENGTH else GO_ON))
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
        note = ending(self.brief.limits, self.turns, left)
        results[-1] = replace(results[-1], text=results[-1].text + note)
        return self.say(ToolMessage(results=tuple(results)))

    def say(self, message: Message) -> None:
        self.talk.messages.append(message)
        self.record(message)

    def record(self, message: Message) -> None:
        with self.transcript.open("a") as file:
            file.write(mask(json.dumps({"kind": type(message).__name__, **asdict(message)})) + "\n")

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
