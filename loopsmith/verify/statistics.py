"""Gains, screening, and the decision on a metric that repeats exactly: pure functions of measured values.

All gains are shares of the baseline's value, positive when better in the objective's direction; a baseline of zero has
no share, and gains are then in the metric's own unit. `paired` decides noisy metrics, by pairs of runs of their own.

Screening is a sequential probability ratio test (Wald 1945) between no gain and the gain that the confirmation can
detect, by unpaired runs against the baseline's present level: a quarter of the price of the same evidence from pairs,
because the baseline's level is known already. Its errors cost measurements or a missed candidate, never a false keep.
"""

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from loopsmith.records import Decision, Effect, Verdict
from loopsmith.verify.level import Level
from loopsmith.verify.noise import Noise, detectable

GIVE_UP = (-1.0, -0.8, -0.5, 0.4)  # after each run: the log-likelihood ratio up to which a candidate is discarded,
PASS = 4.0  # and from which it is confirmed at once; found by search, as the cheapest that let four in five through
DOUBT = 3.0  # less is given up while the spread itself comes from few replicates: by this over their number


class Screening(Enum):
    """What becomes of a candidate that screening does not discard."""

    CONFIRM = "confirm"
    AGAIN = "again"  # one more run


class Goal(Protocol):
    """The part of `workflow.schema.Objective` that decides."""

    @property
    def metric(self) -> str: ...

    @property
    def min_effect(self) -> Any: ...  # shown in reasons; has `value` and `relative`

    def gain(self, baseline: float, value: float) -> float: ...

    def clears(self, baseline: float, gain: float) -> bool: ...


def is_exact(values: Sequence[float]) -> bool:
    """Whether a metric repeats exactly: the same value in each of at least two runs with different seeds."""
    return len(values) >= 2 and len(set(values)) == 1


def screen_gain(objective: Goal, baseline: Sequence[float], value: float) -> float:
    """The gain of one run over the mean of the baseline's runs. It orders candidates; it proves nothing."""
    return objective.gain(mean(baseline), value)


def screen(
    objective: Goal,
    baseline: Level,
    values: Sequence[float],
    noise: Noise,
    *,
    pairs: int,
    simplifies: bool = False,
) -> Decision | Screening:
    """Discard what does not deserve a confirmation, after as few runs as tell.

    Args:
        baseline: its present level.
        values: the candidate's runs so far, at least one.
        pairs: of a confirmation at most; they say which effects can be found at all.
        simplifies: the candidate may be kept for being no worse than `min_effect`.
    """
    count, value, centre = len(values), mean(values), baseline.value
    gain, needed = objective.gain(centre, value), needed_share(objective, centre)
    if not math.isfinite(gain):
        return _discarded(objective, "screen", centre, value, TOO_LARGE)
    moved = gain + (needed if simplifies else 0.0)
    wanted = max(detectable(noise, pairs), needed)
    size = noise.spread
    runs = "in a first run" if count == 1 else f"over {count} runs"
    if size > 0:
        # Not over the square of the size, which may be beyond the range of a float.
        ratio = wanted / size * ((moved - wanted / 2) / size) / (1 / count + 1 / baseline.known)
        if ratio > GIVE_UP[min(count, len(GIVE_UP)) - 1] - DOUBT / max(noise.freedom, 1.0):
            return Screening.CONFIRM if ratio >= PASS or count >= len(GIVE_UP) else Screening.AGAIN
        wanted_words = share_words(wanted, centre)
        why = f"{better_words(gain, centre)} {runs}, nearer to no gain than to the {wanted_words} that could be shown"
        return _discarded(objective, "screen", centre, value, why)
    if moved > 0 and moved >= needed * (1 - 1e-9):
        return Screening.CONFIRM
    return _discarded(objective, "screen", centre, value, f"{better_words(gain, centre)} {runs}")


