"""Durations, sizes, shares, money and counts as people write them, read and shown.

Each `parse_*` takes what YAML gives (text or a number) and raises `ValueError` with a sentence for a person.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt
from pydantic import BeforeValidator

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_WORDS = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
_DECIMAL = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_BYTES = {
    "": 1,
    **{unit.lower(): size for unit, size in (_DECIMAL | _BINARY).items()},
    **{unit[0].lower(): size for unit, size in _DECIMAL.items() if unit != "B"},
}
_THOUSANDS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def parse_duration(value: Any) -> float:
    """Seconds from `90s`, `10m`, `8h`, `1h30m`, `1.5 hours`, `2d`, or a plain number of seconds."""
    wrong = f"{quoted(value)} is not a duration; write it as 90s, 10m, 8h, 1h30m or 2d"
    if (number := _plain(value, wrong)) is not None:
        return number
    text = value.strip().lower()
    if clock := re.fullmatch(r"(\d+):(\d\d)(?::(\d\d))?", text):
        first, second, third = clock.groups()
        either = f"{first}h{second}m{third}s" if third else f"{first}m{second}s or {first}h{second}m"
        raise ValueError(f"{quoted(value)} is not a duration; write it as {either}")
    parts = re.findall(rf"({_NUMBER})\s*([a-z]+)\s*", text)
    units = [_DURATION_WORDS.get(unit, "") for _, unit in parts]
    if not re.fullmatch(rf"(?:{_NUMBER}\s*[a-z]+\s*)+", text) or "" in units:
        raise ValueError(wrong)
    if len(set(units)) != len(units):
        raise ValueError(f"{quoted(value)} is not a duration: it gives one unit twice")
    return _finite(math.fsum(float(amount) * _SECONDS[unit] for (amount, _), unit in zip(parts, units, strict=True)))


def parse_size(value: Any) -> int:
    """Bytes from `10MB` (10^6 each), `2GiB` (2^30 each), `500 kB`, or a plain number of bytes."""
    wrong = f"{quoted(value)} is not a size; write it as 500kB, 10MB or 2GiB"
    return _scaled(value, _BYTES, wrong, "bytes")


def parse_count(value: Any) -> int:
    """A whole number from `500k`, `2M`, `1,000,000` or a plain number, as tokens are counted."""
    wrong = f"{quoted(value)} is not a count; write it as 200000, 200k or 2M"
    return _scaled(value, _THOUSANDS, wrong, "whole units")


def parse_share(value: Any) -> float:
    """A share from `1%` (0.01) or a plain number (0.01 is one percent)."""
    wrong = f"{quoted(value)} is not a share; write it as 1% or 0.01"
    if (number := _plain(value, wrong)) is not None:
        return number
    match = re.fullmatch(rf"({_NUMBER})\s*%", value.strip())
    if not match:
        raise ValueError(wrong)
    return _finite(float(match[1]) / 100)


def parse_money(value: Any) -> float:
    """US dollars from `$20`, `20`, `0.50`, `20 USD` or `$1,000`."""
    wrong = f"{quoted(value)} is not an amount of money; write it as $20, 0.50 or 20 USD"
    if (number := _plain(value, wrong)) is not None:
        return number
    text = _without_commas(value.strip())
    match = re.fullmatch(rf"(?:\$\s*({_NUMBER})|({_NUMBER})\s*(?:\$|usd))(?:\s*usd)?", text, re.IGNORECASE)
    if not match:
        raise ValueError(wrong + " (US dollars)")
    return _finite(float(match[1] or match[2]))


def format_duration(seconds: float, parts: int = 2) -> str:
    """`1h 5m`: the `parts` largest units, rounded down; below a minute `12.3s`, below a second `350ms`."""
    if seconds < 0:
        return "-" + format_duration(-seconds, parts)
    if seconds == 0:
        return "0s"
    if round(seconds, 3) < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:
        return f"{min(round(seconds, 1), 59.9):g}s"
    left, shown = int(seconds), []
    for unit in ("d", "h", "m", "s"):
        amount, left = divmod(left, int(_SECONDS[unit]))
        shown.append((amount, unit))
    first = next(i for i, (amount, _) in enumerate(shown) if amount)
    return " ".join(f"{amount}{unit}" for amount, unit in shown[first : first + parts] if amount)


def format_size(size: int) -> str:
    """`10 MB` or `2 GiB` where that is exact, else one decimal: `12.3 MB`."""
    for units in (_DECIMAL, _BINARY):
        for unit, scale in reversed(units.items()):
            if size >= scale > 1 and size % scale == 0:
                return f"{size // scale} {unit}"
    unit, scale = next(((u, s) for u, s in reversed(_DECIMAL.items()) if size >= s), ("B", 1))
    return f"{size} B" if scale == 1 else f"{size / scale:.1f} {unit}"


def format_money(dollars: float) -> str:
    """`$20.00`; amounts below a cent keep two digits that tell: `$0.0012`."""
    if dollars < 0:
        return "-" + format_money(-dollars)
    if 0 < dollars < 0.01:
        return f"${dollars:.{1 - math.floor(math.log10(dollars))}f}"
    return f"${dollars:,.2f}"


def format_count(count: int) -> str:
    """`200,000`."""
    return f"{count:,}"


def format_share(share: float) -> str:
    """`1%`, `12.5%`."""
    return f"{share * 100:.6g}%"


def quoted(value: Any) -> str:
    """A value as an error shows it: short, one line, in backticks where it is text or a number."""
    if value is None:
        return "an empty value"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`" if text else "empty text"


def _plain(value: Any, wrong: str) -> float | None:
    """The number, where `value` is one or is text that is one; None where it is other text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(wrong)
    if isinstance(value, str):
        text = _without_commas(value.strip())
        if re.fullmatch(r"-.*\d.*", text):
            raise ValueError(wrong.split(";")[0] + ": it is below zero")
        return _finite(float(text)) if re.fullmatch(rf"{_NUMBER}(?:e[-+]?\d+)?", text, re.IGNORECASE) else None
    if value < 0:
        raise ValueError(wrong.split(";")[0] + ": it is below zero")
    return _finite(value)


