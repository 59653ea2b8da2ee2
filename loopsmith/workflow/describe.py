"""What a workflow's settings are and what its budget affords, for a person."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, get_args

from loopsmith.workflow.acp import AcpAgent
from loopsmith.workflow.agent import ModelAgent, OtherAgent, Section, TunerAgent
from loopsmith.workflow.coding import CliAgent
from loopsmith.workflow.load import Workflow
from loopsmith.workflow.schema import Settings
from loopsmith.workflow.units import Shown, format_count, format_duration
from loopsmith.workflow.values import Expanded, Secret


def describe(workflow: Workflow) -> list[tuple[str, str, bool]]:
    """Every setting as (dotted key, value as a person would write it, whether it is the default)."""
    return list(_rows(workflow.settings, ""))


def affordance(workflow: Workflow) -> str:
    """What the budget affords when every worker and every run takes all the time and money it may.

    Such as `about 96 candidates at 5m each; budget.wall_clock ends it first`.
    """
    settings = workflow.settings
    budget = settings.budget
    seconds = seconds_per_candidate(settings)
    bounds: dict[str, float] = {}
    if budget.candidates is not None:
        bounds["candidates"] = budget.candidates
    if budget.rounds is not None:
        bounds["rounds"] = budget.rounds * settings.search.candidates_per_round
    if budget.wall_clock is not None:
        bounds["wall_clock"] = budget.wall_clock / seconds
    if any(isinstance(agent, (ModelAgent, CliAgent, AcpAgent, OtherAgent)) for agent in settings.agents):
        for key in ("cost_usd", "tokens"):
            whole, each = getattr(budget, key), getattr(budget.per_worker, key)
            if whole is not None and each:
                bounds[key] = whole / each
    each_takes = f" at {format_duration(seconds)} each"
    if not bounds:
        if budget.stall_rounds is None:
            return f"no limit: it runs until it is stopped, at {format_duration(seconds)} for each candidate"
        tried = budget.stall_rounds * settings.search.candidates_per_round
        return f"no limit but budget.stall_rounds: it ends after {tried} candidates{each_takes} without a keep"
    key = min(bounds, key=lambda name: bounds[name])
    count = math.floor(bounds[key])
    if not count:
        return f"less than one candidate{each_takes}: budget.{key} is too small"
    plural = "" if count == 1 else "s"
    return f"about {format_count(count)} candidate{plural}{each_takes}; budget.{key} ends it first"


def seconds_per_candidate(settings: Settings) -> float:
    """The longest that one candidate may hold up the campaign: its share of the workers' time, and one measurement.

    Workers of a round run side by side; measurements run one after the other. Checks, setup and the confirmation of
    winners come on top, but seldom take all the time they may.
    """
    thinking = 0.0
    if (
        not all(isinstance(agent, TunerAgent) for agent in settings.agents)
        and settings.budget.per_worker.wall_clock is not None
    ):
        at_once = min(settings.search.workers, settings.search.candidates_per_round)
        thinking = settings.budget.per_worker.wall_clock / at_once
    return thinking + settings.verify.timeout


def _rows(section: Section, prefix: str) -> Iterator[tuple[str, str, bool]]:
    for name, field in type(section).model_fields.items():
        default = name not in section.model_fields_set
        value = getattr(section, name)
        if isinstance(value, dict) and value and name != "options":
            for key, each in value.items():
                yield from _row(f"{prefix}{name}.{key}", each, None, default)
        else:
            shown = _shown_by(field.annotation, field.metadata)
            yield from _row(prefix + name, value, shown, default)


def _row(key: str, value: Any, shown: Shown | None, default: bool) -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, Section):
        yield from _rows(value, key + ".")
    elif isinstance(value, tuple) and value and all(isinstance(each, Section) for each in value):
        for index, each in enumerate(value):
            yield from _rows(each, f"{key}.{index}.")
    elif value is None:
        yield key, "none", default
    elif shown:
        yield key, shown.format(value), default
    else:
        yield key, _text(value), default


def _text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple() | list():
            return ", ".join(_text(each) for each in value) or "none"
        case dict():
            return json.dumps(value, default=str) if value else "none"
        case re.Pattern():
            return str(value.pattern)
        case Expanded():
            return value.written
        case Secret():
            return f"{value}{' (not set)' if value.unset else ''}"
        case float():
            return f"{value:.10g}"
        case _:
            return str(value)


def _shown_by(annotation: Any, metadata: list[Any]) -> Shown | None:
    """The unit's marker, in the field's own metadata or inside `Duration | None`."""
    found = next((item for item in metadata if isinstance(item, Shown)), None)
    for part in get_args(annotation):
        found = found or _shown_by(part, list(getattr(part, "__metadata__", ())))
    return found
