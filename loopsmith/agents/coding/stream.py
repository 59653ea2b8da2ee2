"""What a coding agent's program prints, as events: JSON lines, read by the rules of its entry and by nothing else."""

import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from loopsmith.agents.model import Tokens
from loopsmith.workflow.coding import Rule, Stream

LONGEST = 4_000_000  # bytes of a line; a longer one is left out, and counted
ENOUGH = 1_000_000_000_000  # no count of tokens and no number of dollars is as large
FILES = 100  # of a program's own, that are read of one pattern
PIECE = 1_000_000  # bytes of a file that are read at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """Tokens and dollars that an event names. `cost` is None where it names none."""

    tokens: Tokens
    cost: float | None = None
    model: str = ""
    id: str = ""  # amounts of the same id stand for one another, the last for all
    total: bool = False  # of the whole run so far


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What one line said, by one rule."""

    means: str = ""
    message: str = ""
    retry_after: float | None = None
    text: str = ""
    turn: str = ""  # the id of a turn, or `new`
    amount: Amount | None = None


@dataclass
class Lines:
    """Bytes in, whole lines out; holds at most `LONGEST` bytes."""

    skipped: int = 0  # lines that were too long
    _part: bytearray = field(default_factory=bytearray)
    _over: bool = False  # inside of a line that is too long

    def feed(self, data: bytes) -> Iterator[bytes]:
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._part += line
            if self._over or len(self._part) > LONGEST:
                self.skipped += not self._over
                self._over = False
            else:
                yield bytes(self._part)
            self._part.clear()
        if self._over:
            return
        self._part += rest
        if len(self._part) > LONGEST:
            self.skipped, self._over = self.skipped + 1, True
            self._part.clear()

    def end(self) -> Iterator[bytes]:
        """The last line, where nothing ends it."""
        if self._part and not self._over:
            yield bytes(self._part)
        self._part.clear()


@dataclass
class Reader:
    """Reads one stream by its rules."""

    rules: Sequence[Rule]
    known: int = 0  # lines that a rule fitted
    unknown: int = 0  # lines that are no JSON object
    lines: Lines = field(default_factory=Lines)

    def feed(self, data: bytes) -> Iterator[Event]:
        for line in self.lines.feed(data):
            yield from self._read(line)

    def end(self) -> Iterator[Event]:
        for line in self.lines.end():
            yield from self._read(line)

    def _read(self, line: bytes) -> Iterator[Event]:
        if not line.strip():
            return
        try:
            data = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            self.unknown += 1
            return
        found = [read(rule, data) for rule in self.rules if fits(rule, data)]
        self.known += bool(found)
        meant = False
        for event in found:
            yield event if not (event.means and meant) else Event(text=event.text, turn=event.turn, amount=event.amount)
            meant = meant or bool(event.means)


class Files:
    """The streams that a program writes to files below its home folder, read as they grow.

    The program may make there what it likes: only plain files are opened, and no link is followed.
    """

    def __init__(self, home: Path, stream: Stream):
        self.home, self.patterns = home, stream.files
        self.readers: dict[Path, tuple[Reader, int]] = {}

    def poll(self, *, last: bool = False) -> Iterator[Event]:
        """What was written since.

        Args:
            last: nothing more will be.
        """
        for pattern, rules in self.patterns.items():
            for path in self._found(pattern):
                reader, offset = self.readers.get(path, (Reader(rules), 0))
                for data in _pieces(path, offset):
                    offset += len(data)
                    yield from reader.feed(data)
                self.readers[path] = reader, offset
                if last:
                    yield from reader.end()

    def _found(self, pattern: str) -> Iterator[Path]:
        """The files of a pattern, but for those that lead elsewhere."""
        home = os.path.realpath(self.home)
        with suppress(OSError, RuntimeError):  # of folders that are removed meanwhile, or in one another without end
            for path in islice(self.home.glob(pattern), FILES):
                if Path(os.path.realpath(path)).is_relative_to(home):  # `resolve` raises where links form a circle
                    yield path


def _pieces(path: Path, offset: int) -> Iterator[bytes]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        while stat.S_ISREG(os.fstat(handle).st_mode) and (data := os.pread(handle, PIECE, offset)):
            offset += len(data)
            yield data
    finally:
        os.close(handle)


def fits(rule: Rule, data: dict[str, Any]) -> bool:
    equal = all(any(_same(each, value) for each in find(data, path)) for path, value in rule.when.items())
    return equal and all(
        any(isinstance(each, str) and pattern.search(each) for each in find(data, path))
        for path, pattern in rule.matches.items()
    )


def read(rule: Rule, data: dict[str, Any]) -> Event:
    turn = (text_at(data, rule.id) or "new") if rule.turn else ""
    wait = (number_at(data, (rule.retry_after,)) or None) if rule.retry_after else None  # 0 is no end to wait for
    return Event(
        means=rule.means or "",
        message=" ".join(text_at(data, rule.message).split())[:500],
        retry_after=wait,
        text=text_at(data, rule.text),
        turn=turn,
        amount=amount(rule, data),
    )


def amount(rule: Rule, data: dict[str, Any]) -> Amount | None:
    counts = {name: number_at(data, getattr(rule, name)) for name in ("input", "cached", "written", "output")}
    cost = number_at(data, rule.cost)
    if cost is None and all(count is None for count in counts.values()):
        return None
    tokens = Tokens(**{name: int(count or 0) for name, count in counts.items()})
    return Amount(
        tokens=tokens, cost=cost, model=text_at(data, rule.model), id=text_at(data, rule.id), total=rule.total
    )


def find(data: Any, path: str) -> list[Any]:
    """Every value at a dotted path; `*` is any key of an object and any element of a list."""
    found = [data]
    for part in path.split("."):
        found = [inner for value in found for inner in _inner(value, part)]
    return found


def _inner(value: Any, part: str) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values() if part == "*" else (value[part],) if part in value else ()
    if isinstance(value, list):
        if part == "*":
            return value
        index = int(part) if part.isdecimal() and len(part) < 6 else len(value)
        return value[index : index + 1]
    return ()


def number_at(data: Any, paths: Iterable[str]) -> float | None:
    """The sum of the numbers at some paths; None where there is none. What cannot be an amount counts as none."""
    values = [
        value
        for path in paths
        for value in find(data, path)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < ENOUGH
    ]
    return math.fsum(values) if values else None


def text_at(data: Any, path: str | None) -> str:
    """The texts at a path, in lines; empty without any."""
    return "\n".join(value for value in find(data, path) if isinstance(value, str)) if path else ""


def _same(value: Any, wanted: bool | int | str) -> bool:
    return type(value) is type(wanted) and bool(value == wanted)
