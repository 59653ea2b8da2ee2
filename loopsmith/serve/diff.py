"""A unified diff as lines that a page can colour."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST = 3000  # lines of a patch that a page shows
WIDE = 2000  # characters of one line
HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        kind: add | remove | same | hunk | note.
        old, new: its numbers before and after; None where it has none.
    """

    kind: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass(slots=True)
class FileDiff:
    """The changes of one file."""

    path: str
    lines: list[Line] = field(default_factory=list)
    added: int = 0
    removed: int = 0


def parse(patch: str, most: int = MOST) -> tuple[list[FileDiff], int]:
    """The files of a patch, and how many of its lines were left out."""
    files: list[FileDiff] = []
    shown = left_out = 0
    for path, line in numbered(patch):
        if not files or (path is not None and line is None):
            files.append(FileDiff(path or "patch"))
        if line is None:
            continue
        files[-1].added += line.kind == "add"
        files[-1].removed += line.kind == "remove"
        if shown < most:
            files[-1].lines.append(line)
            shown += 1
        else:
            left_out += 1
    return files, left_out


def path_of(header: str) -> str:
    """The file of `diff --git a/x.py b/x.py`; git quotes a path that is not ASCII as C does."""
    both = header.removeprefix("diff --git ")
    path = both[len(both) // 2 + 1 :]
    if path.startswith('"'):
        quoted = path[1:].removesuffix('"').encode("ascii", "replace")
        path = quoted.decode("unicode_escape", "replace").encode("latin-1", "replace").decode("utf-8", "replace")
    return path.removeprefix("b/")


def numbered(patch: str) -> Iterator[tuple[str | None, Line | None]]:
    """Lines with their numbers; a path without a line begins a file."""
    old = new = 0
    body = False
    for text in patch.split("\n"):
        text = text if len(text) <= WIDE else text[:WIDE] + "…"
        if text.startswith("diff --git "):
            body = False
            yield path_of(text), None
        elif found := HUNK.match(text):
            old, new, body = int(found[1]), int(found[2]), True
            yield None, Line("hunk", text)
        elif not body:
            if text and not text.startswith(("index ", "--- ", "+++ ")):
                yield None, Line("note", text)
        elif text.startswith("+"):
            yield None, Line("add", text[1:], None, new)
            new += 1
        elif text.startswith("-"):
            yield None, Line("remove", text[1:], old, None)
            old += 1
        elif text.startswith("\\"):
            yield None, Line("note", text[2:])
        elif text:
            yield None, Line("same", text[1:], old, new)
            old, new = old + 1, new + 1
