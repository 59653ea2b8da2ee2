"""A campaign as a trace: a real exporter sends it over HTTP to a receiver on loopback, which reads the protocol."""

import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from model_server import by_turn, calls, model_server
from support import run, setting_x, write_source

from loopsmith import workflow
from loopsmith.tracker import open_store

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="pip install 'loopsmith[otel]'")


@contextmanager
def collector(status=200):
    """An OTLP/HTTP receiver: its URL, the spans that it got, and the headers of the requests."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans, requests = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, dict(self.headers)))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            if status == 200:
                message = ExportTraceServiceRequest()
                message.ParseFromString(body)
                for resource in message.resource_spans:
                    names = {item.key: item.value.string_value for item in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        spans.extend((names["service.name"], span) for span in scope.spans)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans, requests
    finally:
        server.shutdown()
        server.server_close()


def attributes(span):
    kinds = {"string_value": str, "int_value": int, "double_value": float}
    found = {}
    for item in span.attributes:
        kind = item.value.WhichOneof("value")
        found[item.key] = kinds[kind](getattr(item.value, kind))
    return found


def test_campaign_round_candidate_and_model_call_are_nested_and_speak_the_conventions_for_models(tmp_path, monkeypatch):
    answers = [calls(bash={"command": "sed -i 's/^X=.*/X=15/' program.sh"}), calls(submit={"hypothesis": "more"})]
    with collector() as (url, spans, requests), model_server(by_turn(answers)) as model:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=mine")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "night-shift")
        agent = {"kind": "openai", "model": "gpt-x", "base_url": str(model), "price": {"input": 3, "output": 15}}
        path = write_source(
            tmp_path,
            agent=agent,
            observe="otel",
            search={"candidates_per_round": 1, "workers": 1},
            budget={"rounds": 1},
        )
        view = run(path)
    assert view["counts"]["kept"] == 1
    assert {path for path, _ in requests} == {"/v1/traces"}
    assert all(headers.get("x-api-key") == "mine" for _, headers in requests)
    assert {service for service, _ in spans} == {"night-shift"}
    by_name = {}
    for _, span in spans:
        by_name.setdefault(span.name, []).append(span)
    assert Counter(span.name for _, span in spans) == {
        "invoke_workflow tiny": 1,
        "round 1": 1,
        "invoke_agent openai/gpt-x": 1,
        "chat gpt-x": view["usage"]["calls"],
    }
    (campaign,), (round_,), (candidate,) = (
        by_name[name] for name in ("invoke_workflow tiny", "round 1", "invoke_agent openai/gpt-x")
    )
    assert not campaign.parent_span_id
    assert round_.parent_span_id == campaign.span_id
    assert candidate.parent_span_id == round_.span_id
    assert len({span.trace_id for _, span in spans}) == 1
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        ledger = store.calls(view["campaign"]["id"], round_id=None, candidate_id=f"{view['campaign']['id']}.1")
    for span, call in zip(
        sorted(by_name["chat gpt-x"], key=lambda span: span.start_time_unix_nano), ledger, strict=True
    ):
        said = attributes(span)
        assert span.parent_span_id == candidate.span_id
        assert span.kind == 3  # CLIENT
        assert said["gen_ai.operation.name"] == "chat"
        assert said["gen_ai.provider.name"] == "openai"
        assert said["gen_ai.request.model"] == "gpt-x"
        assert said["gen_ai.usage.input_tokens"] == call.usage.input_tokens > 0
        assert said["gen_ai.usage.output_tokens"] == call.usage.output_tokens > 0
        assert said["loopsmith.cost_usd"] == pytest.approx(call.usage.cost_usd)
        assert span.end_time_unix_nano >= span.start_time_unix_nano
    said = attributes(candidate)
    assert (said["gen_ai.operation.name"], said["loopsmith.verdict"]) == ("invoke_agent", "kept")
    assert said["loopsmith.effect"] == 0.5
    assert attributes(campaign)["loopsmith.stop_reason"] == "rounds"


def test_a_campaign_without_models_is_a_trace_too_and_a_crash_is_an_error(tmp_path):
    agent = {"kind": "scripted", "commands": ["exit 7"]}
    with collector() as (url, spans, _):
        run(write_source(tmp_path, agent=agent, observe={"otel": {"endpoint": url}}), "search.candidates_per_round=1")
    crashed = next(span for _, span in spans if span.name == "invoke_agent scripted")
    assert crashed.status.code == 2  # ERROR
    assert {service for service, _ in spans} == {"loopsmith"}


def test_a_collector_that_refuses_is_said_once_and_changes_nothing(tmp_path):
    with collector(status=400) as (url, _, requests):
        path = write_source(tmp_path, agent=setting_x(12, 15), observe={"otel": {"endpoint": url}})
        assert run(path)["counts"]["kept"] == 1
    assert requests
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        (event,) = store.events(store.campaigns()[0].id, name="observer.failed")
    assert event.data["observer"] == "otel"
    assert "OTEL_EXPORTER_" in event.data["reason"]
