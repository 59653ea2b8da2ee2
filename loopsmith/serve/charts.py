"""The small pictures beside the progress curve: shares of decisions and money over time, as numbers for SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopsmith.report.progress.curve import Curve
from loopsmith.serve.words import ORDER, mix_words
from loopsmith.tracker.reading.aggregates import Spending
from loopsmith.workflow import format_duration, format_money

HIGH = 100.0
KEEPS = 40  # that are marked on the line of money


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a stacked column or row, from 0 to 100."""

    kind: str
    start: float
    size: float


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the decision mix."""

    bars: tuple[Bar, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Money:
    """Dollars over time as a stepped line in a box of 1000 by 100.

    Attributes:
        line: an SVG path.
        area: the same, closed at the bottom.
        keeps: where a candidate was kept, with its words.
        limit: the height of the money limit; None where it is not near.
    """

    line: str
    area: str
    keeps: tuple[tuple[float, str], ...]
    limit: float | None
    top: str
    end: str


@dataclass(frozen=True, slots=True)
class Improvement:
    """A kept step and what it took since the one before."""

    number: int
    hypothesis: str
    value: float
    effect: float | None
    own_unit: bool  # of the effect: the baseline was at zero
    low: float | None
    high: float | None
    cost_usd: float
    per_percent: float | None  # dollars for one percent of gain
    total_usd: float
    seconds: float


def stacked(counts: Mapping[str, int]) -> tuple[Bar, ...]:
    """Counts by verdict as shares of 100, in one order everywhere."""
    whole = sum(counts.get(kind, 0) for kind in ORDER)
    bars, start = [], 0.0
    for kind in ORDER:
        size = HIGH * counts.get(kind, 0) / whole if whole else 0.0
        if size:
            bars.append(Bar(kind, round(start, 3), round(size, 3)))
        start += size
    return tuple(bars)


def columns(mix: Sequence[Mapping[str, int]]) -> tuple[Column, ...]:
    """The decision mix over time."""
    return tuple(Column(stacked(part), mix_words(part)) for part in mix)


def money(spending: Sequence[Spending], curve: Curve, limit: float | None) -> Money | None:
    """Dollars over time; None where nothing was spent."""
    total = sum(part.cost_usd for part in spending)
    if not total:
        return None
    end = max([curve.seconds, *(part.seconds for part in spending)]) or 1.0
    top = limit if limit and limit < 2.5 * total else 1.05 * total
    points, spent = ["M0 100"], 0.0
    for part in spending:
        spent += part.cost_usd
        points.append(f"H{1000 * part.seconds / end:.1f}V{HIGH * (1 - spent / top):.2f}")
    line = "".join(points) + "H1000"
    steps = curve.steps[1:] if len(curve.steps) <= KEEPS else ()
    keeps = tuple(
        (round(1000 * min(1.0, step.seconds / end), 1), f"c{step.number} kept at {format_money(step.cost_usd)}")
        for step in steps
    )
    return Money(line, f"{line}V100H0Z", keeps, 0.0 if top == limit else None, format_money(top), format_duration(end))


def improvements(curve: Curve) -> tuple[Improvement, ...]:
    """The kept steps, the newest first, each with the dollars since the one before."""
    found, before = [], 0.0
    for step in curve.steps[1:]:
        cost, before = max(0.0, step.cost_usd - before), step.cost_usd
        gain = 100 * step.effect if step.effect and step.effect > 0 and not step.own_unit else None
        found.append(
            Improvement(
                number=step.number,
                hypothesis=step.hypothesis,
                value=step.value,
                effect=step.effect,
                own_unit=step.own_unit,
                low=step.effect_low,
                high=step.effect_high,
                cost_usd=cost,
                per_percent=cost / gain if gain and cost else None,
                total_usd=step.cost_usd,
                seconds=step.seconds,
            )
        )
    return tuple(reversed(found))
