"""OpenAI's Responses API, through the openai SDK. Nothing is stored there: each request holds all that was said."""

import json
from collections.abc import Sequence
from typing import Any

import openai
from openai.types.responses import Response

from loopsmith.agents.model import (
    Completion,
    Message,
    Stop,
    Tool,
    ToolMessage,
    UserMessage,
    counted,
    tool_call,
    whole,
)
from loopsmith.agents.openai import Endpointed
from loopsmith.agents.retry import failure
from loopsmith.errors import ProviderError

STOPS = {"max_output_tokens": Stop.LENGTH, "content_filter": Stop.REFUSED}
KEPT = ("message", "reasoning", "function_call")  # kinds of output that the next request holds


class ResponsesModel(Endpointed):
    """`Model` over Responses."""

    def _request(self, system: str, messages: Sequence[Message], tools: Sequence[Tool]) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.settings.model,
            "max_output_tokens": self.max_tokens,
            "instructions": system,
            "input": [item for message in messages for item in _items(message)],
            "store": False,
        }
        if self._own:
            request["include"] = ["reasoning.encrypted_content"]  # without it, reasoning is lost between the turns
        if tools:
            request["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    "strict": False,
                }
                for tool in tools
            ]
        if self.settings.effort is not None:
            request["reasoning"] = {"effort": self.settings.effort}
        return request

    def _forced(self, name: str) -> dict[str, Any]:
        return {"type": "function", "name": name}

    async def _create(self, client: openai.AsyncOpenAI, request: dict[str, Any]) -> Any:
        return await client.responses.create(**request)

    def _completion(self, reply: Any) -> Completion:
        if not isinstance(reply, Response) or not isinstance(getattr(reply, "output", None), list):
            raise ProviderError(
                f"{self._endpoint.url} does not speak OpenAI's Responses; check agent.base_url, or set agent.api: chat"
            )
        if reply.status == "failed":
            problem = reply.error
            raise failure(self._endpoint, 502, problem.message if problem else "", problem.code if problem else "", {})
        texts = [part for item in reply.output if item.type == "message" for part in item.content]
        refused = "".join(part.refusal for part in texts if part.type == "refusal")
        used = [item for item in reply.output if item.type == "function_call"]
        calls = [tool_call(item.call_id, item.name, item.arguments) for item in used]
        why = reply.incomplete_details.reason if reply.incomplete_details else None
        stop = STOPS.get(why or "", Stop.TOOLS if calls else Stop.END)
        usage = reply.usage
        details = usage.input_tokens_details if usage else None
        return Completion(
            text="".join(part.text for part in texts if part.type == "output_text") or refused,
            calls=whole(calls, stop),
            stop=Stop.REFUSED if refused else stop,
            tokens=counted(
                usage.input_tokens,
                usage.output_tokens,
                cached=details.cached_tokens if details else 0,
                written=getattr(details, "cache_write_tokens", 0),
            )
            if usage
            else None,
            native=[_again(item.to_dict(mode="json")) for item in reply.output if item.type in KEPT],
        )


def _again(item: dict[str, Any]) -> dict[str, Any]:
    """An item of the output as input: servers parse the arguments again, and fail on broken ones."""
    item.pop("status", None)
    if item["type"] == "function_call":
        try:
            json.loads(item.get("arguments") or "{}")
        except ValueError:
            item["arguments"] = "{}"
    return item


def _items(message: Message) -> list[dict[str, Any]]:
    match message:
        case UserMessage(text=text, shared=shared):
            return [{"role": "user", "content": shared + text}]
        case ToolMessage(results=results):
            return [
                {"type": "function_call_output", "call_id": r.call_id, "output": r.text or "(nothing)"} for r in results
            ]
        case Completion(native=native):
            return list(native)
