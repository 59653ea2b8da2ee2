"""The front matter as text: settings with a comment beside each, which says what it comes from."""

import re
from dataclasses import dataclass, field

from loopsmith.workflow.adopt.program import Found

WIDTH = 120


@dataclass
class Page:
    """The front matter while it is written."""

    lines: list[str] = field(default_factory=list)
    findings: list[tuple[str, str, int]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    complete: bool = True
    section: str = ""

    def open(self, section: str) -> None:
        self.section = section
        self.lines.append(f"{section}:")

    def put(self, key: str, value: str, found: Found | None, why: str = "") -> None:
        """One setting; its comment quotes the program, and `why` says what is guessed."""
        if found is not None:
            name = f"{self.section}.{key}" if self.section else key
            self.findings.append((name, value, found.line))
        start = f"{'  ' if self.section else ''}{key}: {value}"
        self.lines += commented(start, comment(found, why))

    def note(self, text: str, found: Found | None = None) -> None:
        """A line that is only a comment."""
        self.lines += commented("  " if self.section else "", f"{text}{': ' + comment(found) if found else ''}")

    def absent(self, key: str, words: str) -> None:
        """A setting that a workflow must have and that was not found."""
        self.complete = False
        self.missing.append(f"{self.section}.{key}: {words}")
        self.lines.append(f"  {key}:  # NOT FOUND: {words}")


def comment(found: Found | None, why: str = "") -> str:
    said = f"line {found.line}: {quote(found.quote)}" if found else ""
    return "; ".join(filter(None, (why, said)))


def commented(start: str, words: str) -> list[str]:
    """A line with its comment beside it, cut to the width; above it where there is too little room."""
    if not words:
        return [start]
    indent = " " * (len(start) - len(start.lstrip()))
    if not start.strip():
        return [f"{start}# {_cut(words, WIDTH - len(start) - 2)}"]
    room = WIDTH - len(start) - 4
    if room < min(len(words), 50):
        return [f"{indent}# {_cut(words, WIDTH - len(indent) - 2)}", start]
    return [f"{start}  # {_cut(words, room)}"]


def quote(text: str, limit: int = 400) -> str:
    seen = "".join(char for char in text if char.isprintable() or char.isspace())  # YAML takes no control character
    return f'"{_cut(" ".join(seen.split()), limit)}"'


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    closing = '"' if text.endswith('"') else ""
    return text[: limit - 1 - len(closing)].rstrip() + "…" + closing


def wrapped(words: str) -> list[str]:
    """A point of a list as comment lines."""
    lines, line = [], "# -"
    for word in words.split():
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = "#  "
        line += f" {word}"
    return [*lines, line]


def scalar(text: str) -> str:
    """Text as YAML reads it back, without quotes where none are needed."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./+=@%-]*(?: [\w./+=@%-]+)*", text) and not re.fullmatch(
        r"(?i)true|false|null|~|\.inf|\.nan|[.\d+-]+(?:e[-+]?\d+)?", text
    )
    return text if plain else single(text)


def flow(text: str) -> str:
    """The same inside brackets."""
    return text if re.fullmatch(r"[A-Za-z_./][\w./-]*", text) and scalar(text) == text else single(text)


def single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
