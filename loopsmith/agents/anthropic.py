"""Claude models, through the anthropic SDK's Messages API."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import anthropic

from loopsmith.agents.connection import Connection
from loopsmith.agents.model import (
    Completion,
    ConversationError,
    Message,
    Stop,
    Tokens,
    Tool,
    ToolMessage,
    UserMessage,
    tool_call,
    whole,
)
from loopsmith.agents.pricing import Pricing
from loopsmith.agents.retry import Endpoint, failure, silence
from loopsmith.errors import LoopsmithError, ProviderError
from loopsmith.workflow.agent import ModelAgent

CONNECT_TIMEOUT = 10.0  # seconds
STOPS = {"tool_use": Stop.TOOLS, "max_tokens": Stop.LENGTH, "refusal": Stop.REFUSED}


class AnthropicModel:
    """`Model` over AsyncAnthropic. Every request marks its end for the provider's prompt cache."""

    def __init__(self, settings: ModelAgent, key: str, cost: Pricing):
        self.settings, self.cost = settings, cost
        self.name, self.max_tokens = f"anthropic/{settings.model}", settings.max_tokens
        self.answered = False
        self._may_force = True
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
            "system": system,
            "messages": [_message(message) for message in messages if not _empty(message)],
            "cache_control": {"type": "ephemeral"},
            "timeout": anthropic.Timeout(seconds, connect=CONNECT_TIMEOUT),
        }
        if tools:
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

    def _completion(self, reply: Any) -> Completion:
        if not isinstance(reply, anthropic.types.Message) or not isinstance(reply.content, list):
            raise ProviderError(f"{self._endpoint.url} does not speak the Anthropic Messages API; check agent.base_url")
        if reply.stop_reason == "model_context_window_exceeded":
            raise ConversationError(f"the conversation is too long for {self.settings.model}")
        stop = STOPS.get(reply.stop_reason or "", Stop.END)
        calls = [tool_call(block.id, block.name, block.input) for block in reply.content if block.type == "tool_use"]
        usage = reply.usage
        cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        return Completion(
            text="".join(block.text for block in reply.content if block.type == "text"),
            calls=whole(calls, stop),
            stop=stop,
            tokens=Tokens(
                input=usage.input_tokens + cached + written, cached=cached, written=written, output=usage.output_tokens
            ),
            native=[block.to_dict(mode="json") for block in reply.content],
        )

    def _failure(self, error: Exception) -> LoopsmithError:
        if isinstance(error, anthropic.APIStatusError):
            code = f"{error.type} {error.error_code}"
            text = error.api_message or error.message
            return failure(self._endpoint, error.status_code, text, code, error.response.headers)
        return silence(self._endpoint, error)


def _empty(message: Message) -> bool:
    return isinstance(message, Completion) and not message.native


def _message(message: Message) -> dict[str, Any]:
    match message:
        case UserMessage(text=text):
            return {"role": "user", "content": text}
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
