"""OpenTelemetry: a trace for each run of a campaign, over OTLP/HTTP; campaign, round, candidate, model call.

Names and attributes are those of the semantic conventions for generative AI
(https://github.com/open-telemetry/semantic-conventions-genai); what these do not know is under `loopsmith.`.
"""

import logging
import os
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from loopsmith.observers import require
from loopsmith.protocols import Call, Happening, Watched
from loopsmith.records import CampaignStatus, Verdict
from loopsmith.workflow.observe import Otel
from loopsmith.workflow.quote import one_line

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

PATIENCE = 3  # exports that may fail in a row; each was tried again by the exporter itself
FLUSH = 5_000  # milliseconds for what is left at the end
BROKEN = (Verdict.CRASHED, Verdict.TIMED_OUT)


class OtelObserver:
    """Implements `protocols.Observer` with OpenTelemetry's SDK, which takes its standard variables."""

    def __init__(self, settings: Otel):
        require("opentelemetry.sdk", "otel")
        require("opentelemetry.exporter.otlp.proto.http", "otel")
        self.settings = settings
        self.rounds: dict[int, Span] = {}
        self.candidates: dict[int, Span] = {}

    def start(self, campaign: Watched) -> None:
        # It says in the log of the program around it what we say as an event.
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self.campaign, now = campaign, campaign.campaign
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        resource = Resource.create({} if named else {"service.name": "loopsmith"})
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        endpoint = self.settings.endpoint
        exporter = OTLPSpanExporter(endpoint and f"{endpoint.rstrip('/').removesuffix('/v1/traces')}/v1/traces")
        self.exports = Exports(exporter)
        self.provider.add_span_processor(BatchSpanProcessor(self.exports))
        self.tracer = self.provider.get_tracer("loopsmith", version("loopsmith"))
        objective = now.settings["objective"]
        self.root = self.tracer.start_span(
            f"invoke_workflow {one_line(now.name, 80)}",
            attributes={
                "gen_ai.operation.name": "invoke_workflow",
                "gen_ai.workflow.name": now.name,
                "loopsmith.campaign": now.id,
                "loopsmith.objective.metric": objective["metric"],
                "loopsmith.objective.direction": objective["direction"],
            },
        )

    def observe(self, happening: Happening) -> None:
        if self.exports.failures >= PATIENCE:
            raise ConnectionError("the collector took nothing, tried several times; see the OTEL_EXPORTER_ variables")
        if happening.round is None:
            return
        if happening.candidate is not None:
            self._candidate(happening.candidate, happening.round, happening)
        elif happening.name == "round.planned":
            self._round(happening.round, happening.at)
        elif happening.name == "round.finished":
            self._end_round(happening.round, happening.at)

    def close(self) -> None:
        now = self.campaign.campaign
        for number in tuple(self.candidates):
            self._end_candidate(number, now.updated_at)
        for number in tuple(self.rounds):
            self._end_round(number, now.updated_at)
        self.root.set_attribute("loopsmith.status", str(now.status))
        self.root.set_attribute("loopsmith.stop_reason", now.stop_reason or "")
        if now.status is CampaignStatus.FAILED:
            self._fail(self.root, now.message or "")
        self.root.end()
        self.provider.force_flush(FLUSH)
        self.provider.shutdown()
        if self.exports.failures:
            raise ConnectionError("the collector took not all of it; see the OTEL_EXPORTER_ variables")

    def _round(self, number: int, at: datetime) -> "Span":
        if number not in self.rounds:
            given = {"loopsmith.round": number}
            self.rounds[number] = self._begin(f"round {number}", self.root, at, given)
        return self.rounds[number]

    def _candidate(self, number: int, round_: int, happening: Happening) -> None:
        if number not in self.candidates:
            if happening.name == "candidate.reviewed":
                return  # its span has ended
            agent = self.campaign.record(number)["agent"]
            given = {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": agent,
                "loopsmith.candidate": number,
                "loopsmith.round": round_,
            }
            around = self._round(round_, happening.at)
            self.candidates[number] = self._begin(f"invoke_agent {agent}", around, happening.at, given)
        if happening.name == "candidate.decided":
            self._end_candidate(number, happening.at)

    def _end_candidate(self, number: int, at: datetime) -> None:
        span, record = self.candidates.pop(number), self.campaign.record(number)
        for call in self.campaign.calls(candidate=number):
            self._call(call, span)
        if record["finished_at"] is not None:
            found: dict[str, Any] = {
                "loopsmith.verdict": str(record["status"]),
                "loopsmith.reason": one_line(record["reason"]),
                "loopsmith.hypothesis": one_line(record["hypothesis"]),
                **{f"loopsmith.{name}": record[name] for name in ("value", "effect", "cost_usd", "commit")},
            }
            span.set_attributes({name: value for name, value in found.items() if value is not None})
            if record["status"] in BROKEN:
                self._fail(span, one_line(record["reason"]))
        span.end(nanoseconds(at))

    def _end_round(self, number: int, at: datetime) -> None:
        span = self._round(number, at)
        for call in self.campaign.calls(round=number):
            self._call(call, span)
        self.rounds.pop(number).end(nanoseconds(at))

    def _call(self, call: Call, around: "Span") -> None:
        provider, _, model = call.usage.model.partition("/")
        given = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model or provider,
            "gen_ai.usage.input_tokens": call.usage.input_tokens,
            "gen_ai.usage.output_tokens": call.usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.usage.cached_tokens,
            "loopsmith.role": call.usage.role,
            "loopsmith.cost_usd": call.usage.cost_usd,
        }
        span = self._begin(f"chat {model or provider}", around, call.created_at, given, client=True)
        span.end(nanoseconds(call.created_at + timedelta(seconds=call.usage.seconds)))

    def _begin(
        self, name: str, around: "Span", at: datetime, attributes: dict[str, Any], *, client: bool = False
    ) -> "Span":
        from opentelemetry.trace import SpanKind, set_span_in_context

        return self.tracer.start_span(
            name,
            context=set_span_in_context(around),
            kind=SpanKind.CLIENT if client else SpanKind.INTERNAL,
            attributes=attributes,
            start_time=nanoseconds(at),
        )

    def _fail(self, span: "Span", reason: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_status(Status(StatusCode.ERROR, reason))


class Exports:
    """An exporter that counts its failures in a row."""

    def __init__(self, exporter: "SpanExporter"):
        self.exporter, self.failures = exporter, 0

    def export(self, spans: Any) -> Any:
        result = self.exporter.export(spans)
        self.failures = 0 if result.name == "SUCCESS" else self.failures + 1
        return result

    def shutdown(self) -> None:
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = FLUSH) -> bool:
        return bool(self.exporter.force_flush(timeout_millis))


def nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000_000)
