"""The scripted agent: candidate number n gets patch or command number n. For tests, demos and replays."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopsmith.errors import WorkflowError
from loopsmith.process import tail
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief, Report
from loopsmith.workflow.agent import ScriptedAgent

if TYPE_CHECKING:
    import pygit2

NO_LIMIT = 7 * 86_400.0  # seconds for a command where the workflow sets no limit


class Scripted:
    """Applies one entry of a list to the worker's folder. Beyond the end of the list it changes nothing.

    A patch is a unified diff, in git's form or plain, and applies exactly or not at all. It is given as its text, or
    as a path relative to the source folder. A command runs in the worker's folder and finds the candidate's number
    in LOOPSMITH_CANDIDATE_NUMBER.
    """

    name = "scripted"
    resolves_conflicts = False

    def __init__(self, settings: ScriptedAgent):
        self.patches, self.commands = settings.patches, settings.commands

    def check(self, folder: Path, files: Sequence[str]) -> None:
        problems = []
        for number, entry in enumerate(self.patches, 1):
            try:
                _parse(_read(entry, folder))
            except ValueError as error:
                problems.append(f"agent.patches: entry {number} {error}")
        if problems:
            raise WorkflowError(*problems)

    async def work(self, brief: Brief, workspace: Workspace, services: Services) -> Report:
        number = int(brief.candidate_id.rpartition(".")[2])
        entries = self.patches or self.commands
        if number > len(entries):
            return Report(finish_reason="stopped", summary=f"the script has {len(entries)} entries, none for {number}")
        entry = entries[number - 1]
        if self.patches:
            return _apply(entry, number, workspace.path)
        services.progress(entry.strip().splitlines()[0])
        limit = NO_LIMIT if brief.limits.wall_clock is None else brief.limits.wall_clock
        done = await workspace.shell(f"export LOOPSMITH_CANDIDATE_NUMBER={number}\n{entry}", limit)
        if done.timed_out:
            return Report(finish_reason="wall_clock", summary=entry, error=f"command {number} ran out of time")
        if not done.ok:
            how = f"exit code {done.exit_code}" if done.signal is None else f"signal {done.signal}"
            error = f"command {number} ended with {how}\n{tail(done.log)}".strip()
            return Report(finish_reason="error", summary=entry, error=error)
        return Report(finish_reason="submitted", summary=entry, hypothesis=entry.strip().splitlines()[0])


def apply_patch(entry: str, folder: Path) -> None:
    """Apply a patch, given as its text or as a path in the folder, to a folder that is a git work tree.

    Raises:
        ValueError: why it cannot be applied, as the end of a sentence about the patch.
    """
    import pygit2

    diff = _parse(_read(entry, folder))
    try:
        pygit2.Repository(str(folder)).apply(diff)
    except (pygit2.GitError, OSError) as error:
        raise ValueError(f"does not apply: {error}") from error


def _apply(entry: str, number: int, folder: Path) -> Report:
    title = f"patch {number}" if "\n" in entry else entry
    try:
        apply_patch(entry, folder)
    except ValueError as error:
        return Report(finish_reason="error", error=f"patch {number} {error}")
    return Report(finish_reason="submitted", summary=title, hypothesis=title)


def _read(entry: str, folder: Path) -> str:
    """A patch's text: the entry itself, or of the file that it names."""
    if "\n" in entry:
        return entry
    try:
        return (folder / entry).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ValueError(f"cannot be read: {entry} in the source folder: {reason}") from error


def _parse(text: str) -> "pygit2.Diff":
    import pygit2

    try:
        diff = pygit2.Diff.parse_diff(_with_git_headers(text))
    except (pygit2.GitError, KeyError) as error:
        raise ValueError(f"is not a unified diff: {str(error).strip(chr(39))}") from error
    if not len(diff):
        raise ValueError("is not a unified diff: it changes no file")
    return diff


def _with_git_headers(text: str) -> str:
    """A plain diff as git writes it: libgit2 reads no other."""
    if re.search(r"(?m)^diff --git ", text):
        return text

    def header(match: re.Match[str]) -> str:
        old, new = match.groups()
        path = (old if new == "/dev/null" else new).split("/", 1)[-1]
        mode = {"/dev/null": "new file mode 100644\n"}.get(old, "deleted file mode 100644\n" * (new == "/dev/null"))
        return f"diff --git a/{path} b/{path}\n{mode}--- {old}\n+++ {new}\n@@ "

    return re.sub(r"(?m)^--- ([^\t\n]+)(?:\t.*)?\n\+\+\+ ([^\t\n]+)(?:\t.*)?\n@@ ", header, text)
