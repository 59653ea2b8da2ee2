"""The progress of a campaign as plain records: what was kept, what was tried beside it, and the noise around it.

The picture (`figure`), the page and the terminal are made from it. However many candidates there are, every kept one
is there; the others are thinned in the database, with the true counts beside them.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from loopsmith.records import Campaign, Candidate, Decision
from loopsmith.report.status import mean
from loopsmith.search.memory import gain_words
from loopsmith.tracker import Store
from loopsmith.tracker.reading.points import TEXT, Point
from loopsmith.workflow import Objective

__all__ = ["Band", "Curve", "Point", "Step", "curve"]
LIMIT = 2000  # points beside the kept steps
TWO_SIDED = 1.96  # standard deviations that hold 95 % of single runs, where noise is Gaussian


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The untouched source, which has the number 0, or a kept candidate.

    Attributes:
        value: of the objective's metric: the baseline's mean, or as confirmed.
        low, high: the ends of the effect's 95 % interval as values of the metric; None where there is none.
        effect, effect_low, effect_high: the gain over the baseline before it, a share of that.
        own_unit: that baseline was at zero, so the effect is in the metric's own unit.
        pairs: of runs behind the effect; 0 of a metric that repeats exactly.
        seconds: from the campaign's start to the decision, pauses included.
        cost_usd: what the campaign had spent when the round that kept it was over.
        hypothesis: its beginning.
    """

    number: int
    value: float
    low: float | None = None
    high: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    own_unit: bool = False
    pairs: int | None = None
    seconds: float = 0.0
    cost_usd: float = 0.0
    hypothesis: str = ""
    category: str = ""

    def words(self, gain: float) -> str:
        """The effect, or an end of its interval, for a person."""
        return gain_words(gain, 0.0 if self.own_unit else None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Where 95 % of single runs of an unchanged program fall.

    Attributes:
        share: half of its width, as a share of the program's value; of a baseline at zero in the metric's unit.
        low, high: its ends around the present baseline, in the metric's unit.
    """

    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A campaign's progress.

    Attributes:
        direction: minimize | maximize.
        exact: whether the metric repeats exactly; None before that is known.
        steps: the untouched source and each kept candidate, in order; empty before the baseline is measured.
        points: the other decided candidates, by number; thinned where `thinned` says so.
        band: None of a metric that repeats exactly, and before the noise is known.
        counts: how many candidates ended with each verdict, and under `candidates` all, open ones too.
        refused: how many a loop without statistics would have kept: better in their first run, and not really.
        overtaken: how many looked better too, but another candidate of their round came first.
        last: the highest number of a candidate.
        seconds: from the campaign's start to its last change.
        cost_usd: spent so far.
    """

    campaign: str
    name: str
    metric: str
    direction: str
    target: float | None
    exact: bool | None
    steps: tuple[Step, ...]
    points: tuple[Point, ...]
    band: Band | None
    counts: dict[str, int]
    refused: int
    overtaken: int
    last: int
    seconds: float
    cost_usd: float
    thinned: bool

    def better(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better than `other`."""
        return value > other if self.direction == "maximize" else value < other

    def as_json(self) -> dict[str, Any]:
        """The same as values that JSON can say."""
        return asdict(self)


def curve(store: Store, campaign: Campaign, limit: int = LIMIT) -> Curve:
    """The progress of a campaign, while it runs or afterwards.

    Args:
        limit: the most points beside the kept steps, roughly; of more candidates a choice is taken.
    """
    objective = Objective.model_validate(campaign.settings["objective"])
    minimize = objective.direction == "minimize"
    counts = store.counts(campaign.id)
    steps = steps_of(store, campaign, objective)
    points = store.points(campaign.id, objective.metric, minimize=minimize, limit=limit)
    refused, overtaken = store.looked_better(campaign.id, objective.metric, minimize=minimize)
    decided = sum(number for name, number in counts.items() if name not in ("candidates", "kept"))
    return Curve(
        campaign=campaign.id,
        name=campaign.name,
        metric=objective.metric,
        direction=objective.direction,
        target=objective.target,
        exact=campaign.exact,
        steps=steps,
        points=points,
        band=band_of(store, campaign, steps),
        counts=counts,
        refused=refused,
        overtaken=overtaken,
        last=store.last_number(campaign.id),
        seconds=max(0.0, (campaign.updated_at - campaign.created_at).total_seconds()),
        cost_usd=store.spent(campaign.id).cost_usd,
        thinned=len(points) < decided,
    )


def steps_of(store: Store, campaign: Campaign, objective: Objective) -> tuple[Step, ...]:
    """The untouched source and the kept candidates, each with what it had cost to come there."""
    start = mean(store, campaign, objective, campaign.origin_commit)
    if start is None:
        return ()
    kept = [(candidate, decision) for candidate, decision in store.kept(campaign.id) if decision.value is not None]
    steps, spent = [Step(number=0, value=start)], 0.0
    rounds = iter(store.cost_by_round(campaign.id).items()) if kept else iter(())
    number, cost = next(rounds, (math.inf, 0.0))
    for candidate, decision in kept:
        while number <= int(candidate.round_id.rpartition(".r")[2]):
            spent += cost
            number, cost = next(rounds, (math.inf, 0.0))
        steps.append(step_of(campaign, objective, candidate, decision, spent))
    return tuple(steps)


def step_of(campaign: Campaign, objective: Objective, candidate: Candidate, decision: Decision, spent: float) -> Step:
    assert decision.value is not None
    effect, base = decision.effect, decision.baseline_value
    low = high = None
    if effect is not None and base is not None:
        sign = 1.0 if objective.direction == "maximize" else -1.0
        low, high = sorted(base + sign * share * (abs(base) or 1.0) for share in (effect.low, effect.high))
        low, high = (value if math.isfinite(value) else None for value in (low, high))
    at = decision.created_at or campaign.updated_at
    return Step(
        number=candidate.number,
        value=decision.value,
        low=low,
        high=high,
        effect=effect.mean if effect else None,
        effect_low=effect.low if effect else None,
        effect_high=effect.high if effect else None,
        own_unit=effect is not None and effect.own_unit,
        pairs=effect.samples if effect else None,
        seconds=max(0.0, (at - campaign.created_at).total_seconds()),
        cost_usd=spent,
        hypothesis=(candidate.hypothesis or candidate.summary)[:TEXT],
        category=str(candidate.plan.get("category") or ""),
    )


def band_of(store: Store, campaign: Campaign, steps: tuple[Step, ...]) -> Band | None:
    """The noise as the newest confirmation knew it, or else as it was measured at the start."""
    if not steps or campaign.exact:
        return None
    level = steps[-1].value
    size = abs(level) or 1.0
    spread = store.newest_spread(campaign.id)
    if spread is None:
        spread = measured_spread(store, campaign)
    if spread is None:
        return None
    half = TWO_SIDED * spread
    return Band(share=half, low=level - half * size, high=level + half * size)


def measured_spread(store: Store, campaign: Campaign) -> float | None:
    """Of one run, from the event that the calibration wrote: a percentage, or in the unit of a baseline at zero."""
    events = store.events(campaign.id, name="noise.measured", limit=1, newest_first=True)
    text = str(events[0].data.get("noise", "")) if events else ""
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None