def _scaled(value: Any, scales: dict[str, int], wrong: str, whole: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value  # past 2^53 a float would not keep it
    number = _plain(value, wrong)
    if number is None:
        match = re.fullmatch(rf"({_NUMBER})\s*([a-z]*)", _without_commas(value.strip()), re.IGNORECASE)
        if not match or match[2].lower() not in scales:
            raise ValueError(wrong)
        scale = scales[match[2].lower()]
        number = int(match[1]) * scale if match[1].isdigit() else float(match[1]) * scale
        number = round(number) if math.isclose(number, round(number), rel_tol=1e-12) else number
    if number != int(number):
        raise ValueError(f"{wrong.split(';')[0]}: it is not a number of {whole}")
    return int(number)


def _finite(number: float) -> float:
    try:
        number = float(number)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"`{number}` is not a number that can be used here")
    return number


def _without_commas(text: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


@dataclass(frozen=True)
class Shown:
    """Marks a field's type with how its value is shown to a person."""

    format: Callable[[Any], str]


Duration = Annotated[
    float, BeforeValidator(parse_duration), Gt(0), Shown(lambda seconds: format_duration(seconds, parts=4))
]
"""Seconds, more than zero."""
Size = Annotated[int, BeforeValidator(parse_size), Gt(0), Shown(format_size)]
"""Bytes, more than zero."""
Money = Annotated[float, BeforeValidator(parse_money), Ge(0), Shown(format_money)]
"""US dollars."""
Count = Annotated[int, BeforeValidator(parse_count), Gt(0), Shown(format_count)]
"""How many, more than zero, where people write 200k and 2M."""
