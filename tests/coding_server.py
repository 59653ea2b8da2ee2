"""A model endpoint on loopback for coding agents: it streams, as they insist, and uses the shell tool that each offers.

    with coding_server(edits("sed -i s/1/2/ a.txt")) as url:
        ...  # OpenAI Responses and Chat Completions, Anthropic Messages and Gemini, below url

A script is a function from an `Asked` to an answer of `model_server`: `say`, `calls` or `fail`.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from model_server import Answer, Url, say

# The tool of each agent that runs a command line, and the argument that takes it.
SHELLS = {
    "exec_command": "cmd",
    "bash": "command",
    "Bash": "command",
    "mcp__acp__Bash": "command",
    "run_shell_command": "command",
    "shell": "command",
}
Event = tuple[str, Any]


@dataclass(frozen=True)
class Asked:
    """What an agent sent."""

    protocol: str  # responses | chat | messages | gemini
    body: dict[str, Any]
    turn: int  # results of tools that it has so far
    tools: tuple[str, ...]


Script = Callable[[Asked], Answer]


def edits(command: str, words: str = "It is done.") -> Script:
    """An agent's work: run a command line with its own shell tool, then end with a few words."""

    def answer(asked: Asked) -> Answer:
        tool = next((name for name in asked.tools if name in SHELLS), None)
        if tool is None or asked.turn:
            return say(words)
        given: dict[str, Any] = {SHELLS[tool]: command, **({"description": "work"} if tool != "exec_command" else {})}
        if tool == "mcp__acp__Bash":
            given["timeout"] = 10_000  # milliseconds; it insists
        return {"text": "I start.", "tool_calls": [{"name": tool, "input": given}]}

    return answer


