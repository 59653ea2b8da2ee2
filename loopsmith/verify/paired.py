"""A confirmation as a sequential test: after each pair keep, discard, or measure another.

Kept is a candidate whose e-process against "no gain" (`sequential`) reaches 1 / level, the level being what the
campaign's error leaves to this test (`online`), while the estimated gain is at least `min_effect`. A candidate that
removes lines may instead be shown not to lose `min_effect`: the same test, on gains moved up by that margin. Discarded,
without waiting for the last pair, is one that is twelve times better explained by no gain than by the effect that the
repeats are made for (Wald's sequential probability ratio, 1945; stopping early for futility only lowers the error).

The gain that is reported is the Hodges-Lehmann estimate (1963), the median of the means of two: as efficient as the
mean for Gaussian noise (95 %), and one stalled run in four does not move it far. Only pairs of the confirmation enter
it, and of three and more not the last: it ended the test because it was lucky, which makes estimates after early
stopping too large. The interval is a confidence sequence: the gains that the e-process does not reject at 1/40 on
either side, which holds 95 % of the time although the number of pairs was not fixed beforehand.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from loopsmith.records import Decision, Effect, Verdict
from loopsmith.verify.noise import Noise, Pair, detectable, median
from loopsmith.verify.sequential import Pool, interval, log_e_sign_flip
from loopsmith.verify.statistics import (
    TOO_LARGE,
    Goal,
    better_words,
    decision_of,
    mean,
    needed_share,
    share_words,
    sign_of,
)

FEWEST = 2  # pairs to a keep
FUTILE, FUTILE_WORDS = math.log(12), "twelve times"  # the likelihood ratio at which the wanted effect is given up
UNEQUAL = 4.0  # times the pooled spread; a confirmation that scatters so must pass the distribution-free rule too
HUGE = 1e100  # gains from which on sums and squares may be beyond the range of a float
Rule = Literal["pooled", "exact"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """A secondary metric of a confirmation: how far it may move, and its noise."""

    more: float | None  # the largest rise, as a share; None: any
    less: float | None
    noise: Noise
    pairs: Sequence[Pair]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What is fixed before the first pair of a confirmation.

    Attributes:
        centre: the baseline's present value.
        number: of this test in the campaign, from 1.
        level: what the e-process must reach the inverse of.
        pairs: that are measured at most.
        simplifies: the candidate removes lines and may be kept for not being worse.
        blocking: the level at which secondary metrics are tested; they can only block.
    """

    objective: Goal
    noise: Noise
    centre: float
    number: int
    level: float
    pairs: int
    rule: Rule = "pooled"
    simplifies: bool = False
    blocking: float = 0.05

    @cached_property
    def _pool(self) -> Pool:
        return Pool(self.noise.differences, self.noise.weights, self.scale)

    @cached_property
    def scale(self) -> float:
        return self.noise.difference or 1e-9

    @cached_property
    def margin(self) -> float:
        return needed_share(self.objective, self.centre) if self.simplifies else 0.0

    @cached_property
    def wanted(self) -> float:
        """The gain that the repeats are made for: what they can detect, or `min_effect` where that is larger."""
        return max(detectable(self.noise, self.pairs), needed_share(self.objective, self.centre))

    @cached_property
    def distribution_free(self) -> bool:
        return self.rule == "exact" or self.noise.robust

    def log_e(self, gains: Sequence[float]) -> float:
        if self.distribution_free:
            return log_e_sign_flip(gains, self.scale)
        evidence = self._pool.log_e(gains)
        return min(evidence, log_e_sign_flip(gains, self.scale)) if self.unequal(gains) else evidence

    def unequal(self, gains: Sequence[float]) -> bool:
        """Whether these pairs scatter much more than the campaign's replicates do."""
        if len(gains) < 4:
            return False
        middle = median(gains)
        return 1.4826 * median([abs(gain - middle) for gain in gains]) > UNEQUAL * self.scale


@dataclass(frozen=True)
class Look:
    """What the pairs so far say."""

    verdict: Verdict | None  # None: another pair is needed
    log_e: float | None = None  # of the e-process; None where the values cannot be compared
    why: str = ""


def next_step(
    test: Confirmation, pairs: Sequence[Pair], secondary: Mapping[str, Side] | None = None
) -> Decision | None:
    """Decide by the pairs so far; None asks for another pair."""
    found = look(test, pairs, secondary)
    return None if found.verdict is None else conclude(test, pairs, found)


def look(test: Confirmation, pairs: Sequence[Pair], secondary: Mapping[str, Side] | None = None) -> Look:
    """What the pairs so far say, without the words."""
    if not pairs:
        return Look(None)
    gains = [gain + test.margin for gain in gains_of(test, pairs)]
    if not all(abs(gain) < HUGE for gain in gains):
        return Look(Verdict.DISCARDED, None, TOO_LARGE)
    evidence, last = test.log_e(gains), len(pairs) >= test.pairs
    if len(pairs) >= FEWEST and evidence >= -math.log(test.level):
        gain = estimate(gains) - test.margin
        short = needed_share(test.objective, test.centre) - gain
        if test.margin or test.objective.clears(test.centre, gain):
            blocked, waiting = blocks(test, secondary or {})
            if blocked or (waiting and last):
                return Look(Verdict.DISCARDED, evidence, blocked or waiting)
            return Look(None if waiting else Verdict.KEPT, evidence)
        if short > 2 * test.scale / math.sqrt(len(pairs)):
            return Look(Verdict.DISCARDED, evidence, f"less than min_effect {test.objective.min_effect}")
    elif futility(gains, test) <= -FUTILE:
        wanted = share_words(test.wanted, test.centre)
        return Look(Verdict.DISCARDED, evidence, f"a gain of {wanted} is {FUTILE_WORDS} less likely than none")
    return Look(Verdict.DISCARDED, evidence, f"not shown within {test.pairs} pairs") if last else Look(None, evidence)


