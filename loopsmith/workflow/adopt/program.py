"""A program in Markdown as blocks: what stands under which heading, after which introduction, in which line."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

LONGEST = 4000  # characters of one block that are read
_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.*?)\s*#*$")
_ITEM = re.compile(r"(\s*)(?:[-*+]|\d{1,3}[.)])\s+(?=\S)")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*([\w+-]*)")
_SENTENCE = re.compile(r"(?<=[.!?])[*_)]*\s+(?=[A-Z*_`\"(✓-])")
_MARKS = re.compile(r"[*_]{2,}|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)|^\s*>\s?(?:\[!\w+\])?")


class Found(NamedTuple):
    """A value, and the sentence of the program that it comes from."""

    value: str
    line: int
    quote: str


@dataclass(frozen=True)
class Block:
    """A heading, a paragraph, an item of a list, a row of a table, or a line of code.

    Attributes:
        text: on one line.
        heading: the nearest heading above, in small letters.
        intro: what a list, or code, stands under: a line that ends with a colon, or the line before the code.
        number: of the code block that a line of code belongs to; the same for all its lines.
    """

    kind: Literal["heading", "text", "item", "row", "code"]
    text: str
    heading: str
    intro: str
    starts: tuple[tuple[int, int], ...]  # where in `text` each line of the file begins
    number: int = 0
    language: str = ""

    @property
    def line(self) -> int:
        return self.starts[0][1]

    @property
    def plain(self) -> str:
        """Without the marks of bold and italic text."""
        return plain(self.text)

    def sentences(self) -> Iterator["Sentence"]:
        start = 0
        ends = [] if self.kind == "code" else [match.end() for match in _SENTENCE.finditer(self.text)]
        for end in (*ends, len(self.text)):
            text = self.text[start:end].strip()
            if text:
                index = bisect_right([offset for offset, _ in self.starts], start) - 1
                yield Sentence(text, self.starts[index][1], self)
            start = end


@dataclass(frozen=True)
class Sentence:
    """A sentence as it is written, in the line in which it begins."""

    text: str
    line: int
    block: Block = field(repr=False)

    @property
    def plain(self) -> str:
        return plain(self.text)

    def found(self, value: str) -> Found:
        return Found(value, self.line, self.text)


def plain(text: str) -> str:
    return _MARKS.sub("", text).strip()


def read_program(text: str) -> tuple[Block, ...]:
    """The blocks of a Markdown file, in their order."""
    return tuple(_Reader().read(text))


class _Reader:
    def __init__(self) -> None:
        self.heading = ""
        self.intros: list[tuple[int, str]] = []  # by indentation
        self.last = ""
        self.number = 0

    def read(self, text: str) -> Iterator[Block]:
        lines = text.split("\n")
        at = 0
        while at < len(lines):
            line = lines[at]
            if fence := _FENCE.match(line):
                end = next((n for n in range(at + 1, len(lines)) if lines[n].strip().startswith(fence[1])), len(lines))
                yield from self._code(lines[at + 1 : end], at + 2, fence[2].lower())
                at = end + 1
            elif heading := _HEADING.match(line):
                self.heading, self.intros, self.last = plain(heading[2]).lower(), [], plain(heading[2])
                yield self._block("heading", [(at + 1, heading[2])], "")
                at += 1
            elif not line.strip() or re.fullmatch(r"\s*([-*_]\s*){3,}", line):
                at += 1
            elif line.lstrip().startswith("|"):
                yield self._block("row", [(at + 1, line.strip())], self._intro(10**6))
                at += 1
            else:
                item = _ITEM.match(line)
                parts = [(at + 1, line[item.end() :] if item else line)]
                at += 1
                while at < len(lines) and self._continues(lines[at]):
                    parts.append((at + 1, lines[at]))
                    at += 1
                yield self._prose(parts, len(item[1].expandtabs(4)) if item else None)

    def _continues(self, line: str) -> bool:
        return bool(line.strip()) and not (
            _ITEM.match(line) or _FENCE.match(line) or _HEADING.match(line) or line.lstrip().startswith("|")
        )

    def _prose(self, parts: list[tuple[int, str]], indent: int | None) -> Block:
        if indent is None:
            self.intros = []
        else:
            self.intros = [intro for intro in self.intros if intro[0] < indent]
        block = self._block(
            "text" if indent is None else "item", parts, self._intro(10**6) if indent is not None else ""
        )
        self.last = block.plain
        if self.last.endswith(":"):
            self.intros.append((-1 if indent is None else indent, self.last))
        return block

    def _code(self, lines: list[str], first: int, language: str) -> Iterator[Block]:
        self.number += 1
        parts: list[tuple[int, str]] = []
        for number, line in enumerate(lines, start=first):
            parts.append((number, line[:-1] if line.endswith("\\") else line))
            if not line.endswith("\\"):
                if any(text.strip() for _, text in parts):
                    yield self._block("code", parts, self.last, language)
                parts = []
        if parts:
            yield self._block("code", parts, self.last, language)

    def _intro(self, indent: int) -> str:
        return next((text for at, text in reversed(self.intros) if at < indent), "")

    def _block(
        self,
        kind: Literal["heading", "text", "item", "row", "code"],
        parts: list[tuple[int, str]],
        intro: str,
        language: str = "",
    ) -> Block:
        text, starts = "", []
        for line, part in parts:
            words = part.strip() if kind != "code" else " ".join(part.split())
            starts.append((len(text) + bool(text), line))
            text = f"{text} {words}".strip() if text else words
        return Block(
            kind, text[:LONGEST], self.heading, intro, tuple(starts), self.number if kind == "code" else 0, language
        )
