"""What a patch must not say, whatever it gains. What it must not touch is decided where the patch is made."""

import re
from collections.abc import Iterator
from typing import Protocol

from loopsmith.records import Patch

MAX_PROBLEMS = 20
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class Rules(Protocol):
    """The part of `workflow.schema.Guardrails` that is checked here."""

    @property
    def forbid(self) -> tuple[re.Pattern[str], ...]: ...


def check_patch(patch: Patch, guardrails: Rules) -> tuple[str, ...]:
    """The added lines that match a forbidden pattern: file, line and rule, one problem each, at most `MAX_PROBLEMS`."""
    if not guardrails.forbid:
        return ()
    problems = [
        f"{path}:{number}: the added line matches guardrails.forbid `{rule.pattern}`"
        for path, number, line in added_lines(patch.text)
        for rule in guardrails.forbid
        if rule.search(line)
    ]
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"and {len(problems) - MAX_PROBLEMS} more lines with forbidden text"]
    return tuple(problems)


def added_lines(diff: str) -> Iterator[tuple[str, int, str]]:
    """The lines that a unified diff adds: (path, line number in the new file, text)."""
    path = ""
    old = new = at = 0  # lines of the hunk still to come, and the next line's number in the new file
    for line in diff.split("\n"):  # not splitlines: a form feed does not end a line of a diff
        if old > 0 or new > 0:
            kind = line[:1]
            if kind == "\\":
                continue
            if kind == "+":
                yield path, at, line[1:].removesuffix("\r")
            old -= kind != "+"
            new -= kind != "-"
            at += kind != "-"
        elif match := _HUNK.match(line):
            old, at, new = int(match[1] or 1), int(match[2]), int(match[3] or 1)
        elif line.startswith("+++ "):
            path = line[4:].strip('"').removeprefix("b/").rstrip("\t")