def futility(gains: Sequence[float], test: Confirmation) -> float:
    """log of the likelihood ratio of the wanted gain against none, for Student's t with fifteen degrees of freedom."""
    wanted = min(test.wanted / test.scale, 1e6)
    steps = (min(max(gain / test.scale, -1e6), 1e6) for gain in gains)
    return math.fsum(8 * (math.log1p(z * z / 15) - math.log1p((z - wanted) ** 2 / 15)) for z in steps)


def blocks(test: Confirmation, secondary: Mapping[str, Side]) -> tuple[str, str]:
    """Why a secondary metric rules the candidate out, or what is not shown yet; empty where all are within bounds."""
    waiting = ""
    for metric, side in secondary.items():
        size = abs(mean([baseline for baseline, _ in side.pairs])) or 1.0
        moves = [(value - baseline) / size for baseline, value in side.pairs]
        for bound, direction, word in ((side.more, 1.0, "more"), (side.less, -1.0, "less")):
            if bound is None:
                continue
            rooms = [bound - direction * move for move in moves]
            if side.noise.difference == 0 and len(set(moves)) == 1:
                if rooms[0] < -1e-9:
                    return f"{metric} is {100 * abs(moves[0]):.3g} % {word}, over its tolerance of {bound:.3g}", ""
                continue
            scale = side.noise.difference or max(map(abs, moves)) or 1e-9
            pool = Pool(side.noise.differences, side.noise.weights, scale)
            if pool.log_e([-room for room in rooms]) >= -math.log(test.blocking):
                return f"{metric} is {100 * direction * mean(moves):.3g} % {word}, over its tolerance", ""
            if pool.log_e(rooms) < -math.log(test.blocking):
                waiting = f"{metric} is not shown to be within its tolerance"
    return "", waiting


def conclude(test: Confirmation, pairs: Sequence[Pair], found: Look) -> Decision:
    """The decision with its words and everything behind it."""
    assert found.verdict is not None
    centre, value = mean([pair[0] for pair in pairs]), mean([pair[1] for pair in pairs])
    effect = effect_of(test, pairs) if found.log_e is not None and len(pairs) >= 2 else None
    evidence: dict[str, object] = {
        "pairs": [list(pair) for pair in pairs],
        "test": test.number,
        "level": test.level,
        "spread": test.noise.spread,
        "replicates": round(test.noise.freedom, 1),
    }
    words = []
    better = effect is not None and effect.low > 0 and test.objective.clears(centre, effect.mean)
    if found.verdict is Verdict.KEPT and test.simplifies and not better:
        evidence["simplification"] = True
        words.append("a simplification that is not worse")
    if effect is not None:
        words.append(
            f"{better_words(effect.mean, centre)}, 95 % interval {share_words(effect.low, centre)} to "
            f"{share_words(effect.high, centre)} over {effect.samples} pairs"
        )
    elif found.log_e is not None:
        words.append(f"{better_words(test.objective.gain(centre, value), centre)} in one pair")
    if found.why:
        words.append(found.why)
    reason = "; ".join(words)
    if found.log_e is not None:
        evidence["e_value"] = math.exp(min(found.log_e, 600.0))
        reason += f" (e-value {evidence['e_value']:.3g}, {1 / test.level:.0f} needed)"
    warnings = list(test.noise.problems)
    if effect is not None and test.unequal(gains_of(test, pairs)):
        warnings.append("the candidate's runs scatter more than the baseline's")
    if warnings:
        evidence["warnings"] = warnings
    rule = "sign-flip" if test.distribution_free else "pooled"
    return decision_of(test.objective, found.verdict, rule, centre, value, reason, effect, evidence)


def effect_of(test: Confirmation, pairs: Sequence[Pair]) -> Effect:
    """The gain as a share of the baseline in these pairs, with the interval of the confidence sequence."""
    gains = gains_of(test, pairs)
    centre = estimate(gains)
    free = test.distribution_free and len(gains) >= 8
    process: Callable[[Sequence[float]], float] = test.log_e if free else test._pool.log_e
    low, high = interval(process, gains, centre, test.scale)
    centre = min(max(centre, low), high)
    size, own = abs(test.centre), abs(mean([pair[0] for pair in pairs]))
    factor = size / own if own > size / 1000 > 0 else 1.0  # the share of what the baseline was beside the candidate
    parts = {"mean": centre * factor, "low": low * factor, "high": high * factor}
    return Effect(**parts, samples=len(pairs), own_unit=not size)


def estimate(gains: Sequence[float]) -> float:
    """The gain, without the pair that ended the confirmation: half of the bias, or more (benchmarks/null.py)."""
    return hodges_lehmann(gains[:-1] if len(gains) > FEWEST else gains)


def hodges_lehmann(values: Sequence[float]) -> float:
    """The median of the means of every two values, each with itself too (Hodges and Lehmann 1963)."""
    return median([(one + other) / 2 for index, one in enumerate(values) for other in values[index:]])


def gains_of(test: Confirmation, pairs: Sequence[Pair]) -> list[float]:
    """Each pair's gain, as a share of the baseline's level when the test began."""
    size, sign = abs(test.centre) or 1.0, sign_of(test.objective)
    return [sign * (value - baseline) / size for baseline, value in pairs]
