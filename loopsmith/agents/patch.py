"""The worker with a model and without tools: one call that answers with edits, and one repair turn."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from loopsmith.agents.conversation import Conversation
from loopsmith.agents.edits import Answer, BadAnswer, applied, parse
from loopsmith.agents.files import Files, Refused
from loopsmith.agents.model import Completion, ConversationError, Model, OutOfTime, Stop, UserMessage
from loopsmith.agents.output import printable
from loopsmith.errors import LimitReached, WorkflowError
from loopsmith.log import mask
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief, Report
from loopsmith.workflow.quote import fence
from loopsmith.workflow.units import format_size
from loopsmith.workflow.values import editable_matcher

SYSTEM = resources("loopsmith.agents.prompts").joinpath("patch.md").read_text(encoding="utf-8")
MOST_SHOWN = 200_000  # bytes of editable files in one prompt, about 60,000 tokens


def check_size(folder: Path, files: Sequence[str]) -> None:
    """Whether the editable files fit into one prompt.

    Raises:
        WorkflowError: they do not.
    """
    size = sum((folder / name).stat().st_size for name in files)
    if size > MOST_SHOWN:
        raise WorkflowError(
            f"`agent.mode: patch` shows all editable files in one call, and they have {format_size(size)}, more than "
            f"{format_size(MOST_SHOWN)}: make workspace.editable narrower, or use `mode: tools`"
        )


class PatchWorker:
    """One run: ask, apply, and where the answer or the change has problems, ask once more."""

    def __init__(self, model: Model, brief: Brief, workspace: Workspace, services: Services):
        self.brief, self.services = brief, services
        self.files = Files(workspace.path, (), editable_matcher(brief.editable), ", ".join(brief.editable))
        self.originals: dict[str, str] = {}  # of the files that an answer changed
        self.changed: set[str] = set()
        self.transcript = workspace.scratch / f"transcript-{brief.attempt}.jsonl"
        limit = brief.limits.wall_clock
        self.talk = Conversation(
            model=model,
            role="worker",
            reserve=services.reserve,
            settle=services.settle,
            system=SYSTEM,
            tools=(),
            deadline=None if limit is None else time.monotonic() + limit,
            pause=services.pause,
            ready=services.ready,
            scope=brief.candidate_id.rpartition(".")[2],
        )

    async def run(self) -> Report:
        self.transcript.write_text(json.dumps({"system": SYSTEM}) + "\n")
        self.say(UserMessage(shared=self.sources(), text=self.brief.prompt))
        async with self.talk.model.connected():
            return await self.work()

    async def work(self) -> Report:
        problems: tuple[str, ...] = ()
        words = Answer("", "", ())
        turns = 2 if self.brief.limits.turns is None else min(2, self.brief.limits.turns)
        for turn in range(turns):
            self.services.progress("writing the change" if not turn else "mending the change")
            try:
                reply = await self.talk.ask()
            except LimitReached as reached:
                return self.report(reached.limit.rpartition(".")[2], words, problems)
            except OutOfTime:
                return self.report("wall_clock", words, problems)
            except ConversationError as error:
                return self.report("error", words, problems, error=str(error))
            self.note("Completion", **asdict(reply))
            if reply.stop is Stop.REFUSED:
                said = reply.text[:200] or "it gives no reason"
                return self.report("error", words, problems, error=f"the model refuses: {said}")
            try:
                words, problems = self.apply(reply)
            except BadAnswer as bad:
                problems = bad.problems
            if not problems:
                break
            if turn + 1 < turns:
                self.say(UserMessage(text=repair(problems)))
        return self.report("submitted", words, problems)

    def apply(self, reply: Completion) -> tuple[Answer, tuple[str, ...]]:
        """Put the answer's change in place; gives its words, and the guardrails that the change breaks.

        Raises:
            BadAnswer: it cannot be read, or does not fit the untouched files; nothing of it is in place.
        """
        if reply.stop is Stop.LENGTH:
            raise BadAnswer("your answer was cut off at its length limit; change less, or replace instead of rewrite")
        answer = parse(reply.text)
        self.take_back()  # a repair is of the untouched files
        try:
            for name, text in applied(answer.blocks, self.files).items():
                path = self.files.root / name
                if name not in self.originals and path.exists():
                    self.originals[name] = self.files.read(path, name)
                self.files.write(path, text)
                self.changed.add(name)
        except Refused as problem:
            self.take_back()
            raise BadAnswer(str(problem)) from None
        return answer, tuple(self.services.problems())

    def take_back(self) -> None:
        """Undo what an answer changed."""
        for name in self.changed:
            path = self.files.root / name
            if name in self.originals:
                self.files.write(path, self.originals[name])
            else:
                path.unlink()
        self.changed.clear()

    def sources(self) -> str:
        """The editable files, whole. They stand first: all workers of a round begin with them."""
        parts = []
        for name in self.brief.files:
            try:
                text = self.files.read(self.files.readable_path(name), name)
            except Refused:
                continue  # binary, or gone: the model cannot change it anyway
            parts.append(f"FILE: {name}\n{fence(printable(text))}")
        return "### The editable files\n" + "\n\n".join(parts) + "\n\n"

    def say(self, message: UserMessage) -> None:
        self.talk.messages.append(message)
        self.note("UserMessage", **asdict(message))

    def note(self, kind: str, **data: Any) -> None:
        with self.transcript.open("a") as file:
            file.write(mask(json.dumps({"kind": kind, **data})) + "\n")

    def report(self, reason: str, words: Answer, problems: tuple[str, ...], *, error: str = "") -> Report:
        unfit = problems if not self.changed else ()
        return Report(
            finish_reason="unusable" if unfit and reason == "submitted" else reason,
            hypothesis=words.hypothesis or self.brief.hypothesis,
            summary=words.hypothesis,
            lesson=words.lesson or (f"its answer could not be applied: {'; '.join(unfit)}"[:500] if unfit else ""),
            error=error,
            transcript=self.transcript,
        )


def repair(problems: Sequence[str]) -> str:
    listed = "\n".join(f"- {problem}" for problem in problems)
    return (
        f"Your change cannot be used as it is:\n{listed}\n\nAnswer once more, in the same form and whole, against the "
        "files as they were shown first: nothing of your first answer is in them. There is no third try."
    )
