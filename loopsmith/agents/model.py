"""What a model is to loopsmith: messages and tools in, a completion with its tokens out.

The types are neutral; anthropic.py and openai.py translate them. Importing this module imports no SDK.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from loopsmith.agents.line import Line
from loopsmith.errors import LoopsmithError


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """Something that a model may call. `parameters` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. `problem` says why the arguments cannot be read; they are empty then."""

    id: str
    name: str
    arguments: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolResult:
    call_id: str
    text: str
    failed: bool = False  # the tool refused; a command that exits with an error did not fail as a tool


@dataclass(frozen=True, kw_only=True, slots=True)
class UserMessage:
    """What loopsmith says.

    Attributes:
        shared: text before it that other conversations begin with too, so that a provider's cache can serve them all.
    """

    text: str
    shared: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolMessage:
    """The results of every call of the completion before it."""

    results: tuple[ToolResult, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What one call used, as the provider counts."""

    input: int = 0  # all of the prompt, cached and cache-writing tokens too
    cached: int = 0  # of them, read from the provider's cache
    written: int = 0  # of them, written to it, which some providers charge more for
    output: int = 0


def counted(input: object, output: object, *, cached: int | None = 0, written: int | None = 0) -> Tokens | None:
    """What a provider says that a call used; None where it does not count both."""
    if not isinstance(input, int) or not isinstance(output, int):
        return None
    return Tokens(input=input, cached=cached or 0, written=written or 0, output=output)


class Stop(StrEnum):
    """Why a model stopped."""

    END = "end"
    TOOLS = "tools"
    LENGTH = "length"  # cut off at max_tokens; the last call's arguments may be cut as well
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """A model's answer, and a message of the conversation from then on.

    Attributes:
        tokens: None when the endpoint does not count; the reservation then stands as the cost.
        native: the answer as its provider wants to see it again, with whatever it hides in it (such as thinking).
    """

    text: str
    calls: tuple[ToolCall, ...]
    stop: Stop
    tokens: Tokens | None
    native: Any = None


Message = UserMessage | ToolMessage | Completion


def tool_call(id: str, name: str, arguments: object) -> ToolCall:
    """A call as an SDK gives it: the arguments are an object, or JSON text that should be one."""
    problem = ""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except json.JSONDecodeError as error:
            problem = f"they are not JSON ({error})"
    if not isinstance(arguments, dict):
        arguments, problem = {}, problem or "they are not an object"
    return ToolCall(id=id, name=name, arguments=arguments, problem=problem)


def whole(calls: Sequence[ToolCall], stop: Stop) -> tuple[ToolCall, ...]:
    """The calls, the last marked where the answer was cut within it."""
    if stop is not Stop.LENGTH or not calls:
        return tuple(calls)
    cut = "your answer was cut off at its length limit; say less in one answer, or write a file in parts"
    return (*calls[:-1], replace(calls[-1], problem=cut))


class ConversationError(LoopsmithError):
    """This conversation cannot go on (its content is refused, say); another one can.

    Args:
        tokens: what the call used all the same.
    """

    def __init__(self, message: str, tokens: Tokens | None = None):
        self.tokens = tokens
        super().__init__(message)


class ContextFull(ConversationError):
    """The conversation is longer than the model's context."""


class OutOfTime(Exception):
    """The deadline came while the model was awaited."""


class Model(Protocol):
    """One model behind one endpoint, shared by all workers."""

    name: str  # kind/model, as it is shown and stored
    max_tokens: int  # output tokens of one call, at most
    context_tokens: int | None  # what a prompt and its answer may have; None: not known
    line: Line  # to its provider

    @property
    def answered(self) -> bool:
        """Whether any call was ever answered in this process."""
        ...

    def cost(self, tokens: Tokens) -> float:
        """Dollars for one call."""
        ...

    def connected(self) -> AbstractAsyncContextManager[object]:
        """Keep the connection open from one call to the next, for as long as the block lasts."""
        ...

    async def complete(
        self,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        *,
        force: str | None = None,
        timeout: float | None = None,
    ) -> Completion:
        """Ask once, without a retry.

        Args:
            force: the name of a tool that the model must call.
            timeout: seconds for the whole call, if less than the settings' own.

        Raises:
            Unanswered: it is worth asking again (see retry.py).
            ConversationError: this conversation cannot go on.
            ProviderError: asking again cannot help: wrong key, no such model, empty balance.
        """
        ...
