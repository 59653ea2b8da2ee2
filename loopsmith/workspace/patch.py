"""A worker's folder becomes a candidate: its difference from the parent, checked against the rules, then stored."""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from loopsmith.records import FileChange, Patch
from loopsmith.workflow import Guardrails
from loopsmith.workspace.ignore import Ignore
from loopsmith.workspace.repository import Repository
from loopsmith.workspace.scan import Scan, scan, shown
from loopsmith.workspace.source import rules_above
from loopsmith.workspace.trees import changes, guarded, text, text_patches

MAX_PROBLEMS = 50  # listed; the rest is counted


def collect(
    repo: Repository,
    parent: str,
    folder: Path,
    *,
    editable: Callable[[str], bool],
    source: Path,
    links: Sequence[str],
    guardrails: Guardrails,
    message: str | None,
    baseline: str | None = None,
) -> Patch:
    """Read the change in a worker's folder, by content, and store it as a commit on top of `parent`.

    The folder's own `.git` is not looked at, and files that the parent's `.gitignore`s name are left out unless the
    parent holds them. The folder may be hostile; nothing in it is run or followed.

    Args:
        editable: whether a path may be changed, such as `Workflow.editable`.
        source: the source folder, where the git repository around it has ignore rules that hold in it too.
        links: paths of the linked inputs; a symbolic link is expected there.
        guardrails: of these, `max_changed_lines` (added and removed together) and `max_file_size` hold here.
        message: of the commit; None: look only, and commit nothing.
        baseline: what the change is judged against, and the commit's first parent, where the worker started from
            another commit.

    Returns:
        the patch, against the baseline. `commit` and `tree` are None where nothing changed, or where `problems` lists
        the broken rules: a change outside the editable files, a symbolic or hard link, binary content, a change of
        mode, a nested git repository, a pipe or the like, an unreadable or unnameable file, too many lines or bytes.

    Raises:
        HarnessError: the repository cannot be written.
    """
    seen = scan(
        folder,
        repo.entries(parent),
        ignore=rules(repo, repo.tree_id(parent), source),
        links=[os.path.normpath(link) for link in links],
        size_of=repo.size_of,
        max_file_size=guardrails.max_file_size,
    )
    against = baseline or parent
    if not (seen.written or seen.deleted or seen.problems):
        return Patch(parent=against, commit=None, tree=None, files=(), text="")
    with guarded("storing a candidate"):
        tree = store(repo, parent, seen)
        patches = text_patches(repo.tree(against), repo.tree(tree))
        files = changes(patches)
        shown_text = text(patches).decode("utf-8", "replace")
    problems = list(seen.problems)
    outside = [file for file in files if not editable(file.path)]
    problems += [f"{shown(file.path)}: {file.kind} outside the editable files" for file in outside]
    problems += too_large(files, guardrails)
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"and {len(problems) - MAX_PROBLEMS:,} more problems"]
    known = repo.entries(parent)
    files += tuple(
        FileChange(path=path, kind="modified" if path in known else "added", added=0, removed=0) for path in seen.unread
    )
    if not files and not problems:  # it went back to the baseline
        return Patch(parent=against, commit=None, tree=None, files=(), text="")
    parents = list(dict.fromkeys((against, parent)))
    commit = None if problems or message is None else repo.commit(tree, parents, message)
    return Patch(
        parent=against,
        commit=commit,
        tree=tree if commit else None,
        files=files,
        text=shown_text,
        problems=tuple(problems),
    )


def too_large(files: Sequence[FileChange], guardrails: Guardrails) -> list[str]:
    """The problem of a change with too many lines, if it has it."""
    lines, most = sum(file.added + file.removed for file in files), guardrails.max_changed_lines
    return [f"{lines:,} changed lines, over guardrails.max_changed_lines ({most:,})"] if lines > most else []


def store(repo: Repository, parent: str, seen: Scan) -> str:
    """The id of the parent's tree with a scan's plain files in it."""
    index = pygit2.Index()
    index.read_tree(repo.tree(parent))
    for path in seen.deleted:
        index.remove(path)
    for path, (mode, data) in seen.written.items():
        index.add(pygit2.IndexEntry(path, repo.git.create_blob(data), FileMode(mode)))
    return str(index.write_tree(repo.git))


@lru_cache(maxsize=8)
def rules(repo: Repository, tree: str, source: Path) -> Ignore:
    """The ignore rules of a stored tree."""
    ignore = rules_above(source).copy()
    for path, entry in repo.entries(tree).items():
        folder, slash, name = path.rpartition("/")
        if name == ".gitignore" and not entry.symlink:
            ignore.add(folder + slash, repo.read(tree, path))
    return ignore
