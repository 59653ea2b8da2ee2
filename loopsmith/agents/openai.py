"""Any model behind an OpenAI-compatible endpoint, through the openai SDK: Chat Completions, or Responses."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from loopsmith.agents.connection import Connection
from loopsmith.agents.line import Line
from loopsmith.agents.model import (
    Completion,
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
from loopsmith.workflow.agent import OpenAIAgent

CONNECT_TIMEOUT = 10.0  # seconds
STOPS = {"tool_calls": Stop.TOOLS, "length": Stop.LENGTH, "content_filter": Stop.REFUSED}
OWN_HOSTS = ("openai.com", "openai.azure.com")
REASONING = ("reasoning_content", "reasoning", "reasoning_details")  # other makers' fields, wanted back by them


class Endpointed(ABC):
    """What both APIs share: the client, the endpoint, and how a call is made and fails."""

    def __init__(self, settings: OpenAIAgent, key: str, cost: Pricing, context_tokens: int | None = None):
        self.settings, self.cost, self.context_tokens = settings, cost, context_tokens
        self.name, self.max_tokens = settings.name or f"openai/{settings.model}", settings.max_tokens
        self.answered, self.line = False, Line()
        self._may_force = True
        self._connection = Connection(
            lambda: openai.AsyncOpenAI(api_key=key, base_url=settings.base_url, max_retries=0)
        )
        url = str(self._connection.client.base_url).rstrip("/")
        self._own = (urlsplit(url).hostname or "").endswith(OWN_HOSTS)
        self._endpoint = Endpoint(model=settings.model, url=url, key=str(settings.api_key), secret=key)

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
        request = self._request(system, messages, tools)
        if force and self._may_force:
            request["tool_choice"] = self._forced(force)
        if self.settings.temperature is not None:
            request["temperature"] = self.settings.temperature
        try:
            async with self._connection.use() as client, asyncio.timeout(seconds):
                reply = await self._create(
                    client, request | {"timeout": openai.Timeout(seconds, connect=CONNECT_TIMEOUT)}
                )
        except openai.BadRequestError as error:
            if force and self._may_force and "tool_choice" in str(error):  # a server that cannot force a call
                self._may_force = False
                return await self.complete(system, messages, tools, timeout=timeout)
            raise self._failure(error) from error
        except (openai.APIError, TimeoutError, ValueError) as error:  # ValueError: a body that is not JSON
            raise self._failure(error) from error
        self.answered = True
        return self._completion(reply)

    @abstractmethod
    def _request(self, system: str, messages: Sequence[Message], tools: Sequence[Tool]) -> dict[str, Any]:
        """The call's arguments, without choice of tool, temperature and timeout."""

    @abstractmethod
    def _forced(self, name: str) -> dict[str, Any]:
        """The choice of tool that forces one."""

    @abstractmethod
    async def _create(self, client: openai.AsyncOpenAI, request: dict[str, Any]) -> Any:
        """Make the call."""

    @abstractmethod
    def _completion(self, reply: Any) -> Completion:
        """What the SDK gave, read."""

    def _failure(self, error: Exception) -> LoopsmithError:
        if isinstance(error, openai.APIStatusError):
            body = error.body if isinstance(error.body, dict) else {}
            text = str(body.get("message") or error.message)
            return failure(
                self._endpoint, error.status_code, text, f"{error.type} {error.code}", error.response.headers
            )
        return silence(self._endpoint, error)


class OpenAIModel(Endpointed):
    """`Model` over Chat Completions."""

    def _request(self, system: str, messages: Sequence[Message], tools: Sequence[Tool]) -> dict[str, Any]:
        # OpenAI's reasoning models refuse the old name; many other servers do not know the new one.
        length = "max_completion_tokens" if self._own else "max_tokens"
        request: dict[str, Any] = {
            "model": self.settings.model,
            length: self.max_tokens,
            "messages": [
                {"role": "system", "content": system},
                *(part for message in messages for part in _messages(message)),
            ],
        }
        if tools:
            request["tools"] = [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
                }
                for tool in tools
            ]
        if self.settings.effort is not None:
            request["reasoning_effort"] = self.settings.effort
        return request

    def _forced(self, name: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name}}

    async def _create(self, client: openai.AsyncOpenAI, request: dict[str, Any]) -> Any:
        return await client.chat.completions.create(**request)

    def _completion(self, reply: Any) -> Completion:
        if not isinstance(reply, ChatCompletion) or not (reply.choices or hasattr(reply, "error")):
            raise ProviderError(f"{self._endpoint.url} does not speak OpenAI's Chat Completions; check agent.base_url")
        if not reply.choices:  # some gateways wrap an upstream failure into a 200
            raise failure(self._endpoint, 502, str(getattr(reply, "error", "")), "", {})
        choice = reply.choices[0]
        message = choice.message or ChatCompletionMessage(role="assistant")  # null, where a gateway took it away
        stop = STOPS.get(choice.finish_reason, Stop.END)
        # By what it holds, as some servers leave the type out.
        used = [
            (call.id, function) for call in message.tool_calls or () if (function := getattr(call, "function", None))
        ]
        calls = [tool_call(id, function.name, function.arguments) for id, function in used]
        native: dict[str, Any] = {"role": "assistant", "content": message.content or message.refusal or ""}
        native |= {key: value for key in REASONING if (value := (message.model_extra or {}).get(key))}
        if calls:
            native["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    # Servers parse the arguments again, and fail on broken ones.
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for call in calls
            ]
        return Completion(
            text=_text(message.content) or message.refusal or "",
            calls=whole(calls, stop),
            stop=Stop.REFUSED if message.refusal else stop,
            tokens=_tokens(reply),
            native=native,
        )


def _text(content: object) -> str:
    """The text of an answer, which some servers give in parts, with thinking among them."""
    if isinstance(content, list):
        return "".join(
            str(part.get("text")) for part in content if isinstance(part, dict) and part.get("type") == "text"
        )
    return str(content or "")


def _tokens(reply: ChatCompletion) -> Tokens | None:
    usage = reply.usage
    if usage is None:
        return None
    details = usage.prompt_tokens_details
    return counted(
        usage.prompt_tokens,
        usage.completion_tokens,
        cached=details.cached_tokens if details else 0,
        written=details.cache_write_tokens if details else 0,
    )


def _messages(message: Message) -> list[dict[str, Any]]:
    match message:
        case UserMessage(text=text, shared=shared):
            return [{"role": "user", "content": shared + text}]
        case ToolMessage(results=results):
            return [{"role": "tool", "tool_call_id": r.call_id, "content": r.text or "(nothing)"} for r in results]
        case Completion(native=native):
            return [native] if native["content"] or "tool_calls" in native else []
