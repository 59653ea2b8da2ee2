"""What a campaign kept, given back: a branch of the person's repository, or one patch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from loopsmith.errors import HarnessError, UsageError
from loopsmith.workspace.repository import IDENTITY, Repository
from loopsmith.workspace.source import find_git
from loopsmith.workspace.trees import Entry, guarded, tree_diff

PATCH = "use `loopsmith apply --patch FILE` and apply it by hand"


@dataclass(frozen=True, slots=True)
class Step:
    """One commit to be: what changes between two commits or trees of loopsmith's repository, and its message."""

    before: str
    after: str
    message: str


def apply_branch(repo: Repository, source: Path, kept: Sequence[tuple[str, str]], branch: str) -> str:
    """Write the kept candidates as a new branch on top of the HEAD of the source's git repository.

    Args:
        kept: commit and message of each kept candidate, oldest first; each becomes one commit.

    Returns, Raises: as `write_branch`.
    """
    if not kept:
        raise UsageError("nothing was kept, so there is nothing to apply")
    steps = []
    for commit, message in kept:
        parent = repo.parent(commit)
        if parent is None:
            raise HarnessError(f"commit {commit[:12]} has no parent, so it is no candidate's change")
        steps.append(Step(parent, commit, message))
    return write_branch(repo, source, steps, branch)


def write_branch(repo: Repository, source: Path, steps: Sequence[Step], branch: str, *, trial: bool = False) -> str:
    """Write steps as a new branch on top of the HEAD of the source's git repository.

    Only objects and the branch are written; work tree, index and HEAD stay as they are. Where HEAD holds a file as
    the step found it, the step's file is taken; otherwise the change is merged into it, three-way.

    Args:
        branch: name of the branch; it must not exist yet.
        trial: see whether it can be done, and make neither branch nor commit.

    Returns:
        the id of the branch's last commit.

    Raises:
        UsageError: the source is in no git repository or has no commit, the name is taken or no name, a change does
            not apply to HEAD, or nothing of them all is left to apply.
    """
    found = find_git(source)
    if found is None:
        raise UsageError(f"{source} is in no git repository that can be read; {PATCH}")
    git, prefix = found
    if git.head_is_unborn:
        raise UsageError(f"the git repository of {source} has no commit yet; commit the source first, or {PATCH}")
    ref = f"refs/heads/{branch}"
    if not pygit2.reference_is_valid_name(ref):
        raise UsageError(f"{branch!r} cannot be the name of a git branch")
    if ref in git.references:
        raise UsageError(f"the branch {branch} exists already; name another with --branch")
    if beside := next(
        (name for name in git.references if f"{name}/".startswith(f"{ref}/") or ref.startswith(f"{name}/")), ""
    ):
        raise UsageError(f"git cannot have a branch {branch} beside {beside}; name another with --branch")
    with guarded(f"writing to the git repository of {source}"):
        start = git.head.peel(pygit2.Commit)
        commit, changes = start.id, False
        index = pygit2.Index()
        index.read_tree(start.tree)
        before = start.tree.id
        signature = identity(git)
        for step in steps:
            put(repo, step, git, index, prefix)
            tree = index.write_tree(git)
            if tree == before:
                continue  # HEAD has this change already
            commit = start.id if trial else git.create_commit(None, signature, signature, step.message, tree, [commit])
            before, changes = tree, True
        if not changes:
            raise UsageError("HEAD of the source holds every kept change already")
        if not trial:
            git.references.create(ref, commit)
    return str(commit)


def put(repo: Repository, step: Step, git: pygit2.Repository, index: pygit2.Index, prefix: str) -> None:
    """Make one step's change in an index of another repository."""
    parent, candidate = step.before, step.after
    old, new = repo.entries(parent), repo.entries(candidate)
    for delta in tree_diff(repo.tree(parent), repo.tree(candidate)).deltas:
        name = delta.new_file.path or delta.old_file.path
        path, before, after = prefix + name, old.get(name), new.get(name)
        here = Entry(int(index[path].mode), str(index[path].id)) if path in index else None
        if here == after:
            continue
        if here == before or (before and here and before.oid == here.oid):
            if after is None:
                index.remove(path)
            else:
                index.add(pygit2.IndexEntry(path, git.create_blob(repo.read(candidate, name)), FileMode(after.mode)))
        elif before is None or after is None or here is None:
            missing = "is not in HEAD" if here is None else "is another file in HEAD"
            raise UsageError(f"the source has moved on: {path} {missing}, so the kept changes do not apply; {PATCH}")
        else:
            index.add(merge(repo, parent, candidate, git, index[path], name))


def merge(
    repo: Repository, parent: str, candidate: str, git: pygit2.Repository, here: pygit2.IndexEntry, name: str
) -> pygit2.IndexEntry:
    """A file of HEAD with a candidate's change merged into it."""

    def tree(oid: pygit2.Oid) -> pygit2.Oid:
        alone = pygit2.Index()
        alone.add(pygit2.IndexEntry("file", oid, here.mode))
        return alone.write_tree(git)

    before, after = (git.create_blob(repo.read(commit, name)) for commit in (parent, candidate))
    merged = git.merge_trees(tree(before), tree(here.id), tree(after))
    if merged.conflicts is not None:
        raise UsageError(f"the source has moved on: {here.path} in HEAD conflicts with the kept changes; {PATCH}")
    return pygit2.IndexEntry(here.path, merged["file"].id, here.mode)


def identity(git: pygit2.Repository) -> pygit2.Signature:
    """The person's own name and address where git knows them."""
    try:
        return git.default_signature
    except KeyError:
        return pygit2.Signature(*IDENTITY)


def patch_text(repo: Repository, origin: str, baseline: str) -> str:
    """All kept changes as one unified diff for `git apply` in the source folder.

    Bytes that are not UTF-8 are surrogate escapes; write it with `errors="surrogateescape"`.
    """
    return repo.diff_bytes(origin, baseline).decode("utf-8", "surrogateescape")
