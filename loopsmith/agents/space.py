"""The space that the tuner searches: for each constant, the values that it may take.

A constant that the workflow gives a range or choices for takes those. Otherwise the range lies around the present
value, and moves along with it as better values are kept: an eighth to eight times of an integer, a tenth to ten times
of a float, on a logarithmic scale; both values of a boolean. An integer that is a power of two from 16 on stays one,
as sizes of blocks and buffers mostly must.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from loopsmith.agents.constants import Constant, Value
from loopsmith.workflow.agent import Range

INTEGER_FACTOR = 8
FLOAT_FACTOR = 10
SMALLEST_POWER = 16
DIGITS = 3  # significant ones of a float: a value that a person could have written

Setting = Range | Sequence[Value]


@dataclass(frozen=True)
class Dimension:
    """The values of one constant.

    `power` searches the exponents of two: `low` and `high` are exponents then. `choices` excludes all the rest.
    """

    key: str
    kind: Literal["integer", "power", "float", "choices"]
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] = ()

    def value(self, point: Value) -> Value:
        """The constant's value at a point of the search."""
        if self.kind == "power":
            return 1 << int(point)
        if self.kind == "float":
            number = float(point)
            rounded = float(f"{number:.12g}" if self.step else f"{number:.{DIGITS}g}")
            return min(max(rounded, self.low), self.high)
        return point

    def point(self, value: object) -> Value | None:
        """Where a value lies in the search; None when it is not in it."""
        if self.kind == "choices":
            return next((each for each in self.choices if each == value and type(each) is type(value)), None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if self.kind == "power":
            if not isinstance(value, int) or value < 1 or value & (value - 1):
                return None
            value = value.bit_length() - 1
        if self.kind == "integer" and not isinstance(value, int):
            return None
        if not self.low <= value <= self.high:
            return None
        if self.step and not math.isclose(steps := (value - self.low) / self.step, round(steps), abs_tol=1e-6):
            return None
        return value

    def points(self) -> list[Value] | None:
        """All points, or None when there are too many to list."""
        if self.kind == "choices":
            return list(self.choices)
        if self.kind == "float" and not self.step:
            return None
        step = self.step or 1
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > 100_000:
            return None
        numbers = (self.low + index * step for index in range(count))
        return [float(number) if self.kind == "float" else int(number) for number in numbers]


def make_dimension(constant: Constant, setting: Setting | None, tried: Iterable[object] = ()) -> Dimension:
    """The dimension of a constant.

    Args:
        setting: what the workflow says, if anything.
        tried: values of earlier candidates; a range that is not given reaches over them.

    Raises:
        ValueError: the setting does not fit the constant.
    """
    if setting is None:
        return _around(constant, tried)
    if not isinstance(setting, Range):
        return Dimension(constant.key, "choices", choices=_choices(constant, setting))
    value, low, high, step = constant.value, setting.low, setting.high, setting.step
    if isinstance(value, bool | str):
        raise ValueError(f"{constant.key} = {constant.text} in {constant.path} is not a number; list choices")
    if isinstance(value, float):
        low, high = float(low), float(high)
        if step:
            high = low + step * math.floor((high - low) / step + 1e-9)
        return Dimension(constant.key, "float", low, high, setting.log, step)
    numbers = [number for number in (low, high, step) if number is not None]
    if any(number != int(number) for number in numbers):
        raise ValueError(f"{constant.key} = {constant.text} in {constant.path} is an integer; so must its range be")
    low, high, step = int(low), int(high), int(step) if step else None
    if step:
        high = low + step * ((high - low) // step)
    return Dimension(constant.key, "integer", low, high, setting.log, step)


def _around(constant: Constant, tried: Iterable[object]) -> Dimension:
    value, key = constant.value, constant.key
    if isinstance(value, bool | str):
        return Dimension(key, "choices", choices=(False, True))
    seen = [each for each in tried if isinstance(each, int | float) and not isinstance(each, bool)]
    if isinstance(value, int) and value >= SMALLEST_POWER and not value & (value - 1):
        exponents = [int(each).bit_length() - 1 for each in seen if each >= 1 and math.log2(each).is_integer()]
        here, reach = value.bit_length() - 1, INTEGER_FACTOR.bit_length() - 1
        return Dimension(key, "power", min([here - reach, *exponents]), max([here + reach, *exponents]))
    near, far = _ends(value)
    low, high = min([near, far, *seen]), max([near, far, *seen])
    kind: Literal["integer", "float"] = "integer" if isinstance(value, int) else "float"
    return Dimension(key, kind, low, high, log=low > 0)


def _ends(value: int | float) -> tuple[float, float]:
    if isinstance(value, float):
        return (value / FLOAT_FACTOR, value * FLOAT_FACTOR) if value else (0.0, 1.0)
    if value == 0:
        return 0, INTEGER_FACTOR
    sign = 1 if value > 0 else -1
    return sign * max(1, abs(value) // INTEGER_FACTOR), value * INTEGER_FACTOR


def _choices(constant: Constant, choices: Sequence[Value]) -> tuple[Value, ...]:
    """The choices in the constant's own type; each once."""
    number = isinstance(constant.value, int | float) and not isinstance(constant.value, bool)
    for choice in choices:
        fits = (
            isinstance(choice, int | float) and not isinstance(choice, bool)
            if number
            else (type(choice) is type(constant.value))
        )
        if not fits:
            raise ValueError(f"{constant.key} = {constant.text} in {constant.path} cannot become {choice!r}")
        if isinstance(choice, str) and (set(choice) & set("\"'\\\n") or not (choice or constant.text[:1] in "\"'")):
            raise ValueError(f"{constant.key} in {constant.path}: {choice!r} cannot be written without escapes")
    typed = (float(each) for each in choices) if isinstance(constant.value, float) else choices
    return tuple(dict.fromkeys(typed))


def fits(dimensions: Iterable[Dimension], params: Mapping[str, object]) -> bool:
    """Whether a set of values lies in the space."""
    return all(dimension.point(params.get(dimension.key)) is not None for dimension in dimensions)
