"""A model endpoint on loopback with scripted answers: the one thing that tests fake, behind the real SDKs.

It speaks the Anthropic Messages API and OpenAI's Chat Completions and Responses, not streamed:

    with model_server([calls(view={"path": "a.py"}), say("done")]) as url:
        ...  # base_url=url for either SDK; url.requests holds the requests so far

An answer is a dict: `text` and `tool_calls`, or a failure (`status`, or `drop`). A script is a sequence of answers, of
which the last repeats, or a function from a request's body to an answer. `held` is a function that gets the connection
instead of an answer.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = dict[str, Any]
Script = Sequence[Answer] | Callable[[dict[str, Any]], Answer]


def say(text: str) -> Answer:
    """Text without a tool call."""
    return {"text": text}


def calls(text: str = "", **tools: dict[str, Any]) -> Answer:
    """Tool calls by name: calls(bash={"command": "ls"})."""
    return {"text": text, "tool_calls": [{"name": name, "input": given} for name, given in tools.items()]}


def fail(
    status: int, message: str = "scripted failure", *, type: str = "api_error", code: str = "", **headers: str
) -> Answer:
    """An HTTP error. Headers are written with underscores: retry_after="1"."""
    return {"status": status, "error": {"message": message, "type": type, "code": code or None}, "headers": headers}


RATE_LIMITED = fail(429, "slow down", type="rate_limit_error", retry_after="0.2")
SERVER_ERROR = fail(500, "internal server error")
OVERLOADED = fail(529, "Overloaded", type="overloaded_error")
WRONG_KEY = fail(401, "invalid x-api-key", type="authentication_error", code="invalid_api_key")
NO_SUCH_MODEL = fail(404, "model: nonsense", type="not_found_error", code="model_not_found")
NO_BALANCE = fail(400, "Your credit balance is too low to access the API", type="invalid_request_error")
NO_QUOTA = fail(429, "You exceeded your current quota", type="insufficient_quota", code="insufficient_quota")
TOO_LONG = fail(400, "prompt is too long: 210000 tokens > 200000 maximum", type="invalid_request_error")
DROP: Answer = {"drop": True}


def by_turn(answers: Sequence[Answer]) -> Callable[[dict[str, Any]], Answer]:
    """The same script for each of many conversations at once: by how often the model spoke in it before."""

    def answer(body: dict[str, Any]) -> Answer:
        items = body.get("messages") or body["input"]
        turn = sum(item.get("role") == "assistant" or item.get("type") == "function_call" for item in items)
        return answers[min(turn, len(answers) - 1)]

    return answer


class Url(str):
    """The endpoint's base URL, with what was asked of it: each request's body, and its headers in lower case."""

    requests: list[dict[str, Any]]
    headers: list[dict[str, str]]


@contextmanager
def model_server(script: Script, *, delay: float = 0.0) -> Iterator[Url]:
    """Serve `script` on a free port until the block ends.

    Args:
        delay: seconds before every answer.
    """
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or each answer waits 40 ms for an acknowledgement
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                url.requests.append(body)
                url.headers.append({name.lower(): value for name, value in self.headers.items()})
                number = len(url.requests)
            answer = script(body) if callable(script) else script[min(number, len(script)) - 1]
            time.sleep(answer.get("delay", delay))
            if "held" in answer:
                answer["held"](self.connection)
            if answer.get("drop") or "held" in answer:
                self.close_connection = True
            elif "status" in answer:
                self.reply(answer["status"], {"type": "error", "error": answer["error"]}, answer["headers"])
            elif "raw" in answer:
                self.reply(200, answer["raw"], {})
            else:
                name = self.path.split("?")[0].rpartition("/")[2]
                shape = {"messages": anthropic_reply, "responses": responses_reply}.get(name, openai_reply)
                self.reply(200, shape(body, answer, number), {})

        def reply(self, status: int, payload: Any, headers: dict[str, str]) -> None:
            data = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(payload, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

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


def anthropic_reply(body: dict[str, Any], answer: Answer, number: int) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": answer["text"]}] if answer.get("text") else []
    content = [*answer.get("blocks", []), *content]
    for index, call in enumerate(answer.get("tool_calls", [])):
        block = {"type": "tool_use", "id": f"toolu_{number}_{index}", "name": call["name"], "input": call["input"]}
        content.append(block)
    stop = {"length": "max_tokens", "refused": "refusal"}.get(answer.get("stop", ""))
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": stop or ("tool_use" if answer.get("tool_calls") else "end_turn"),
        "stop_sequence": None,
        "usage": answer.get("usage") or {"input_tokens": size(body) // 4, "output_tokens": size(answer) // 4},
    }


def openai_reply(body: dict[str, Any], answer: Answer, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.get("text") or None}
    tool_calls = [
        {
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {
                "name": call["name"],
                "arguments": call["input"] if isinstance(call["input"], str) else json.dumps(call["input"]),
            },
        }
        for index, call in enumerate(answer.get("tool_calls", []))
    ]
    if tool_calls:
        message["tool_calls"] = tool_calls
    stop = {"length": "length", "refused": "content_filter"}.get(answer.get("stop", ""))
    prompt, completion = size(body) // 4, size(answer) // 4
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    finish = stop or ("tool_calls" if tool_calls else "stop")
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": answer.get("usage", usage),
    }


def responses_reply(body: dict[str, Any], answer: Answer, number: int) -> dict[str, Any]:
    output: list[dict[str, Any]] = [*answer.get("blocks", [])]
    if answer.get("text"):
        kind = "refusal" if answer.get("stop") == "refused" else "output_text"
        part = {"type": kind, "refusal" if kind == "refusal" else "text": answer["text"], "annotations": []}
        message = {"type": "message", "role": "assistant", "status": "completed", "content": [part]}
        output.append({"id": f"msg_{number}", **message})
    for index, call in enumerate(answer.get("tool_calls", [])):
        arguments = call["input"] if isinstance(call["input"], str) else json.dumps(call["input"])
        ids = {"id": f"fc_{number}_{index}", "call_id": f"call_{number}_{index}", "status": "completed"}
        output.append({"type": "function_call", "name": call["name"], "arguments": arguments, **ids})
    prompt, completion = size(body) // 4, size(answer) // 4
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + completion,
    }
    cut = answer.get("stop") == "length"
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": int(time.time()),
        "model": body["model"],
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "usage": answer.get("usage", usage),
    }


def size(value: Any) -> int:
    return len(json.dumps(value))
