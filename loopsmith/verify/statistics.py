"""When a candidate beats its baseline: pure functions of measured values.

A metric that repeats exactly is decided by one run. Any other by pairs of runs on fresh seeds, interleaved with the
baseline: kept when the 95 % interval of the paired t-test (Student, 1908) lies above zero and the mean gain is at
least `min_effect`. All gains are shares of the baseline's mean, positive when better in the objective's direction;
a baseline whose mean is zero has no share, and gains are then in the metric's own unit.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

from loopsmith.records import Decision, Effect, Verdict

CONFIDENCE = 0.95  # two-sided


class Goal(Protocol):
    """The part of `workflow.schema.Objective` that decides."""

    @property
    def metric(self) -> str: ...

    @property
    def min_effect(self) -> object: ...  # shown in reasons

    def gain(self, baseline: float, value: float) -> float: ...

    def clears(self, baseline: float, gain: float) -> bool: ...


def is_exact(values: Sequence[float]) -> bool:
    """Whether a metric repeats exactly: the same value in each of at least two runs with different seeds."""
    return len(values) >= 2 and len(set(values)) == 1


def screen_gain(objective: Goal, baseline: Sequence[float], value: float) -> float:
    """The gain of one run over the mean of the baseline's runs. It orders candidates; it proves nothing."""
    return objective.gain(mean(baseline), value)


def screen(objective: Goal, baseline: Sequence[float], value: float, *, exact: bool) -> Decision | None:
    """Discard after one run what does not deserve more; None for a candidate that does.

    Discarded is a gain that is not above zero, and one that stays under `min_effect` even at the upper end of the
    95 % prediction interval that the baseline's own noise gives a single run.
    """
    if exact:
        decision = judge_exact(objective, baseline, value)
        return None if decision.verdict is Verdict.KEPT else decision
    gain, centre = screen_gain(objective, baseline, value), mean(baseline)
    if not math.isfinite(gain):
        return _discarded(objective, "screen", centre, value, _TOO_LARGE)
    if gain <= 0:
        return _discarded(objective, "screen", centre, value, f"{_better(gain, centre)} in a first run")
    if len(baseline) < 2:
        return None
    gains = [objective.gain(centre, each) if centre else each for each in baseline]
    reach = gain + t_quantile(len(gains) - 1) * deviation(gains) * math.sqrt(1 + 1 / len(gains))
    if objective.clears(centre, reach):
        return None
    reason = f"{_better(gain, centre)} in a first run, too far from min_effect {objective.min_effect} to be noise"
    return _discarded(objective, "screen", centre, value, reason)


def judge_exact(objective: Goal, baseline: Sequence[float], value: float) -> Decision:
    """Decide by one run of a metric that repeats exactly.

    Args:
        baseline: its values, all the same.
    """
    centre = mean(baseline)
    gain = objective.gain(centre, value)
    if not math.isfinite(gain):
        return _discarded(objective, "exact", centre, value, _TOO_LARGE)
    effect = Effect(mean=gain, low=gain, high=gain, samples=0)
    words = _better(gain, centre)
    if objective.clears(centre, gain):
        return _decision(
            objective, Verdict.KEPT, "exact", centre, value, f"{words}; the metric repeats exactly", effect
        )
    if gain > 0:
        words += f", less than min_effect {objective.min_effect}"
    return _decision(objective, Verdict.DISCARDED, "exact", centre, value, words, effect)


def judge_pairs(objective: Goal, pairs: Sequence[tuple[float, float]]) -> Decision:
    """Decide by the paired runs of a confirmation.

    Args:
        pairs: (baseline's value, candidate's value), at least two.
    """
    centre, value = mean([pair[0] for pair in pairs]), mean([pair[1] for pair in pairs])
    effect = paired_effect(objective, pairs)
    evidence = {"pairs": [list(pair) for pair in pairs]}
    if not all(map(math.isfinite, (effect.mean, effect.low, effect.high))):
        return _discarded(objective, "paired-t", centre, value, _TOO_LARGE)
    words = (
        f"{_better(effect.mean, centre)}, 95 % interval {_share(effect.low, centre)} to {_share(effect.high, centre)} "
        f"over {effect.samples} pairs"
    )
    verdict = Verdict.DISCARDED
    if effect.low <= 0:
        words += ", which does not clear zero"
    elif not objective.clears(centre, effect.mean):
        words += f"; the mean is less than min_effect {objective.min_effect}"
    else:
        verdict = Verdict.KEPT
    return _decision(objective, verdict, "paired-t", centre, value, words, effect, evidence)


def paired_effect(objective: Goal, pairs: Sequence[tuple[float, float]]) -> Effect:
    """The mean gain of pairs of runs, with the two-sided 95 % interval of the paired t-test.

    Args:
        pairs: (baseline's value, candidate's value); what slows both of a pair cancels out.

    Raises:
        ValueError: there are less than two pairs, so there is no interval.
    """
    if len(pairs) < 2:
        raise ValueError("an interval needs at least two pairs")
    centre = mean([pair[0] for pair in pairs])
    sign = 1.0 if objective.gain(0.0, 1.0) > 0 else -1.0
    gains = [sign * (value - baseline) / (abs(centre) or 1.0) for baseline, value in pairs]
    middle = mean(gains)
    half = t_quantile(len(gains) - 1) * deviation(gains) / math.sqrt(len(gains))
    return Effect(mean=middle, low=middle - half, high=middle + half, samples=len(pairs))


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; exactly the value itself where all are the same."""
    if len(set(values)) == 1:
        return values[0]
    try:
        return math.fsum(values) / len(values)
    except (OverflowError, ValueError):  # sums beyond the range of a float, of infinities
        return math.nan


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation, with n - 1."""
    middle = mean(values)
    try:
        return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))
    except (OverflowError, ValueError):
        return math.nan


def t_quantile(freedom: int) -> float:
    """Student's t: the two-sided quantile at `CONFIDENCE` for this many degrees of freedom."""
    from scipy.special import stdtrit  # not at the top: it takes longer than most commands

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


_TOO_LARGE = "the values are too large, or too close to zero, to compare"


def _discarded(objective: Goal, rule: str, baseline: float, value: float, reason: str) -> Decision:
    return _decision(objective, Verdict.DISCARDED, rule, baseline, value, reason)


def _decision(
    objective: Goal,
    verdict: Verdict,
    rule: str,
    baseline: float,
    value: float,
    reason: str,
    effect: Effect | None = None,
    evidence: dict[str, Any] | None = None,
) -> Decision:
    finite = math.isfinite(baseline) and math.isfinite(value)
    return Decision(
        verdict=verdict,
        reason=f"{objective.metric} {baseline:.6g} -> {value:.6g}: {reason}",
        rule=rule,
        effect=effect,
        value=value if finite else None,
        baseline_value=baseline if finite else None,
        evidence=evidence or {},
    )


def _share(gain: float, baseline: float) -> str:
    return f"{100 * gain:.2f} %" if baseline else f"{gain:.4g}"


def _better(gain: float, baseline: float) -> str:
    return "no change" if gain == 0 else f"{_share(abs(gain), baseline)} {'better' if gain > 0 else 'worse'}"