@contextmanager
def coding_server(script: Script) -> Iterator[Url]:
    """Serve `script` on a free port until the block ends; `requests` of the URL holds the bodies."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            path, _, _ = self.path.partition("?")
            found = next((name for name, (end, *_) in PROTOCOLS.items() if end in path), None)
            if found is None:
                return self.reply(404, {"error": {"message": f"no endpoint {path}"}})
            with lock:
                url.requests.append(body)
                url.headers.append({name.lower(): value for name, value in self.headers.items()})
                number = len(url.requests)
            _, turns, tools, whole, events = PROTOCOLS[found]
            answer = script(Asked(found, body, turns(body), tuple(tools(body))))
            time.sleep(answer.get("delay", 0))
            if "status" in answer:
                return self.reply(answer["status"], {"type": "error", "error": answer["error"]}, answer["headers"])
            reply = whole(body, answer, number)
            if body.get("stream") or "stream" in path:
                return self.stream(events(reply))
            return self.reply(200, reply)

        def do_GET(self) -> None:
            self.reply(200, {"object": "list", "data": []})

        def stream(self, events: Iterator[Event]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for name, data in events:
                text = data if isinstance(data, str) else json.dumps(data)
                self.wfile.write(((f"event: {name}\n" if name else "") + f"data: {text}\n\n").encode())
            self.close_connection = True

        def reply(self, status: int, payload: Any, headers: dict[str, str] | None = None) -> None:
            data = json.dumps(payload).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in (headers or {}).items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that went away is part of some tests

    server = Server(("127.0.0.1", 0), Handler)
    url = Url(f"http://127.0.0.1:{server.server_port}")
    url.requests, url.headers = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def responses_turns(body: dict[str, Any]) -> int:
    return sum(item.get("type") == "function_call_output" for item in body["input"] if isinstance(item, dict))


def chat_turns(body: dict[str, Any]) -> int:
    return sum(message["role"] == "tool" for message in body["messages"])


def messages_turns(body: dict[str, Any]) -> int:
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    return sum(block["type"] == "tool_result" for content in contents for block in content)


def gemini_turns(body: dict[str, Any]) -> int:
    return sum("functionResponse" in part for item in body["contents"] for part in item["parts"])


def plain_tools(body: dict[str, Any]) -> list[str]:
    return [tool.get("name", "") for tool in body.get("tools") or ()]


def chat_tools(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools") or ()]


def gemini_tools(body: dict[str, Any]) -> list[str]:
    return [one["name"] for tool in body.get("tools") or () for one in tool.get("functionDeclarations", ())]


def counted(body: dict[str, Any], answer: Answer) -> tuple[int, int]:
    """Tokens in and out, by the length of what was sent."""
    return len(json.dumps(body)) // 4, len(json.dumps(answer)) // 4


def responses_reply(body: dict[str, Any], answer: Answer, number: int) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if answer.get("text"):
        content = [{"type": "output_text", "text": answer["text"], "annotations": []}]
        message = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant"}
        output.append({**message, "content": content})
    for index, call in enumerate(answer.get("tool_calls", [])):
        ids = {"id": f"fc_{number}_{index}", "call_id": f"call_{number}_{index}"}
        given = {"name": call["name"], "arguments": json.dumps(call["input"])}
        output.append({"type": "function_call", "status": "completed", **ids, **given})
    prompt, completion = counted(body, answer)
    usage = {"input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    head = {"id": f"resp_{number}", "object": "response", "created_at": int(time.time()), "model": body.get("model")}
    return {**head, "status": "completed", "output": output, "usage": {**usage, **details}}


def responses_events(reply: dict[str, Any]) -> Iterator[Event]:
    numbers = itertools.count()

    def event(kind: str, **data: Any) -> Event:
        return kind, {"type": kind, "sequence_number": next(numbers), **data}

    yield event("response.created", response={**reply, "status": "in_progress", "output": [], "usage": None})
    for index, item in enumerate(reply["output"]):
        yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress"})
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=reply)


def chat_reply(body: dict[str, Any], answer: Answer, number: int) -> dict[str, Any]:
    calls = [
        {
            "index": index,
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["input"])},
        }
        for index, call in enumerate(answer.get("tool_calls", []))
    ]
    message = {"role": "assistant", "content": answer.get("text") or None, **({"tool_calls": calls} if calls else {})}
    prompt, completion = counted(body, answer)
    stop = {"refused": "content_filter"}.get(answer.get("stop", ""), "tool_calls" if calls else "stop")
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": stop}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }


def chat_events(reply: dict[str, Any]) -> Iterator[Event]:
    (choice,) = reply["choices"]
    base = {**reply, "object": "chat.completion.chunk", "usage": None}
    yield "", {**base, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}]}
    yield "", {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield "", {**base, "choices": [], "usage": reply["usage"]}
    yield "", "[DONE]"


def messages_reply(body: dict[str, Any], answer: Answer, number: int) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": answer["text"]}] if answer.get("text") else []
    for index, call in enumerate(answer.get("tool_calls", [])):
        block = {"type": "tool_use", "id": f"toolu_{number}_{index}", "name": call["name"], "input": call["input"]}
        content.append(block)
    prompt, completion = counted(body, answer)
    stop = {"refused": "refusal"}.get(answer.get("stop", ""), "tool_use" if answer.get("tool_calls") else "end_turn")
    head = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": body.get("model")}
    usage = {"input_tokens": prompt, "output_tokens": completion}
    return {**head, "content": content, "stop_reason": stop, "stop_sequence": None, "usage": usage}


def messages_events(reply: dict[str, Any]) -> Iterator[Event]:
    start = {**reply, "content": [], "stop_reason": None, "usage": {**reply["usage"], "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": start}
    for index, block in enumerate(reply["content"]):
        text = block["type"] == "text"
        empty = {**block, **({"text": ""} if text else {"input": {}})}
        whole = block["text"] if text else json.dumps(block["input"])
        delta = {"type": "text_delta", "text": whole} if text else {"type": "input_json_delta", "partial_json": whole}
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
        yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    ending = {"stop_reason": reply["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": reply["usage"]["output_tokens"]}
    yield "message_delta", {"type": "message_delta", "delta": ending, "usage": usage}
    yield "message_stop", {"type": "message_stop"}


def gemini_reply(body: dict[str, Any], answer: Answer, number: int) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": answer["text"]}] if answer.get("text") else []
    parts += [{"functionCall": {"name": call["name"], "args": call["input"]}} for call in answer.get("tool_calls", [])]
    prompt, completion = counted(body, answer)
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": completion, "totalTokenCount": prompt + completion}
    stop = {"refused": "SAFETY"}.get(answer.get("stop", ""), "STOP")
    candidate = {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": stop}
    return {"responseId": f"r{number}", "candidates": [candidate], "usageMetadata": usage}


def gemini_events(reply: dict[str, Any]) -> Iterator[Event]:
    yield "", reply


PROTOCOLS: dict[str, tuple[Any, ...]] = {
    "responses": ("/responses", responses_turns, plain_tools, responses_reply, responses_events),
    "chat": ("/chat/completions", chat_turns, chat_tools, chat_reply, chat_events),
    "messages": ("/messages", messages_turns, plain_tools, messages_reply, messages_events),
    "gemini": ("enerateContent", gemini_turns, gemini_tools, gemini_reply, gemini_events),
}
