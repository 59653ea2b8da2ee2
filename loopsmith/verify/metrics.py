"""Metrics, read from what a verifier printed.

Understood are, anywhere in the output and each on a line of its own, `METRIC name=value` and `name: value`, and a
JSON object on the last line that is not empty. A name with a regular expression of its own is read by that alone.
Nothing is guessed: a metric that is not finite, or was printed with two different values, has no value.
"""

import itertools
import json
import math
import mmap
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from loopsmith.process import MAX_LINE

MAX_METRICS = 100  # that are kept beside the needed ones
_NAME = rb"[A-Za-z_\x80-\xff][\w./%@\x80-\xff-]{0,99}"
_LINE = re.compile(
    rb"^[ \t]*(?:METRIC[ \t]+(?P<metric>" + _NAME + rb")[ \t]*=[ \t]*(?P<said>\S+)"
    rb"|(?P<name>" + _NAME + rb")[ \t]*:[ \t]*(?P<value>\S+))[ \t\r]*$",
    re.MULTILINE,
)
_NUMBER = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE | re.ASCII)


class Reading(NamedTuple):
    """The metrics of one output; none of them when `problem` says why there is no score."""

    metrics: dict[str, float]
    problem: str = ""


def read_metrics(log: Path, patterns: Mapping[str, re.Pattern[str]], needed: Collection[str]) -> Reading:
    """Read a log as `process.run` leaves it.

    Args:
        patterns: metric to a regular expression with one group, searched in each line of less than 64 KiB.
        needed: without a value for each of these there is no score. Others that have no value are left out, so
            that a line of progress such as `epoch: 3` does no harm.
    """
    found: dict[str, list[_Value]] = {name: [] for name in needed}  # at most two different ones of each
    for name, text in _said(log, patterns):
        if name in found or len(found) < MAX_METRICS + len(needed):
            _add(found.setdefault(name, []), text)
    problems = [problem for name in needed if (problem := _problem(name, found[name]))]
    if problems:
        return Reading({}, "; ".join(problems))
    return Reading({name: said[0].value for name, said in found.items() if not _problem(name, said)})


class _Value(NamedTuple):
    text: str
    value: float  # NaN for what is not a number


def _add(said: list[_Value], text: str) -> None:
    value = number(text)
    if len(said) < 2 and all(value is None or value != other.value for other in said):
        said.append(_Value(text[:40], math.nan if value is None else value))


def _problem(name: str, said: Sequence[_Value]) -> str:
    if not said:
        return f"metric `{name}` is missing from the output"
    for item in said:
        if not math.isfinite(item.value):
            return f"metric `{name}` is not a finite number: {item.text}"
    if len(said) > 1:
        return f"metric `{name}` has two different values: {' and '.join(item.text for item in said)}"
    return ""


def number(text: str) -> float | None:
    """A number as programs print it, nan and inf included; None for other text, such as `1_000` or `0x10`."""
    return float(text) if _NUMBER.fullmatch(text) else None


def _said(log: Path, patterns: Mapping[str, re.Pattern[str]]) -> Iterator[tuple[str, str]]:
    """Every (metric, text of its value) in the log; the text need not be a number where the name makes it a metric."""
    with log.open("rb") as file:
        if patterns:
            while line := file.readline(MAX_LINE):
                if len(line) == MAX_LINE:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE)
                    continue
                if line.isspace():
                    continue
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                for name, pattern in patterns.items():
                    yield from ((name, match[1] or "") for match in pattern.finditer(text))
        if not file.seek(0, 2):
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for name, text in itertools.chain(_lines(content), _last_object(content)):
                if name not in patterns:
                    yield name, text


def _lines(content: mmap.mmap) -> Iterator[tuple[str, str]]:
    for match in _LINE.finditer(content):
        if match.end() - match.start() >= MAX_LINE:  # the log may have been cut in it
            continue
        name, text = match["metric"] or match["name"], (match["said"] or match["value"]).decode("utf-8", "replace")
        if match["metric"] or number(text) is not None:
            yield name.decode("utf-8", "replace"), text


def _last_object(content: mmap.mmap) -> Iterator[tuple[str, str]]:
    end = content[-MAX_LINE:].rstrip()
    start = end.rfind(b"\n")
    if start < 0 and len(content) >= MAX_LINE:
        return
    line = end[start + 1 :].strip()
    if not (line.startswith(b"{") and line.endswith(b"}")):
        return
    try:
        pairs = json.loads(
            line, object_pairs_hook=tuple, parse_float=_Number, parse_int=_Number, parse_constant=_Number
        )
    except (ValueError, RecursionError):
        return
    for name, text in pairs:  # a key that comes twice comes twice
        if isinstance(text, _Number):
            yield name, text


class _Number(str):
    """A number in JSON as it was written, NaN and Infinity too; texts in quotes stay plain `str`."""
