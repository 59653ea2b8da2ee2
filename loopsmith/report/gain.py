"""The gain of a whole campaign, from the confirmed steps that it kept."""

import math
from collections.abc import Iterable

from loopsmith.records import Decision, Effect
from loopsmith.workflow import Objective


def total_effect(objective: Objective, kept: Iterable[Decision]) -> Effect | None:
    """The kept steps' effects, compounded; the bounds are compounded too, which is wider than the truth.

    A step's effect is a share of the baseline that it was compared with: maximizing, gains multiply as 1 + g, and
    minimizing, costs multiply as 1 - g. `samples` is the smallest number of pairs behind any step.
    """
    effects = [decision.effect for decision in kept if decision.effect is not None]
    if not effects:
        return None
    sign = 1.0 if objective.direction == "maximize" else -1.0
    mean = low = high = 1.0
    for effect in effects:
        mean *= 1 + sign * effect.mean
        low *= 1 + sign * effect.low
        high *= 1 + sign * effect.high
    return Effect(
        mean=sign * (mean - 1),
        low=sign * (low - 1),
        high=sign * (high - 1),
        samples=min(effect.samples for effect in effects),
    )


def ratio(objective: Objective, effect: Effect) -> float | None:
    """The gain as a factor: 1.5 is one and a half times as good. None where no factor makes sense."""
    factor = objective.factor(effect.mean)
    return factor if math.isfinite(factor) else None
