"""The campaigns as Prometheus metrics, in the text format 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loopsmith.live import Doing
from loopsmith.records import Campaign, Verdict
from loopsmith.serve.site import Site
from loopsmith.serve.words import clean

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: str  # gauge | counter
    help: str


METRICS = (
    Metric("loopsmith_campaign_info", "gauge", "1 for each campaign, with what it is called and how it stands."),
    Metric("loopsmith_campaign_running", "gauge", "1 while a process runs the campaign."),
    Metric("loopsmith_candidates_total", "counter", "Candidates, open ones too."),
    Metric("loopsmith_decisions_total", "counter", "Decided candidates by verdict."),
    Metric("loopsmith_rounds_total", "counter", "Rounds that were planned."),
    Metric("loopsmith_rounds_since_keep", "gauge", "Rounds that were finished since a candidate was kept."),
    Metric("loopsmith_baseline_value", "gauge", "The metric of the untouched source."),
    Metric("loopsmith_best_value", "gauge", "The metric of the best verified state."),
    Metric("loopsmith_gain", "gauge", "The confirmed gain over the untouched source, as a share of it."),
    Metric("loopsmith_running_seconds_total", "counter", "Seconds that the campaign was running."),
    Metric("loopsmith_cost_usd_total", "counter", "Dollars by role and model, open reservations in full."),
    Metric("loopsmith_tokens_total", "counter", "Tokens by role, model and kind."),
    Metric("loopsmith_budget_limit", "gauge", "The limits of the budget, each in its own unit."),
    Metric("loopsmith_budget_used", "gauge", "What is used of each part of the budget."),
    Metric("loopsmith_activity", "gauge", "What goes on now, by kind."),
    Metric("loopsmith_updated_timestamp_seconds", "gauge", "When the campaign last changed."),
)


def exposition(site: Site) -> str:
    """All campaigns of the tracker."""
    samples: dict[str, list[Sample]] = {metric.name: [] for metric in METRICS}
    for campaign in site.source.store().campaigns():
        for name, labels, value in samples_of(site, campaign):
            samples[name].append(({"campaign": campaign.id, **labels}, value))
    lines = []
    for metric in METRICS:
        if samples[metric.name]:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{{{labelled(labels)}}} {written(value)}" for labels, value in samples[metric.name]]
    return "\n".join(lines) + "\n"


def samples_of(site: Site, campaign: Campaign) -> Iterable[tuple[str, Mapping[str, str], float]]:
    view = site.status(campaign)
    best, budget, usage = view["best"], view["budget"], view["usage"]
    metric = {"metric": str(view["objective"]["metric"])}
    running = view["campaign"]["process"] is not None
    state = {"name": campaign.name, "status": view["campaign"]["status"], "stop_reason": campaign.stop_reason or ""}
    yield "loopsmith_campaign_info", state, 1
    yield "loopsmith_campaign_running", {}, running
    yield "loopsmith_candidates_total", {}, view["counts"]["candidates"]
    for verdict in Verdict:
        yield "loopsmith_decisions_total", {"verdict": str(verdict)}, view["counts"][verdict]
    yield "loopsmith_rounds_total", {}, budget["rounds"]["used"]
    yield "loopsmith_rounds_since_keep", {}, budget["stall_rounds"]["used"]
    for name, value in (("baseline", view["baseline"]["value"]), ("best", best["value"])):
        if value is not None:
            yield f"loopsmith_{name}_value", metric, value
    if best["effect"] is not None and view["baseline"]["value"] != 0:
        yield "loopsmith_gain", metric, best["effect"]
    yield "loopsmith_running_seconds_total", {}, budget["wall_clock"]["used"]
    yield from spent(usage["by_model"])
    for name, part in budget.items():
        yield "loopsmith_budget_used", {"budget": name}, part["used"]
        if part["limit"] is not None:
            yield "loopsmith_budget_limit", {"budget": name}, part["limit"]
    doing = [item.doing for item in site.source.store().activity(campaign.id)] if running else []
    for kind in Doing:
        yield "loopsmith_activity", {"doing": str(kind)}, doing.count(kind)
    yield "loopsmith_updated_timestamp_seconds", {}, campaign.updated_at.timestamp()


def spent(by_model: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Mapping[str, str], float]]:
    for item in by_model:
        who = {"role": item["role"], "model": item["model"]}
        yield "loopsmith_cost_usd_total", who, item["cost_usd"]
        for kind in ("input", "cached", "output"):
            yield "loopsmith_tokens_total", {**who, "kind": kind}, item[f"{kind}_tokens"]


def labelled(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())


def escaped(value: str) -> str:
    return str(clean(str(value))).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def written(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return repr(float(value)) if isinstance(value, float) else str(int(value))
