"""What a person means by a candidate, a folder or a git ref: a state of the program that can be measured."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from loopsmith.campaign.taking.comparing import State
from loopsmith.campaign.taking.remeasure import Remeasuring
from loopsmith.errors import UsageError
from loopsmith.records import Candidate
from loopsmith.workspace import snapshot
from loopsmith.workspace.ignore import compile_rules
from loopsmith.workspace.scan import shown
from loopsmith.workspace.snapshot import NEVER
from loopsmith.workspace.source import find_git
from loopsmith.workspace.trees import Entry, flatten, guarded

ORIGIN, BASELINE = "origin", "baseline"
FILES = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE, FileMode.LINK)


@dataclass(frozen=True, slots=True)
class Target:
    """A state to measure, and which of its files were not taken.

    Attributes:
        kind: candidate, folder, ref, origin or baseline.
        ignored: files that no candidate may change and that differ from the campaign's, each in words.
    """

    state: State
    kind: str
    ignored: tuple[str, ...] = ()
    candidate: Candidate | None = None


def find_target(lab: Remeasuring, text: str) -> Target:
    """A candidate by its number, id or commit; a folder; or a git ref of the source's repository. In this order.

    Of a folder and of a ref only the editable files are taken; everything else is as the campaign has it.

    Raises:
        UsageError: it is none of them, or holds no editable file.
        WorkflowError: the folder cannot be read.
    """
    try:
        candidate = lab.store.find_candidate(lab.id, text)
    except UsageError as error:
        if "more than one" in str(error):
            raise
    else:
        return of_candidate(lab, candidate)
    folder = Path(text).expanduser()
    if folder.is_dir():
        return of_folder(lab, folder)
    git, commit = find_ref(lab, text)
    if git is not None and commit is not None:
        return of_ref(lab, git, commit, text)
    if folder.exists():
        raise UsageError(f"{text} is a file; give the folder that holds the editable files as in {lab.workflow.source}")
    where = f"no git ref of {git.workdir}" if git else f"no git ref, as {lab.workflow.source} is in no git repository"
    raise UsageError(f"{shown(text)} is no candidate of {lab.id}, no folder and {where}")


def find_reference(lab: Remeasuring, text: str) -> Target:
    """What something is compared with: `origin`, the untouched source; `baseline`; or a candidate.

    Raises:
        UsageError: it is none of them.
    """
    if text == ORIGIN:
        return Target(State(lab.origin, "the untouched source"), ORIGIN)
    if text == BASELINE:
        return baseline(lab)
    return of_candidate(lab, lab.store.find_candidate(lab.id, text))


def baseline(lab: Remeasuring) -> Target:
    """The present baseline, under the number of the candidate that made it."""
    commit = lab.campaign.baseline_commit
    if commit == lab.origin:
        return Target(State(commit, "the untouched source"), ORIGIN)
    number = next((item.number for item, _ in lab.store.kept(lab.id) if item.commit == commit), None)
    return Target(State(commit, "the baseline" + (f" (candidate {number})" if number else "")), BASELINE)


def of_candidate(lab: Remeasuring, candidate: Candidate) -> Target:
    if candidate.commit is None:
        raise UsageError(
            f"candidate {candidate.number} is {candidate.status} and left no change that could be measured"
        )
    return Target(State(candidate.commit, f"candidate {candidate.number}"), "candidate", candidate=candidate)


def of_folder(lab: Remeasuring, folder: Path) -> Target:
    workspace = lab.settings.workspace
    commit = snapshot(
        lab.repository,
        Path(os.path.abspath(folder)),
        exclude=workspace.exclude,
        links=lab.workflow.links(holdout=True),
        max_size=workspace.max_size,
    )
    name = f"the folder {shown(str(folder))}"
    return composed(lab, lab.repository.entries(commit), lab.repository.blob, name, "folder")


def find_ref(lab: Remeasuring, text: str) -> tuple[pygit2.Repository | None, pygit2.Commit | None]:
    """The source's git repository, and the commit that a ref means in it."""
    found = find_git(lab.workflow.source)
    if found is None:
        return None, None
    try:
        return found[0], found[0].revparse_single(text).peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError):
        return found[0], None


def of_ref(lab: Remeasuring, git: pygit2.Repository, commit: pygit2.Commit, text: str) -> Target:
    found = find_git(lab.workflow.source)
    assert found is not None
    prefix = found[1].rstrip("/")
    name = f"{shown(text)} ({str(commit.id)[:12]})"
    try:
        tree = commit.tree[prefix] if prefix else commit.tree
        assert isinstance(tree, pygit2.Tree)
    except (KeyError, AssertionError):
        raise UsageError(f"{name} holds no folder {prefix}, which is the source of {lab.id}") from None
    with guarded(f"reading {name}"):
        entries = flatten(git, tree)
    left_out = compile_rules(lab.settings.workspace.exclude)
    links = [os.path.normpath(link) for link in lab.workflow.links(holdout=True)]

    def seen(path: str) -> bool:
        """Whether a snapshot would hold it."""
        above = {path, *(path[:index] for index, char in enumerate(path) if char == "/")}
        return not (left_out.match_file(path) or above.intersection(links) or NEVER.intersection(path.split("/")))

    entries = {path: entry for path, entry in entries.items() if entry.mode in FILES and seen(path)}
    return composed(lab, entries, lambda oid: bytes(git.odb.read(oid)[1]), name, "ref")


def composed(
    lab: Remeasuring, entries: Mapping[str, Entry], read: Callable[[str], bytes], name: str, kind: str
) -> Target:
    """The campaign's files, with the editable ones of some others'.

    Args:
        read: the content of one of these files, by its id.
    """
    editable, origin = lab.workflow.editable, lab.repository.entries(lab.origin)
    taken = {path: entry for path, entry in entries.items() if editable(path)}
    if not taken:
        globs = ", ".join(lab.settings.workspace.editable)
        raise UsageError(f"{name} holds no file that matches workspace.editable ({globs})")
    with guarded(f"reading {name}"):
        index = pygit2.Index()
        for path, entry in origin.items():
            if not editable(path):
                index.add(pygit2.IndexEntry(path, pygit2.Oid(hex=entry.oid), FileMode(entry.mode)))
        for path, entry in taken.items():
            index.add(pygit2.IndexEntry(path, lab.repository.git.create_blob(read(entry.oid)), FileMode(entry.mode)))
        tree = str(index.write_tree(lab.repository.git))
    ignored = []
    for path in sorted({*origin, *entries}):
        if not editable(path) and origin.get(path) != entries.get(path):
            how = "differs" if path in origin and path in entries else "is new" if path in entries else "is missing"
            ignored.append(f"{shown(path)} {how}")
    return Target(State(tree, name), kind, tuple(ignored))
