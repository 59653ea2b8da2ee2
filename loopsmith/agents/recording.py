"""Record and replay: each answer of a model in a file, found again by what was asked, without a network.

A key is made of what is the same in two runs: the model, the role, the candidate, the system prompt, the tools, what
loopsmith and the model said. What tools printed is left out, and so are numbers that clocks and noise decide. The same
key asked twice gives its answers in their order.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loopsmith.agents.line import Line
from loopsmith.agents.model import (
    Completion,
    ContextFull,
    ConversationError,
    Message,
    Model,
    OutOfTime,
    Stop,
    Tokens,
    Tool,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from loopsmith.errors import ProviderError, UsageError
from loopsmith.log import mask

FORMAT = 1
INDEX = "recording.json"
_FENCED = re.compile(r"(?ms)^(~{3,})data$.*?^\1$")
_UNSTABLE = re.compile(
    r"0x[0-9a-f]+"
    r"|\b\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?)?"
    r"|\b\d\d:\d\d(:\d\d)?\b"
    r"|\b(?=[a-f]*\d)[0-9a-f]{7,40}\b"
    r"|(\d+(\.\d+)? ?(ms|d|h|m|s|%|x|[kMG]i?B)(?!\w) ?)+"
    r"|[-+$]*\d+\.\d+(e[-+]?\d+)?|\$\d+|\d{4,}"
    r"|(?<![\w.~])/(?:[\w.+-]+/)+[\w.+-]*"
)


@dataclass(frozen=True)
class Tape:
    """A folder with a recording; made by `to_record` or `to_replay`."""

    folder: Path
    replays: bool
    campaign: str  # the recorded one's id, from which all seeds are made; empty before the first recording
    asked: Counter[str]

    def check(self, campaign: str | None) -> None:
        """Before a campaign starts (None), or goes on: whether its calls may be recorded here.

        Raises:
            UsageError: the folder holds the recording of another campaign.
        """
        if not self.replays and self.campaign and self.campaign != campaign:
            raise UsageError(
                f"{self.folder} holds the recording of campaign {self.campaign}, and this is "
                f"{campaign or 'a new one'}; name another folder for --record"
            )

    def begin(self, campaign: str) -> str:
        """Write whose recording this is; gives the id that seeds are made from."""
        if self.replays:
            return self.campaign
        _write(self.folder / INDEX, {"format": FORMAT, "campaign": campaign})
        return campaign

    def finish(self, campaign: str, rounds: int, reason: str, message: str) -> None:
        """Write how the recorded campaign ended: what its clock or a person ended would go on in a replay."""
        if not self.replays:
            end = {"rounds": rounds, "reason": reason, "message": message}
            _write(self.folder / INDEX, {"format": FORMAT, "campaign": campaign, "end": end})

    def end(self, rounds: int) -> tuple[str, str] | None:
        """The recorded end as (reason, message), once a replay has finished as many rounds."""
        end = json.loads((self.folder / INDEX).read_text()).get("end") if self.replays else None
        return (end["reason"], end["message"]) if end and rounds >= end["rounds"] else None

    def keep(self, name: str, about: dict[str, Any], answer: dict[str, Any]) -> None:
        """Add an answer under a key. The first one in this run replaces what a run that was cut off left there."""
        path, number = self.folder / f"{name}.json", self.asked[name]
        self.asked[name] += 1
        answers = json.loads(path.read_text())["answers"][:number] if number else []
        _write(path, {**about, "answers": [*answers, answer]})

    def next(self, name: str, about: dict[str, Any]) -> dict[str, Any]:
        """The next answer under a key.

        Raises:
            ProviderError: there is none.
        """
        path, number = self.folder / f"{name}.json", self.asked[name]
        self.asked[name] += 1
        answers = json.loads(path.read_text())["answers"] if path.exists() else []
        if number >= len(answers):
            who = f"candidate {about['scope']}" if about["scope"] else f"the {about['role']}"
            raise ProviderError(
                f"{self.folder} has no answer for call {about['turn']} of {who} to {about['model']} ({name}): the "
                "workflow, its prompts or its model are not as they were recorded; record it again"
            )
        found: dict[str, Any] = answers[number]
        return found

    def around(self, model: Model) -> Model:
        """The model, recorded or replayed."""
        return Recorded(model, self)


def to_record(folder: Path) -> Tape:
    """A tape that writes; a recording that was cut off goes on.

    Raises:
        UsageError: the folder holds something else.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / INDEX).exists():
        raise UsageError(f"{folder} is not empty and holds no recording; name another folder for --record")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {(error.strerror or str(error)).lower()}") from None
    return Tape(folder, False, _campaign(folder) if (folder / INDEX).exists() else "", Counter())


