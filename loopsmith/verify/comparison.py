"""Two programs beside each other: one is better, or worse, or neither is shown.

For what a person wants to know of a program, apart from any decision of a campaign: its level is not one of the
campaign's tests, and nothing is kept by it. The evidence is that of a confirmation (`paired`), looked at from both
sides at 1/40 each, so that what is said goes with the 95 % interval and holds whenever one stops.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loopsmith.records import Effect
from loopsmith.verify.noise import Pair
from loopsmith.verify.online import HIGHEST
from loopsmith.verify.paired import (
    FEWEST,
    FUTILE,
    FUTILE_WORDS,
    HUGE,
    Confirmation,
    Side,
    blocks,
    effect_of,
    futility,
    gains_of,
)
from loopsmith.verify.statistics import TOO_LARGE, Goal, better_words, mean, needed_share, share_words


class Standing(StrEnum):
    """How a program stands beside another."""

    BETTER = "better"
    SAME = "same"  # neither is shown, or both values of an exact metric are equal
    WORSE = "worse"
    FAILED = "failed"  # it has no score, breaks a constraint, or a secondary metric is over its tolerance


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the pairs so far say; `reason` is a sentence that begins with the metric and both values."""

    standing: Standing
    reason: str
    effect: Effect | None = None


def compare(
    test: Confirmation, pairs: Sequence[Pair], secondary: Mapping[str, Side] | None = None, *, last: bool
) -> Compared | None:
    """What pairs of a noisy metric say; None asks for another pair.

    Args:
        test: its level, number and margin are not looked at.
        pairs: (reference's value, the program's value).
        last: there will be no other pair.
    """
    gains = gains_of(test, pairs)
    centre, value = (mean([pair[side] for pair in pairs]) for side in (0, 1))
    if not all(abs(gain) < HUGE for gain in gains):
        return said(test.objective, Standing.FAILED, centre, value, TOO_LARGE)
    if len(pairs) < FEWEST:
        if not last:
            return None
        gain = test.objective.gain(centre, value)
        return said(
            test.objective,
            Standing.SAME,
            centre,
            value,
            f"{better_words(gain, centre)} in one pair, which shows nothing",
        )
    losses = [-gain for gain in gains]
    blocked, waiting = blocks(test, secondary or {})
    bar = -math.log(HIGHEST)
    better, worse = test.log_e(gains) >= bar, test.log_e(losses) >= bar
    neither = max(futility(gains, test), futility(losses, test)) <= -FUTILE
    if not (last or blocked or better or worse or neither):
        return None
    effect = effect_of(test, pairs)
    words = (
        f"{better_words(effect.mean, centre)}, 95 % interval {share_words(effect.low, centre)} to "
        f"{share_words(effect.high, centre)} over {effect.samples} pairs"
    )
    if blocked:
        return said(test.objective, Standing.FAILED, centre, value, f"{words}; {blocked}", effect)
    if worse and effect.high < 0:
        return said(test.objective, Standing.WORSE, centre, value, words, effect)
    if better and effect.low > 0 and (last or not waiting):
        clears = test.objective.clears(centre, effect.mean)
        short = "" if clears else f", less than min_effect {test.objective.min_effect}"
        more = f"; {waiting}" if waiting else ""
        return said(test.objective, Standing.BETTER, centre, value, words + short + more, effect)
    if neither and not waiting:
        wanted = share_words(test.wanted, test.centre)
        why = f"no difference: one of {wanted} either way is {FUTILE_WORDS} less likely than none"
        return said(test.objective, Standing.SAME, centre, value, f"{words}; {why}", effect)
    if last:
        return said(test.objective, Standing.SAME, centre, value, f"{words}; no difference is shown", effect)
    return None


def compare_exact(objective: Goal, reference: float, value: float) -> Compared:
    """What one run of each says of a metric that repeats exactly."""
    gain = objective.gain(reference, value)
    if not math.isfinite(gain):
        return said(objective, Standing.FAILED, reference, value, TOO_LARGE)
    standing = Standing.BETTER if gain > 0 else Standing.WORSE if gain < 0 else Standing.SAME
    short = gain > 0 and gain < needed_share(objective, reference) * (1 - 1e-9)
    words = better_words(gain, reference) + (f", less than min_effect {objective.min_effect}" if short else "")
    effect = Effect(mean=gain, low=gain, high=gain, samples=0, own_unit=not reference)
    return said(objective, standing, reference, value, f"{words}; the metric repeats exactly", effect)


def said(
    objective: Goal, standing: Standing, centre: float, value: float, why: str, effect: Effect | None = None
) -> Compared:
    return Compared(standing=standing, reason=f"{objective.metric} {centre:.6g} -> {value:.6g}: {why}", effect=effect)
