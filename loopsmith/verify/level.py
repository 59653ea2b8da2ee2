"""Where a baseline is now, from runs of it that were made one by one while the machine may have drifted.

Several forecasts are at hand, means and lines through the newest runs, long ones for a steady machine and short ones
for one that moves. They are averaged, each weighted by how likely it made the newest runs from those before them
(Bayesian model averaging, Hoeting et al. 1999, on prequential likelihoods, Dawid 1984), so that the level of a machine
that moves is known less well, and is measured again sooner. Only screening relies on it: a confirmation measures the
baseline beside the candidate.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

TESTED = 15  # of the newest runs, by which the forecasts are compared
STEADY = 3.0  # the logarithm of the odds beforehand, for the long mean against each other forecast
LONGEST, SHORTEST = 40, 3  # screening runs between two runs of the baseline
HUGE = 1e100  # squares of such values are beyond the range of a float


class Timed(NamedTuple):
    """A run's value and when it was made, in any unit that grows evenly."""

    time: float
    value: float


class Level(NamedTuple):
    """A baseline's level, and how many runs at that level it is worth."""

    value: float
    known: float

    @property
    def refresh_after(self) -> int:
        """How many screening runs it is good for: the less is known, the sooner the baseline is run again."""
        return int(min(LONGEST, max(SHORTEST, self.known**2 / 2.5)))


def mean_of(runs: Sequence[Timed], now: float) -> Level:
    """Of the middle half, as one stalled run must not hide a candidate; a fifth of the information is lost."""
    value = midmean([run.value for run in runs])
    return Level(value, len(runs) / 1.2)


def line_of(runs: Sequence[Timed], now: float) -> Level:
    """The least-squares line, carried on to `now`, but no further than two of its steps beyond the last run."""
    count = len(runs)
    centre, middle = math.fsum(run.time for run in runs) / count, math.fsum(run.value for run in runs) / count
    squares = math.fsum((run.time - centre) ** 2 for run in runs)
    if squares <= 0:
        return Level(middle, count)
    slope = math.fsum((run.time - centre) * (run.value - middle) for run in runs) / squares
    at = min(now, runs[-1].time + 2 * (runs[-1].time - runs[0].time) / (count - 1)) - centre
    return Level(middle + slope * at, 1 / (1 / count + at * at / squares))


Forecast = Callable[[Sequence[Timed], float], Level]
FORECASTS: tuple[tuple[Forecast, int], ...] = (
    (mean_of, 20),  # the one that is used where nothing speaks against it
    (mean_of, 8),
    (mean_of, 3),
    (line_of, 20),
    (line_of, 10),
    (line_of, 5),
)


def cleaned(runs: Sequence[Timed], spread: float) -> list[Timed]:
    """The runs with each that stands out from those around it drawn in to three spreads: a stall, not a new level."""
    found = []
    for index, run in enumerate(runs):
        start = min(max(0, index - 1), max(0, len(runs) - 3))
        middle = midmean([near.value for near in runs[start : start + 3]])
        found.append(Timed(run.time, min(max(run.value, middle - 3 * spread), middle + 3 * spread)))
    return found


def weigh(runs: Sequence[Timed], spread: float) -> list[float]:
    """The weight of each forecast; they sum to one.

    Args:
        spread: of one run, in the values' unit; an error counts as three of it at most.
    """
    runs = cleaned(runs, spread)
    logs = [STEADY, *[0.0] * (len(FORECASTS) - 1)]
    for place, (forecast, length) in enumerate(FORECASTS):
        for index in range(max(2, len(runs) - TESTED), len(runs)):
            found = forecast(runs[max(0, index - length) : index], runs[index].time)
            variance = 1 + 1 / found.known
            error = min(abs(runs[index].value - found.value), 3 * spread) / spread if spread else 0.0
            logs[place] -= error * error / variance / 2 + math.log(variance) / 2
    top = max(logs)
    weights = [math.exp(each - top) for each in logs]
    return [weight / sum(weights) for weight in weights]


def level(runs: Sequence[Timed], now: float, spread: float, weights: Sequence[float] | None = None) -> Level:
    """The level now.

    Args:
        runs: oldest first, at least one.
        spread: of one run, in the values' unit.
        weights: of the forecasts, as `weigh` gives them, where they are known already.
    """
    if len({run.value for run in runs}) == 1:
        return Level(runs[0].value, len(runs))
    if not all(abs(run.value) < HUGE for run in runs) or not spread < HUGE:
        return Level(runs[-1].value, 1.0)
    shares = weigh(runs, spread) if weights is None else weights
    newest = cleaned(runs[-FORECASTS[0][1] :], spread)
    found = [forecast(newest[-length:], now) for forecast, length in FORECASTS]
    value = math.fsum(share * each.value for share, each in zip(shares, found, strict=True))
    if not spread:
        return Level(value, len(runs))
    apart = [abs(each.value - value) / spread for each in found]
    variance = math.fsum(
        share * (1 / each.known + min(far * far, 10.0)) for share, each, far in zip(shares, found, apart, strict=True)
    )
    return Level(value, 1 / variance)


def midmean(values: Sequence[float]) -> float:
    """The mean without the largest and the smallest quarter, at least one of each where there are three values."""
    cut = max(1, len(values) // 4) if len(values) > 2 else 0
    kept = sorted(values)[cut : len(values) - cut]
    return kept[0] if kept[0] == kept[-1] else math.fsum(kept) / len(kept)