def to_replay(folder: Path) -> Tape:
    """A tape that only reads.

    Raises:
        UsageError: there is no recording.
    """
    if not (folder / INDEX).exists():
        raise UsageError(f"{folder} holds no recording; make one with `loopsmith run --record {folder}`")
    return Tape(folder, True, _campaign(folder), Counter())


class Recorded:
    """`Model` around another; a `Conversation` tells it who asks, through `of`."""

    def __init__(self, model: Model, tape: Tape, role: str = "", scope: str = ""):
        self.model, self.tape, self.role, self.scope = model, tape, role, scope
        self.name, self.max_tokens, self.cost = model.name, model.max_tokens, model.cost
        self.context_tokens = model.context_tokens
        self.line: Line = model.line

    @property
    def answered(self) -> bool:
        return self.tape.replays or self.model.answered

    def of(self, role: str, scope: str) -> "Recorded":
        """The same model as one conversation asks it."""
        return Recorded(self.model, self.tape, role, scope)

    def connected(self) -> AbstractAsyncContextManager[object]:
        """See `Model.connected`."""
        return nullcontext() if self.tape.replays else self.model.connected()

    async def complete(
        self,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        *,
        force: str | None = None,
        timeout: float | None = None,
    ) -> Completion:
        """See `Model.complete`.

        Raises:
            OutOfTime: in a replay, where the recorded worker's time was over.
        """
        name, about = self._place(system, messages, tools)
        if self.tape.replays:
            return _answer(self.tape.next(name, about))
        try:
            answer = await self.model.complete(system, messages, tools, force=force, timeout=timeout)
        except ConversationError as error:
            used = asdict(error.tokens) if error.tokens else None
            self.tape.keep(name, about, {"error": type(error).__name__, "message": str(error), "tokens": used})
            raise
        self.tape.keep(name, about, asdict(answer))
        return answer

    def late(self, system: str, messages: Sequence[Message], tools: Sequence[Tool]) -> None:
        """Record that time was over before an answer came."""
        if not self.tape.replays:
            name, about = self._place(system, messages, tools)
            self.tape.keep(name, about, {"error": "OutOfTime", "message": "", "tokens": None})

    def _place(self, system: str, messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[str, dict[str, Any]]:
        turn = 1 + sum(isinstance(message, Completion) for message in messages)
        said = [_stable(message, bool(self.scope)) for message in messages]
        about = {"model": self.name, "role": self.role, "scope": self.scope, "turn": turn}
        wanted = [about, system, [[tool.name, tool.description, dict(tool.parameters)] for tool in tools], said]
        digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]
        return f"{self.role}-{self.scope or 'round'}-{turn:03}-{digest}", about


def stable_lines(text: str, *, fenced: bool) -> list[str]:
    """The lines of a prompt as they are in every run: sorted, because workers end in any order, without what varies.

    Args:
        fenced: keep what stands in fences; programs print it, with timings and addresses.
    """
    text = text if fenced else _FENCED.sub("", text)
    return sorted(_UNSTABLE.sub("#", line).strip() for line in text.split("\n") if line.strip())


def _stable(message: Message, worker: bool) -> list[Any]:
    match message:
        case UserMessage():
            return ["user", *stable_lines(message.shared + message.text, fenced=not worker)]
        case ToolMessage():
            return ["tool", len(message.results)]
        case Completion():
            return ["model", message.text, *([call.name, call.arguments] for call in message.calls)]


def _answer(found: dict[str, Any]) -> Completion:
    tokens = Tokens(**found["tokens"]) if found.get("tokens") else None
    match found.get("error"):
        case "OutOfTime":
            raise OutOfTime
        case "ContextFull":
            raise ContextFull(found["message"], tokens)
        case str():
            raise ConversationError(found["message"], tokens)
    return Completion(
        text=found["text"],
        calls=tuple(ToolCall(**call) for call in found["calls"]),
        stop=Stop(found["stop"]),
        tokens=tokens,
        native=found["native"],
    )


def _campaign(folder: Path) -> str:
    try:
        index = json.loads((folder / INDEX).read_text())
        if index["format"] != FORMAT:
            raise UsageError(f"{folder / INDEX} has format {index['format']}, and this loopsmith reads {FORMAT}")
        return str(index["campaign"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / INDEX} cannot be read as a recording: {error}") from None


def _write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, and without secrets."""
    part = path.with_suffix(".part")
    part.write_text(mask(json.dumps(content, indent=1, sort_keys=True)) + "\n")
    part.replace(path)
