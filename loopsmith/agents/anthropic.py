"""Claude models, through the anthropic SDK's Messages API."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import anthropic

from loopsmith.agents.connection import Connection
from loopsmith.agents.line import Line
from loopsmith.agents.model import (
    Completion,
    ContextFull,
    Message,
    Stop,
    Tokens,
    Tool,
    ToolMessage,
    UserMessage,
    counted,
    tool_call,
    whole,
)
from loopsmith.agents.pricing import Pricing
from loopsmith.agents.retry import Endpoint, failure, silence
from loopsmith.errors import LoopsmithError, ProviderError
from loopsmith.workflow.agent import AnthropicAgent

CONNECT_TIMEOUT = 10.0  # seconds
CACHE = {"type": "ephemeral"}  # for five minutes, longer than a turn mostly takes
STOPS = {"tool_use": Stop.TOOLS, "max_tokens": Stop.LENGTH, "refusal": Stop.REFUSED}


class AnthropicModel:
    """`Model` over AsyncAnthropic.

    Cached by the provider are the tools and the system prompt, which all workers share, the first message, which holds
    the brief, and the whole of each request for the next one.
    """

    def __init__(self, settings: AnthropicAgent, key: str, cost: Pricing, context_tokens: int | None = None):
        self.settings, self.cost, self.context_tokens = settings, cost, context_tokens
        self.name, self.max_tokens = settings.name or f"anthropic/{settings.model}", settings.max_tokens
        self.answered, self.line = False, Line()
        self._may_force = settings.thinking in (None, "off")
        self._connection = Connection(
            lambda: anthropic.AsyncAnthropic(api_key=key, base_url=settings.base_url, max_retries=0)
        )
        self._endpoint = Endpoint(
            model=settings.model,
            url=str(self._connection.client.base_url).rstrip("/"),
            key=str(settings.api_key),
            secret=key,
        )

    def connected(self) -> AbstractAsyncContextManager[object]:
        """See `Model.connected`."""
        return self._connection.use()

    async def complete(
        self,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        *,
        force: str | None = None,
        timeout: float | None = None,
    ) -> Completion:
        """See `Model.complete`."""
        seconds = min(self.settings.timeout, timeout or self.settings.timeout)
        request: dict[str, Any] = {
            "model": self.settings.model,
            "max_tokens": self.max_tokens,
            "system": [{"type": "text", "text": system, "cache_control": CACHE}],
            "messages": [_message(message) for message in messages if not _empty(message)],
            "timeout": anthropic.Timeout(seconds, connect=CONNECT_TIMEOUT),
            **self._reasoning(),
        }
        if tools:
            _mark_first(request["messages"])
            request["cache_control"] = CACHE  # of its end: the next call begins with all of it
            request["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in tools
            ]
        if force and self._may_force:
            request["tool_choice"] = {"type": "tool", "name": force}
        if self.settings.temperature is not None:
            # The SDK has no parameter for it any more; models that still take it find it in the body.
            request["extra_body"] = {"temperature": self.settings.temperature}
        try:
            async with self._connection.use() as client, asyncio.timeout(seconds):
                reply = await client.messages.create(**request)
        except anthropic.BadRequestError as error:
            if force and self._may_force and "tool_choice" in str(error):  # a model that always thinks refuses it
                self._may_force = False
                return await self.complete(system, messages, tools, timeout=timeout)
            raise self._failure(error) from error
        except (anthropic.APIError, TimeoutError, ValueError) as error:  # ValueError: a body that is not JSON
            raise self._failure(error) from error
        self.answered = True
        return self._completion(reply)

    def _reasoning(self) -> dict[str, Any]:
        thinking, effort = self.settings.thinking, self.settings.effort
        found: dict[str, Any] = {}
        if isinstance(thinking, int):
            found["thinking"] = {"type": "enabled", "budget_tokens": thinking}
        elif thinking is not None:
            found["thinking"] = {"type": "disabled" if thinking == "off" else thinking}
        if effort is not None:
            found["output_config"] = {"effort": effort}
        return found

    def _completion(self, reply: Any) -> Completion:
        if not isinstance(reply, anthropic.types.Message) or not isinstance(reply.content, list):
            raise ProviderError(f"{self._endpoint.url} does not speak the Anthropic Messages API; check agent.base_url")
        tokens = _tokens(reply.usage)
        if reply.stop_reason == "model_context_window_exceeded":
            raise ContextFull(f"the conversation is too long for {self.settings.model}", tokens)
        stop = STOPS.get(reply.stop_reason or "", Stop.END)
        calls = [tool_call(block.id, block.name, block.input) for block in reply.content if block.type == "tool_use"]
        return Completion(
            text="".join(block.text for block in reply.content if block.type == "text"),
            calls=whole(calls, stop),
            stop=stop,
            tokens=tokens,
            native=[block.to_dict(mode="json") for block in reply.content],
        )

    def _failure(self, error: Exception) -> LoopsmithError:
        if isinstance(error, anthropic.APIStatusError):
            code = f"{error.type} {error.error_code}"
            text = error.api_message or error.message
            return failure(self._endpoint, error.status_code, text, code, error.response.headers)
        return silence(self._endpoint, error)


def _tokens(usage: anthropic.types.Usage | None) -> Tokens | None:
    if usage is None or usage.input_tokens is None:
        return None
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return counted(usage.input_tokens + cached + written, usage.output_tokens, cached=cached, written=written)


def _empty(message: Message) -> bool:
    return isinstance(message, Completion) and not message.native


def _mark_first(messages: list[dict[str, Any]]) -> None:
    """Mark the first message's end for the cache."""
    content = messages[0]["content"] if messages else None
    if isinstance(content, str):
        messages[0]["content"] = [{"type": "text", "text": content, "cache_control": CACHE}]


def _message(message: Message) -> dict[str, Any]:
    match message:
        case UserMessage(text=text, shared=""):
            return {"role": "user", "content": text}
        case UserMessage(text=text, shared=shared):
            blocks = [{"type": "text", "text": shared, "cache_control": CACHE}, {"type": "text", "text": text}]
            return {"role": "user", "content": blocks}
        case ToolMessage(results=results):
            blocks = [
                {
                    "type": "tool_result",
                    "tool_use_id": r.call_id,
                    "content": r.text or "(nothing)",
                    "is_error": r.failed,
                }
                for r in results
            ]
            return {"role": "user", "content": blocks}
        case Completion(native=native):
            return {"role": "assistant", "content": native}
