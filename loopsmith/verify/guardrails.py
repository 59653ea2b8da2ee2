"""What a patch must not say or do, whatever it gains. What it must not touch is decided where the patch is made.

Only what the patch changes is judged: what the baseline has already is no violation.
"""

import unicodedata
from collections.abc import Iterator

from loopsmith.records import Patch
from loopsmith.verify.changes import Baseline, Change, Finding, changes
from loopsmith.verify.frozen import check_frozen
from loopsmith.verify.imports import check_imports
from loopsmith.verify.newcomers import check_new_file
from loopsmith.verify.syntax import NotPython, encoding, parse
from loopsmith.verify.unicode import check_name, check_text
from loopsmith.workflow.schema import Guardrails

MAX_PROBLEMS = 20


def check_patch(patch: Patch, guardrails: Guardrails, baseline: Baseline) -> tuple[str, ...]:
    """The rules that a patch breaks: file, line and rule in words, one problem each, at most `MAX_PROBLEMS`."""
    problems = [
        f"{change.path}:{finding.line}: {finding.words}" if finding.line else f"{change.path}: {finding.words}"
        for change in changes(patch, baseline)
        for finding in check(change, guardrails, baseline)
    ]
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"and {len(problems) - MAX_PROBLEMS} more problems"]
    return tuple(problems)


def check(change: Change, guardrails: Guardrails, baseline: Baseline) -> Iterator[Finding]:
    """Every rule that one changed file breaks."""
    if change.before is None:
        yield from check_new(change, guardrails, baseline)
    if change.after is None and not guardrails.deletions:
        yield Finding(0, "deleted, and guardrails.deletions does not allow it")
    if guardrails.syntax:
        yield from check_syntax(change)
    if guardrails.unicode == "safe":
        yield from check_text(change)
    yield from check_forbidden(change, guardrails)
    yield from check_frozen(change, guardrails.freeze)
    yield from check_imports(change, guardrails.imports)


def check_new(change: Change, guardrails: Guardrails, baseline: Baseline) -> Iterator[Finding]:
    if guardrails.unicode == "safe":
        yield from check_name(change.path)
    if guardrails.new_files == "none":
        yield Finding(0, "a new file, and guardrails.new_files allows none")
    elif guardrails.new_files == "safe":
        yield from check_new_file(change, baseline)


def check_syntax(change: Change) -> Iterator[Finding]:
    """Python that parsed before and does not now, or says that it is to be read in a deceptive encoding."""
    if not change.python or change.after is None:
        return
    if (name := encoding(change.after)) and (change.before is None or encoding(change.before) != name):
        yield Finding(1, f"declares the encoding {name}, in which text is not what it looks like (guardrails.syntax)")
    try:
        parse(change.after)
    except NotPython as broken:
        if change.before is None or parses(change.before):
            yield Finding(broken.line, f"this is not valid Python: {broken} (guardrails.syntax)")


def parses(data: bytes) -> bool:
    try:
        parse(data)
    except NotPython:
        return False
    return True


def check_forbidden(change: Change, guardrails: Guardrails) -> Iterator[Finding]:
    """The added lines that match a forbidden pattern, whole or in a part that a program might take for a line."""
    for number, line in change.added:
        parts = {line, *line.splitlines()}
        if not line.isascii():  # names in Python are read so
            parts.add(unicodedata.normalize("NFKC", line))
        for rule in guardrails.forbid:
            if any(rule.search(part) for part in parts):
                yield Finding(number, f"the added line matches guardrails.forbid `{rule.pattern}`")
