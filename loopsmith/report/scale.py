"""The axes of a picture: which values are shown, where round numbers fall, and how they are written."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from loopsmith.report.curve import Curve

FAR = 2.0  # medians of what lies beyond the kept steps, from where on a point is at the edge
UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))
POWERS = {9: "billions", 6: "millions", 3: "thousands", 0: "", -3: "thousandths", -6: "millionths", -9: "billionths"}


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value is drawn; at the edge when it is beyond it."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def shown(curve: Curve, lines: Sequence[float] = ()) -> tuple[float, float]:
    """The range of values that is drawn: all kept steps, and of the other values those that are not far out.

    Args:
        lines: values that are shown too where they are not far beyond the rest.
    """
    levels = [step.value for step in curve.steps]
    values = [value for point in curve.points if (value := drawn(point.value, point.first)) is not None]
    if not levels and not values:
        return 0.0, 1.0
    low, high = min(levels or values), max(levels or values)
    reach = high - low
    half = max(abs(curve.band.high - curve.band.low) / 2, 0.0) if curve.band else 0.0
    for sign in (-1, 1):
        edge = low if sign < 0 else high
        beyond = [sign * (value - edge) for value in values if sign * (value - edge) > 0]
        room = max(1.5 * half, FAR * median(beyond)) if beyond else half
        farthest = max([half, *(distance for distance in beyond if distance <= room)])
        ends = [end for step in curve.steps for end in (step.low, step.high) if end is not None]
        farthest = max(
            [farthest, *(sign * (end - edge) for end in ends if sign * (end - edge) <= max(room, reach / 4))]
        )
        near = [sign * (line - edge) for line in lines if sign * (line - edge) <= max(reach, room) / 2]
        farthest = max([farthest, *near])
        low, high = (edge - farthest, high) if sign < 0 else (low, edge + farthest)
    margin = 0.06 * (high - low) or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def drawn(value: float | None, first: float | None) -> float | None:
    """Where a candidate that was not kept is drawn: at its first run, which is what a person would have seen."""
    return None if value is None else value if first is None else first


def ticks(low: float, high: float, wanted: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers between two others, about as many as wanted."""
    rough = (high - low) / wanted
    if not (math.isfinite(rough) and rough > 0):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def labels(values: Sequence[float]) -> tuple[list[str], str]:
    """Tick values in plain notation, and the word for what they are multiples of; empty for one."""
    size = max((abs(value) for value in values), default=0.0)
    power = 0
    if size and not 1e-3 <= size < 1e6:
        power = min(max(3 * math.floor(math.log10(size) / 3), -9), 9)
    scaled = [value / 10.0**power for value in values]
    gaps = [abs(after - before) for before, after in itertools.pairwise(scaled) if after != before]
    decimals = max(0, -math.floor(math.log10(min(gaps)) + 1e-9)) if gaps else 3
    return [f"{value:,.{min(decimals, 12)}f}" for value in scaled], POWERS[power]


def spans(seconds: float) -> tuple[float, str]:
    """The unit of a time axis as seconds, and its name."""
    return next(((unit, name) for unit, name in UNITS if seconds >= 3 * unit), (1.0, "seconds"))


def plain(value: float) -> str:
    """A value with five digits, and never as a power of ten."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = min(max(0, 4 - math.floor(math.log10(abs(value)))), 20)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
