"""Chat Completions as server-sent events, for programs that insist on streaming; scripts as of `model_server`."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from model_server import Script, Url, openai_reply


@contextmanager
def streaming_server(script: Script) -> Iterator[Url]:
    """Serve `script` on a free port until the block ends; each reply comes in one piece of text and one of calls."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                url.requests.append(body)
                url.headers.append({name.lower(): value for name, value in self.headers.items()})
                number = len(url.requests)
            answer = script(body) if callable(script) else script[min(number, len(script)) - 1]
            if "status" in answer:
                return self.reply(answer["status"], "application/json", json.dumps({"error": answer["error"]}))
            events = [json.dumps(event) for event in chunks(openai_reply(body, answer, number))]
            return self.reply(200, "text/event-stream", "".join(f"data: {event}\n\n" for event in (*events, "[DONE]")))

        def reply(self, status: int, kind: str, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that went away is part of some tests

    server = Server(("127.0.0.1", 0), Handler)
    url = Url(f"http://127.0.0.1:{server.server_port}/v1")
    url.requests, url.headers = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chunks(reply: dict[str, Any]) -> list[dict[str, Any]]:
    """A whole reply as the chunks of a streamed one."""
    common = {key: reply[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    choice = reply["choices"][0]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": choice["message"]["content"] or ""}]
    calls = choice["message"].get("tool_calls", [])
    if calls:
        deltas.append({"tool_calls": [{"index": index, **call} for index, call in enumerate(calls)]})
    found = [{**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
    return [*found, {**common, "choices": [end]}, {**common, "choices": [], "usage": reply["usage"]}]
