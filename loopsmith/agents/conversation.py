"""A conversation with a model, as money sees it: each call is reserved, made, repeated if need be, and settled."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopsmith.agents.model import Completion, Message, Model, Tokens, Tool, ToolMessage, ToolResult, UserMessage
from loopsmith.agents.retry import Unanswered, persist
from loopsmith.errors import ProviderError
from loopsmith.records import Usage

BYTES_PER_TOKEN = 2  # real text has three or four, so that the reserved cost is above the real one
OVERHEAD = 1000  # tokens that providers add for the tools and around messages


class OutOfTime(Exception):
    """The deadline came while the model was awaited."""


@dataclass(kw_only=True)
class Conversation:
    """The messages so far, and the ledger behind every answer.

    Args:
        role: as the ledger shows it: worker or planner.
        reserve, settle: the ledger's verbs, as in `protocols.Services`.
        deadline: of the `time.monotonic` clock; None: no limit.
    """

    model: Model
    role: str
    reserve: Callable[[Usage], int]
    settle: Callable[[int, Usage], None]
    system: str
    tools: Sequence[Tool]
    deadline: float | None = None
    messages: list[Message] = field(default_factory=list)
    _counted: int = field(default=0, init=False)  # messages that `_known` covers
    _known: int = field(default=0, init=False)  # tokens, by the provider's own count

    async def ask(self, *, force: str | None = None) -> Completion:
        """The model's answer to the messages so far, which it joins.

        Raises:
            LimitReached: the ledger does not allow the call; nothing was spent.
            OutOfTime: the deadline came.
            ConversationError, ProviderError: see `Model.complete`. An endpoint that stays silent is a ProviderError,
                so that no candidate is blamed for it.
        """
        most = self.bound()
        row: int | None = None
        begun = time.monotonic()

        async def attempt() -> Completion:
            nonlocal row
            if row is None:
                row = self.reserve(self._usage(most, begun))
            try:
                return await self.model.complete(
                    self.system, self.messages, self.tools, force=force, timeout=self.time_left()
                )
            except Unanswered as error:
                if error.charged:
                    row = None  # it may have been worked on: the reservation stands, and the next try has its own
                raise

        try:
            answer = await persist(attempt, answered=self.model.answered, deadline=self.deadline)
        except Unanswered as error:
            if row is not None:
                self.settle(row, self._usage(Tokens(), begun))
            if any(isinstance(message, Completion) for message in self.messages) and self._late():
                raise OutOfTime from error
            seconds = time.monotonic() - begun
            raise ProviderError(
                f"{self.model.name} gave no answer in {seconds:.0f} s ({error}); "
                "check agent.base_url and the provider's status, then run again"
            ) from error
        except (ProviderError, ValueError):
            raise
        assert row is not None
        self.settle(row, self._usage(answer.tokens or most, begun))
        self.messages.append(answer)
        if answer.tokens is not None:
            self._known = answer.tokens.input + answer.tokens.output
            self._counted = len(self.messages)
        return answer
