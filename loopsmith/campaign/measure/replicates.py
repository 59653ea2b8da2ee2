"""Replicates: what was measured of one program several times, and so the noise and the baseline's present level."""

import time
from typing import Protocol

from loopsmith.campaign.context import Context
from loopsmith.campaign.measure.measuring import baseline_message, measure
from loopsmith.errors import BaselineError
from loopsmith.records import Measurement, Phase
from loopsmith.tracker import Store
from loopsmith.verify.level import Level, Timed, level
from loopsmith.verify.noise import Noise, Pair, pool
from loopsmith.workflow import Settings

NEWEST = 40  # runs of a baseline that enter its level


class Records(Protocol):
    """A campaign's records: of one that runs, or of one that ended."""

    @property
    def id(self) -> str: ...
    @property
    def store(self) -> Store: ...
    @property
    def settings(self) -> Settings: ...


def noise_of(context: Context, metric: str, *, without: str | None = None) -> Noise:
    """The noise of a metric, from every baseline and confirmation so far.

    Args:
        without: a candidate whose own pairs are left out, as they are the evidence.
    """
    known = context.noise.get(metric)
    if known is None or without is not None:
        known = context.noise[metric] = pool(baselines(context, metric), confirmations(context, metric, without))
    return known


def forget(context: Context) -> None:
    """The replicates have changed, so that the noise is to be worked out again."""
    context.noise.clear()


def baselines(context: Records, metric: str) -> list[list[float]]:
    """The runs of each baseline alone, in the order in which they were made."""
    found: dict[str, list[float]] = {}
    for item in context.store.measurements(context.id, phase=Phase.BASELINE):
        if item.metric == metric:
            found.setdefault(item.commit, []).append(item.value)
    return list(found.values())


def confirmations(context: Records, metric: str, without: str | None = None) -> list[list[Pair]]:
    """The pairs of each confirmation, but for one candidate's."""
    found: dict[str, dict[int, dict[bool, float]]] = {}
    for item in context.store.measurements(context.id, phase=Phase.CONFIRM):
        if item.metric == metric and item.candidate_id and item.candidate_id != without:
            pair = found.setdefault(item.candidate_id, {}).setdefault(item.pair, {})
            pair[item.commit != context.store.candidate(item.candidate_id).commit] = item.value
    complete = ([pair for pair in pairs.values() if len(pair) == 2] for pairs in found.values())
    return [[(pair[True], pair[False]) for pair in pairs] for pairs in complete]


def known_runs(context: Records, commit: str) -> list[Measurement]:
    """The runs that tell a baseline's value, oldest first.

    Runs that only screened it are left out, as it was picked for them, and those of the holdout.
    """
    metric = context.settings.objective.metric
    items = [item for item in context.store.measurements(context.id, commit=commit) if item.metric == metric]
    chosen = [item for item in items if item.phase in (Phase.BASELINE, Phase.CONFIRM)]
    return chosen or [item for item in items if item.phase is Phase.SCREEN]


def level_of(context: Context, commit: str) -> Level:
    """The baseline's present level of the objective."""
    items = known_runs(context, commit)[-NEWEST:]
    runs = [Timed(item.created_at.timestamp() if item.created_at else 0.0, item.value) for item in items]
    metric = context.settings.objective.metric
    spread = 0.0 if context.exact else noise_of(context, metric).spread * (abs(runs[-1].value) or 1.0)
    return level(runs, time.time(), spread)


def exact_value(context: Context, commit: str) -> float:
    """The baseline's value of a metric that repeats exactly."""
    if commit not in context.exact_values:
        context.exact_values[commit] = known_runs(context, commit)[-1].value
    return context.exact_values[commit]


async def refresh(context: Context, commit: str) -> None:
    """Measure the baseline again where it is due, so that screening compares with how the machine is now.

    Raises:
        BaselineError: it no longer verifies.
    """
    if context.screens < level_of(context, commit).refresh_after:
        return
    context.screens = 0
    await measure_baseline(context, commit)
    forget(context)


async def measure_baseline(context: Context, commit: str) -> float:
    """One more run of a baseline, on a seed of its own; gives the objective's value.

    Raises:
        BaselineError: it no longer verifies.
    """
    runs = context.store.measurements(context.id, commit=commit, phase=Phase.BASELINE)
    pair = 1 + max((item.pair for item in runs), default=-1)
    run = await measure(context, commit, candidate=None, phase=Phase.BASELINE, pair=pair)
    if run.verdict is not None:
        raise BaselineError("measured again, " + baseline_message(run.problem, run.tail, run.log))
    return run.metrics[context.settings.objective.metric]
