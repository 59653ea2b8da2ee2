"""A patch as the guardrails read it: each changed file with its text before and after, and the lines that differ."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from loopsmith.records import Patch

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_FILE = re.compile(r"diff --git ")


class Finding(NamedTuple):
    """A broken rule in one file."""

    line: int  # from 1; 0: the file as a whole
    words: str


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a patch is judged against.

    Attributes:
        files: path to the id of its content, for every file of the parent.
        read: a content by its id, also of contents that the patch brings.
        editable: whether a path may be changed at all.
    """

    files: Mapping[str, str]
    read: Callable[[str], bytes]
    editable: Callable[[str], bool]

    def protected(self) -> list[str]:
        """The files that no candidate may change."""
        return [path for path in self.files if not self.editable(path)]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One changed file. `before` is None where it is new, `after` where it is gone."""

    path: str
    before: bytes | None
    after: bytes | None
    added: tuple[tuple[int, str], ...] = ()  # line number in the new file, text without its end
    removed: tuple[str, ...] = ()

    @property
    def python(self) -> bool:
        """Whether it is Python, by its name or its first line."""
        if self.path.endswith((".py", ".pyw", ".pyi")):
            return True
        first = (self.after or self.before or b"").partition(b"\n")[0]
        return first.startswith(b"#!") and b"python" in first


def changes(patch: Patch, baseline: Baseline) -> Iterator[Change]:
    """The changes of a patch that may be made at all and were read."""
    texts = iter(by_file(patch.text))
    for file in patch.files:
        if file.old is None and file.new is None:  # refused unread, and not in the diff
            continue
        lines = next(texts, ((), ()))
        if baseline.editable(file.path):
            yield Change(
                path=file.path,
                before=None if file.old is None else baseline.read(file.old),
                after=None if file.new is None else baseline.read(file.new),
                added=tuple(lines[0]),
                removed=tuple(lines[1]),
            )


Lines = tuple[list[tuple[int, str]], list[str]]


def by_file(diff: str) -> Iterator[Lines]:
    """The lines that a unified diff of git's adds, with their numbers in the new file, and removes; file by file.

    The counts of each hunk's header lead, so that no line of a file is taken for a header.
    """
    found: Lines | None = None
    old = new = at = 0  # lines of the hunk still to come, and the next line's number in the new file
    for line in diff.split("\n"):  # not splitlines: a form feed does not end a line of a diff
        if old > 0 or new > 0:
            kind = line[:1]
            if kind == "\\" or found is None:
                continue
            if kind == "+":
                found[0].append((at, line[1:].removesuffix("\r")))
            elif kind == "-":
                found[1].append(line[1:].removesuffix("\r"))
            old -= kind != "+"
            new -= kind != "-"
            at += kind != "-"
        elif match := _HUNK.match(line):
            old, at, new = int(match[1] or 1), int(match[2]), int(match[3] or 1)
        elif _FILE.match(line):
            if found is not None:
                yield found
            found = ([], [])
    if found is not None:
        yield found
