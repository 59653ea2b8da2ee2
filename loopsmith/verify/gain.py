"""The gain of a whole campaign, from the confirmed steps that it kept."""

import math
from collections.abc import Iterable

from loopsmith.records import Decision, Effect
from loopsmith.workflow import Objective


def total_effect(objective: Objective, kept: Iterable[Decision]) -> Effect | None:
    """The kept steps' effects, compounded; the bounds are compounded too, which is wider than the truth.

    A step's effect is a share of the size of the baseline that it was compared with, whatever the sign of that: of a
    rate gains multiply as 1 + g, of a cost as 1 - g, and below zero the other way round. `samples` is the smallest
    number of pairs behind any step.
    """
    steps = [(decision.effect, decision.baseline_value) for decision in kept if decision.effect is not None]
    if not steps:
        return None
    first = steps[0][1]
    start, sign = 1.0 if first is None else first, 1.0 if objective.direction == "maximize" else -1.0
    mean = low = high = start
    for effect, baseline in steps:
        mean, low, high = (
            level + sign * gain * (1.0 if baseline == 0 else abs(level))
            for level, gain in ((mean, effect.mean), (low, effect.low), (high, effect.high))
        )
    ends = objective.gain(start, low), objective.gain(start, high)
    return Effect(
        mean=objective.gain(start, mean),
        low=min(ends),
        high=max(ends),
        samples=min(effect.samples for effect, _ in steps),
        own_unit=start == 0,
    )


def ratio(objective: Objective, effect: Effect, baseline: float | None) -> float | None:
    """The gain as a factor: 1.5 is one and a half times as good. None where no factor makes sense.

    Args:
        baseline: of the untouched source; at zero or below nothing is so many times as good.
    """
    factor = objective.factor(effect.mean)
    return factor if math.isfinite(factor) and (baseline is None or baseline > 0) else None
