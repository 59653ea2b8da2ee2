"""The noise of a metric, from replicates: how much runs of one and the same program differ.

Pooled over the campaign are the differences of successive runs of one baseline, and each confirmation's differences
about their own mean. Differences of neighbours, because that is what a confirmation measures: drift and slow changes
of the machine cancel out in both. The spread is that of Student's t with four degrees of freedom, by maximum likelihood
(Lange, Little and Taylor, JASA 1989): one stalled run in ten does not move it much, and unlike the median deviation it
is usable with four differences. It is scaled to be the standard deviation where noise is Gaussian.

All values are shares of the level of the program that they were measured of, so that a gain of fifty times does not
pass for noise; of a baseline at zero, in the metric's own unit.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

Pair = tuple[float, float]  # the baseline's value, the candidate's value

PROMISE = 96.0  # pairs times the square of the effect in noise units: two units within 24 pairs (benchmarks/null.py)
NEWEST = 60.0  # independent differences that are kept, the newest: noise may change over a night
OVERLAP = 2 / 3  # independent differences in each of a series' overlapping ones (von Neumann 1941)
_GAUSSIAN = 1.2037  # standard deviation over scale of t4, for Gaussian values


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The pooled replicates of a campaign.

    Attributes:
        differences: of two runs of one program each, the newest first.
        weights: how many independent differences each is worth.
        problems: what the default rule assumes and these replicates contradict, in words.
        robust: they contradict it so far that only the distribution-free rule holds.
    """

    differences: tuple[float, ...]
    weights: tuple[float, ...]
    problems: tuple[str, ...] = ()
    robust: bool = False

    @cached_property
    def difference(self) -> float:
        """The robust standard deviation of a pair's difference; zero without any noise."""
        return robust_deviation(self.differences, self.weights)

    @property
    def spread(self) -> float:
        """The robust standard deviation of one run: the noise unit."""
        return self.difference / math.sqrt(2)

    @property
    def freedom(self) -> float:
        """How many independent differences the spread comes from."""
        return sum(self.weights)


def pool(series: Sequence[Sequence[float]], confirmations: Sequence[Sequence[Pair]]) -> Noise:
    """The noise in a campaign's replicates.

    Args:
        series: runs of one program each, in the order in which they were made.
        confirmations: the pairs of one confirmation each; the newest last, as in `series`.
    """
    found: list[tuple[float, float]] = []
    values = [[value / _level(runs) for value in runs] for runs in series if runs]
    for runs in values:
        found += [(after - before, OVERLAP) for before, after in itertools.pairwise(runs)]
    for pairs in confirmations:
        if len(pairs) < 2:
            continue
        count, (size, own) = len(pairs), _levels(pairs)
        gains = [value / own - baseline / size for baseline, value in pairs]
        middle = math.fsum(gains) / count
        share = (count - 1) / count
        found += [((gain - middle) / math.sqrt(share), share) for gain in gains]
    newest: list[tuple[float, float]] = []
    total = 0.0
    for item in reversed([item for item in found if math.isfinite(item[0])]):
        if total < NEWEST:
            newest.append(item)
            total += item[1]
    differences, weights = tuple(item[0] for item in newest), tuple(item[1] for item in newest)
    problems, robust = violations(differences, weights, values)
    if not robust and absolute([*series, *(side for pairs in confirmations for side in zip(*pairs, strict=True))]):
        problems, robust = (*problems, "the noise is no share of the value: it does not change as that does"), True
    return Noise(differences=differences, weights=weights, problems=problems, robust=robust)


def violations(
    differences: Sequence[float], weights: Sequence[float], series: Sequence[Sequence[float]]
) -> tuple[tuple[str, ...], bool]:
    """What the replicates say against the default rule, and whether it must not be used."""
    problems, robust = [], False
    if tied(differences):
        problems.append("many runs give exactly the same value, so that the noise is not continuous")
        robust = True
    elif sum(weights) >= 10:
        scale = robust_deviation(differences, weights)
        light, heavy, wild = (_likelihood(differences, weights, scale, freedom) for freedom in (100.0, 3.0, 1.2))
        if wild > heavy + 3:
            problems.append("the noise has heavier tails than Student's t with three degrees of freedom")
            robust = True
        elif heavy > light + 3:
            problems.append("the noise is heavy-tailed, which the rule allows for")
    if (ratio := _von_neumann(series)) is not None and ratio < 1.0:
        problems.append("successive runs are alike (drift or autocorrelation), which random order within a pair undoes")
    return tuple(problems), robust