def judge_exact(objective: Goal, baseline: Sequence[float], value: float, *, simplifies: bool = False) -> Decision:
    """Decide by one run of a metric that repeats exactly.

    Args:
        baseline: its values, all the same.
        simplifies: the candidate may be kept for losing less than `min_effect`.
    """
    centre = mean(baseline)
    gain = objective.gain(centre, value)
    if not math.isfinite(gain):
        return _discarded(objective, "exact", centre, value, TOO_LARGE)
    effect = Effect(mean=gain, low=gain, high=gain, samples=0, own_unit=not centre)
    words = better_words(gain, centre)
    if objective.clears(centre, gain):
        words += "; the metric repeats exactly"
        return decision_of(objective, Verdict.KEPT, "exact", centre, value, words, effect)
    if simplifies and gain + needed_share(objective, centre) > 0:
        words = f"a simplification that is not worse; {words}"
        evidence = {"simplification": True}
        return decision_of(objective, Verdict.KEPT, "exact", centre, value, words, effect, evidence)
    if gain > 0:
        words += f", less than min_effect {objective.min_effect}"
    return decision_of(objective, Verdict.DISCARDED, "exact", centre, value, words, effect)


def paired_effect(objective: Goal, pairs: Sequence[tuple[float, float]]) -> Effect:
    """The mean gain of pairs of runs, with the two-sided 95 % interval of the paired t-test (Student 1908).

    For a number of pairs that was fixed beforehand, and one look; `paired` is for confirmations.

    Args:
        pairs: (baseline's value, candidate's value); what slows both of a pair cancels out.

    Raises:
        ValueError: there are less than two pairs, so there is no interval.
    """
    from scipy.special import stdtrit  # not at the top: it takes longer than most commands

    if len(pairs) < 2:
        raise ValueError("an interval needs at least two pairs")
    size, sign = abs(mean([pair[0] for pair in pairs])) or 1.0, sign_of(objective)
    gains = [sign * (value - baseline) / size for baseline, value in pairs]
    middle = mean(gains)
    try:
        deviation = math.sqrt(math.fsum((gain - middle) ** 2 for gain in gains) / (len(gains) - 1))
    except (OverflowError, ValueError):
        deviation = math.nan
    half = float(stdtrit(len(gains) - 1, 0.975)) * deviation / math.sqrt(len(gains))
    return Effect(mean=middle, low=middle - half, high=middle + half, samples=len(pairs))


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; exactly the value itself where all are the same."""
    if len(set(values)) == 1:
        return values[0]
    try:
        return math.fsum(values) / len(values)
    except (OverflowError, ValueError):  # sums beyond the range of a float, of infinities
        return math.nan


def sign_of(objective: Goal) -> float:
    """1 where more is better, else -1."""
    return 1.0 if objective.gain(0.0, 1.0) > 0 else -1.0


def needed_share(objective: Goal, centre: float) -> float:
    """`min_effect` as a gain over this baseline."""
    value = float(objective.min_effect.value)
    if objective.min_effect.relative:
        return value if centre else 0.0
    return value / (abs(centre) or 1.0)


def share_words(gain: float, baseline: float) -> str:
    """A gain for a person."""
    return f"{100 * gain:.2f} %" if baseline else f"{gain:.4g}"


def better_words(gain: float, baseline: float) -> str:
    return "no change" if gain == 0 else f"{share_words(abs(gain), baseline)} {'better' if gain > 0 else 'worse'}"


TOO_LARGE = "the values are too large, or too close to zero, to compare"


def decision_of(
    objective: Goal,
    verdict: Verdict,
    rule: str,
    baseline: float,
    value: float,
    reason: str,
    effect: Effect | None = None,
    evidence: dict[str, Any] | None = None,
) -> Decision:
    """A decision whose reason begins with the metric and both values."""
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


def _discarded(objective: Goal, rule: str, baseline: float, value: float, reason: str) -> Decision:
    return decision_of(objective, Verdict.DISCARDED, rule, baseline, value, reason)
