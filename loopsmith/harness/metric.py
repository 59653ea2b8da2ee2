"""What is printed: seconds for a call, or work in a second."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

Take = Literal["fastest", "median", "mean"]


class Metric(NamedTuple):
    """See `seconds` and `rate`."""

    name: str
    work: float | Callable[..., float] | None
    bound: float | None
    take: Take

    def of(self, seconds: float, calls: Sequence[Sequence[Any]]) -> float:
        """The metric of some calls that took `seconds` together."""
        if self.work is None:
            return seconds / len(calls)
        return sum(float(self.work(*args)) if callable(self.work) else self.work for args in calls) / seconds

    def summary(self, values: Sequence[float]) -> float:
        if self.take == "fastest":
            return min(values) if self.work is None else max(values)
        ordered = sorted(values)
        if self.take == "median":
            return (ordered[len(values) // 2] + ordered[~(len(values) // 2)]) / 2
        return sum(values) / len(values)

    def impossible(self, value: float) -> bool:
        """Whether it is beyond the roofline."""
        return self.bound is not None and (value < self.bound if self.work is None else value > self.bound)


def seconds(name: str, *, at_least: float | None = None, take: Take = "fastest") -> Metric:
    """The seconds that a call takes.

    Args:
        at_least: the roofline: no honest program can be faster on this machine.
        take: of the timed batches, `fastest` (what disturbs only ever slows down), `median` or `mean`.
    """
    return Metric(name, None, at_least, take)


def rate(
    name: str, per_call: float | Callable[..., float], *, at_most: float | None = None, take: Take = "fastest"
) -> Metric:
    """The work that is done in a second.

    Args:
        per_call: the work in one call, or a function of its arguments.
        at_most: the roofline: no honest program can do more on this machine.
        take: as for `seconds`.
    """
    return Metric(name, per_call, at_most, take)