def absolute(programs: Sequence[Sequence[float]]) -> bool:
    """Whether runs of programs at different levels differ by as much in the metric's own unit, rather than as a share.

    Then the noise of a level that is nearer to zero is more than the pooled shares say.

    Args:
        programs: the runs of each, in the order in which they were made; the newest program last.
    """
    steps = [(b - a, _level(runs)) for runs in programs for a, b in itertools.pairwise(runs)]
    steps = steps[-round(NEWEST / OVERLAP) :]
    own, shares, weights = [step for step, _ in steps], [step / size for step, size in steps], [OVERLAP] * len(steps)
    if not all(map(math.isfinite, own + shares)):
        return False
    found = [_likelihood(each, weights, robust_deviation(each, weights), 3.0) for each in (own, shares)]
    return found[0] > found[1] - OVERLAP * math.fsum(math.log(size) for _, size in steps) + 1


def detectable(noise: Noise, pairs: int) -> float:
    """The smallest effect that is found four times in five within this many pairs, as a share of the baseline."""
    return math.sqrt(PROMISE / pairs) * noise.spread


def pairs_needed(noise: Noise, effect: float) -> int:
    """How many pairs an effect needs to be found four times in five; the inverse of `detectable`."""
    if noise.spread == 0:
        return 2
    return max(2, math.ceil(PROMISE * (noise.spread / effect) ** 2))


def robust_deviation(values: Sequence[float], weights: Sequence[float]) -> float:
    """The standard deviation about zero, by maximum likelihood for Student's t with four degrees of freedom.

    Where more than a third are zero, that likelihood may have no maximum, and the plain deviation is returned.
    """
    total = sum(weights)
    size = max((abs(value) for value in values), default=0.0)
    if total == 0 or size == 0:
        return 0.0
    squares = [(value / size) ** 2 for value in values]
    estimate = math.fsum(w * q for w, q in zip(weights, squares, strict=True)) / total
    if tied(values):
        return size * math.sqrt(estimate)
    for _ in range(100):  # expectation-maximisation
        after = math.fsum(w * 5 * q / (4 + q / estimate) for w, q in zip(weights, squares, strict=True)) / total
        done = abs(after - estimate) <= 1e-4 * estimate
        estimate = after
        if done or estimate < 1e-12:
            break
    return _GAUSSIAN * size * math.sqrt(estimate)


def tied(differences: Sequence[float]) -> bool:
    """Whether more than a third of the differences are none at all."""
    return 3 * sum(difference == 0 for difference in differences) > len(differences)


def median(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _level(values: Sequence[float]) -> float:
    return abs(median(values)) or 1.0


def _levels(pairs: Sequence[Pair]) -> tuple[float, float]:
    """The levels of the baseline and of the candidate; the same where one of them is zero."""
    baseline, own = (abs(median(side)) for side in zip(*pairs, strict=True))
    return (baseline, own) if baseline and own else (baseline or 1.0, baseline or 1.0)


def _likelihood(values: Sequence[float], weights: Sequence[float], start: float, freedom: float) -> float:
    """The largest log-likelihood of Student's t with this many degrees of freedom over its scale."""
    import numpy as np  # not at the top: it takes longer than most commands

    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    scales = (start or 1.0) * np.exp(np.arange(-12, 5) / 6)[:, None]
    logs = constant - np.log(scales) - (freedom + 1) / 2 * np.log1p((np.array(values) / scales) ** 2 / freedom)
    return float((logs @ np.array(weights)).max())


def _von_neumann(series: Sequence[Sequence[float]]) -> float | None:
    """The mean squared successive difference over the variance, of the longest series: about 2 for independent runs."""
    longest = max(series, key=len, default=())
    if len(longest) < 10:
        return None
    middle = math.fsum(longest) / len(longest)
    variance = math.fsum((value - middle) ** 2 for value in longest) / (len(longest) - 1)
    steps = math.fsum((b - a) ** 2 for a, b in itertools.pairwise(longest)) / (len(longest) - 1)
    return steps / variance if variance > 0 else None
