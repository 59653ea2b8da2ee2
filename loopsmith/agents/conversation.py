"""A conversation with a model, as money sees it: each call is reserved, made, repeated if need be, and settled."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from loopsmith.agents.arguments import BadArguments, read, tool
from loopsmith.agents.model import (
    Completion,
    ConversationError,
    Message,
    Model,
    OutOfTime,
    Stop,
    Tokens,
    Tool,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from loopsmith.agents.recording import Recorded
from loopsmith.agents.retry import LONGEST_WAIT, PATIENCE, Pause, RateLimited, Unanswered, persist
from loopsmith.errors import LoopsmithError, ProviderError
from loopsmith.records import Usage
from loopsmith.workflow.units import format_duration

A = TypeVar("A", bound=BaseModel)
BYTES_PER_TOKEN = 2  # text and code have three or four, so that what is reserved covers what is used
OVERHEAD = 1000  # tokens that providers add of their own, for the tools mostly


@dataclass(kw_only=True)
class Conversation:
    """The messages so far, and the ledger behind every answer.

    Args:
        role: as the ledger shows it: worker or planner.
        reserve, settle: the ledger's verbs, as in `protocols.Services`.
        deadline: of the `time.monotonic` clock; None: no limit. The time that a rate limit takes is added to it.
        pause: waits out a rate limit of so many seconds.
        ready: waits while nothing is to be asked; that time is added to the deadline, too.
        scope: what tells this conversation from others with the same words, such as the candidate; for a recording.
    """

    model: Model
    role: str
    reserve: Callable[[Usage], int]
    settle: Callable[[int, Usage], None]
    system: str
    tools: Sequence[Tool]
    deadline: float | None = None
    messages: list[Message] = field(default_factory=list)
    pause: Pause = asyncio.sleep
    ready: Callable[[], Awaitable[None]] | None = None
    scope: str = ""
    rested: float = 0.0  # seconds that rate limits took

    def __post_init__(self) -> None:
        if isinstance(self.model, Recorded):
            self.model = self.model.of(self.role, self.scope)

    async def ask(self, *, force: str | None = None) -> Completion:
        """The model's answer to the messages so far. It joins them.

        Raises:
            LimitReached: the ledger does not allow the call; nothing was spent.
            OutOfTime: the deadline came.
            ContextFull: the messages are longer than the model's context.
            ConversationError: this conversation cannot go on.
            ProviderError: no conversation can. An endpoint that stays silent is one of these, so that no candidate
                is blamed for it.
        """
        try:
            return await self._ask(force)
        except OutOfTime:
            if isinstance(self.model, Recorded):
                self.model.late(self.system, self.messages, self.tools)
            raise

    async def _ask(self, force: str | None) -> Completion:
        if self.ready is not None:
            asked = time.monotonic()
            await self.ready()
            self.deadline = None if self.deadline is None else self.deadline + time.monotonic() - asked
        begun, most, row, rested = time.monotonic(), self.bound(), None, self.rested
        if self.deadline is not None and begun >= self.deadline:
            raise OutOfTime

        async def attempt() -> Completion:
            nonlocal row
            if row is None:
                row = self.reserve(self._usage(most, begun))
            left = None if self.deadline is None else max(0.1, self.deadline - time.monotonic())
            try:
                return await self.model.complete(self.system, self.messages, self.tools, force=force, timeout=left)
            except Unanswered as error:
                if error.charged:
                    row = None  # it may have been worked on: the reservation stands, and the next try has its own
                raise

        try:
            answer = await persist(
                attempt,
                answered=self.model.answered,
                deadline=lambda: self.deadline,
                line=self.model.line,
                rest=self._rest,
            )
        except OutOfTime:  # of a replay
            if row is not None:
                self.settle(row, self._usage(Tokens(), begun))
            raise
        except LoopsmithError as error:
            if row is not None:
                used = error.tokens if isinstance(error, ConversationError) else None
                self.settle(row, self._usage(used or Tokens(), begun))
            if isinstance(error, Unanswered):
                raise self._silence(error, time.monotonic() - begun - (self.rested - rested)) from error
            raise
        assert row is not None
        self.settle(row, self._usage(answer.tokens or most, begun))
        answer = replace(
            answer,
            text=_sendable(answer.text),
            calls=tuple(replace(call, arguments=_sendable(call.arguments)) for call in answer.calls),
            native=_sendable(answer.native),
        )
        self.messages.append(answer)
        return answer

    async def _rest(self, seconds: float) -> None:
        begun = time.monotonic()
        await self.pause(seconds)
        waited = time.monotonic() - begun
        self.rested += waited
        if self.deadline is not None:
            self.deadline += waited

    def bound(self) -> Tokens:
        """The most that the next call can use: what the provider counted last, what was said since, a full answer."""
        counted, known = 0, OVERHEAD + _tokens(self.system) + sum(_tokens(str(tool)) for tool in self.tools)
        for index, message in enumerate(self.messages, 1):
            if isinstance(message, Completion) and message.tokens is not None:
                counted, known = index, message.tokens.input + message.tokens.output
        prompt = known + sum(_tokens(str(message)) for message in self.messages[counted:])
        return Tokens(input=prompt, written=prompt, output=self.model.max_tokens)

    def _silence(self, error: Unanswered, seconds: float) -> Exception:
        """What silence means: a worker that was answered before may have run out of its own time."""
        answered = any(isinstance(message, Completion) for message in self.messages)
        if isinstance(error, RateLimited) and (error.retry_after or 0) > LONGEST_WAIT:
            asked = format_duration(round(error.retry_after or 0))
            return ProviderError(f"{self.model.name} is rate limited for {asked} ({error}); run again then")
        if self.model.line.broken:
            return ProviderError(
                f"every call of {self.model.name} in the last minutes failed, {self.model.line.failures} in a row "
                f"({error}); check the provider's status and the network, then run again"
            )
        if answered and self.deadline is not None and seconds < PATIENCE:
            return OutOfTime()
        return ProviderError(
            f"{self.model.name} gave no answer in {seconds:.0f} s ({error}); "
            "check agent.base_url, the network and the provider's status, then run again"
        )

    def _usage(self, tokens: Tokens, begun: float) -> Usage:
        return Usage(
            role=self.role,
            model=self.model.name,
            input_tokens=tokens.input,
            cached_tokens=tokens.cached,
            output_tokens=tokens.output,
            cost_usd=self.model.cost(tokens),
            seconds=time.monotonic() - begun,
        )


async def complete_once(
    model: Model,
    answer: type[A],
    *,
    role: str,
    system: str,
    prompt: str,
    reserve: Callable[[Usage], int],
    settle: Callable[[int, Usage], None],
    deadline: float | None = None,
    scope: str = "",
) -> A | None:
    """One structured answer, through a tool that the model must call.

    Args:
        answer: what to answer with; its docstring and its fields' descriptions are shown to the model.
        scope: as in `Conversation`.

    Returns:
        None if the model does not give one, asked twice.

    Raises:
        as `Conversation.ask`.
    """
    wanted = tool(answer)
    talk = Conversation(
        model=model,
        role=role,
        reserve=reserve,
        settle=settle,
        system=system,
        tools=(wanted,),
        deadline=deadline,
        scope=scope,
        messages=[UserMessage(text=prompt)],
    )
    async with model.connected():
        return await _structured(talk, answer, wanted)


async def _structured(talk: Conversation, answer: type[A], wanted: Tool) -> A | None:
    for _ in range(2):
        reply = await talk.ask(force=wanted.name)
        if reply.stop is Stop.REFUSED:
            return None
        call = next((call for call in reply.calls if call.name == wanted.name), None) or _written_out(reply, wanted)
        try:
            return read(answer, call)
        except BadArguments as problem:
            results = tuple(ToolResult(call_id=c.id, text=str(problem), failed=True) for c in reply.calls)
            talk.messages.append(ToolMessage(results=results) if results else UserMessage(text=str(problem)))
    return None


def _written_out(reply: Completion, wanted: Tool) -> ToolCall:
    """The call that a model wrote as JSON text, as small local ones do."""
    text = reply.text[reply.text.find("{") : reply.text.rfind("}") + 1]
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError:
        return ToolCall(id="", name=wanted.name, arguments={}, problem=f"call the tool `{wanted.name}`")
    return ToolCall(id="", name=wanted.name, arguments=arguments if isinstance(arguments, dict) else {})


def _sendable(value: Any) -> Any:
    """The value without halves of characters, which JSON may hold and no request can carry back."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(item) for key, item in value.items()}
    return [_sendable(item) for item in value] if isinstance(value, list) else value


def _tokens(text: str) -> int:
    return len(text.encode(errors="replace")) // BYTES_PER_TOKEN + 1
