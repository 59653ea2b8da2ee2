"""Loopsmith's own bare git repository: every snapshot and every candidate, reachable by campaign and number."""

import os
import shutil
from functools import lru_cache
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from loopsmith.errors import HarnessError, UsageError
from loopsmith.log import mask
from loopsmith.records import Patch
from loopsmith.workspace.trees import Entry, changes, flatten, guarded, text, text_patches, tree_diff, write_files

IDENTITY = ("loopsmith", "loopsmith@localhost")
# A person's own git settings must not change what is stored or how a diff reads.
SETTINGS = {
    "core.attributesFile": os.devnull,
    "core.hooksPath": os.devnull,
    "core.logAllRefUpdates": "false",
    "diff.context": "3",
    "diff.mnemonicPrefix": "false",
    "diff.noPrefix": "false",
    "gc.auto": "0",
    "gc.pruneExpire": "never",
}


class Repository:
    """The bare repository under a state folder (`.loopsmith/`). Commits are named by their full hex id.

    One thread at a time. Objects and refs stay loose: writing one costs the same with 10 candidates and with
    100,000, whereas a pack has to be rewritten and `packed-refs` is read whole for each new ref.
    """

    def __init__(self, git: pygit2.Repository, state: Path):
        self.git = git
        self.state = state
        self._flat = lru_cache(maxsize=8)(self._flatten)

    @classmethod
    def open(cls, state: Path) -> "Repository":
        """Open the repository of a state folder, made on first use.

        Raises:
            HarnessError: it cannot be made or is not a repository any more.
        """
        state = state.resolve()
        path = state / "repository.git"
        with guarded(f"opening {path}"):
            if not path.exists():
                state.mkdir(parents=True, exist_ok=True)
                # Under another name first: a kill between two writes never leaves half a repository.
                fresh = state / f"repository.{os.getpid()}.new"
                shutil.rmtree(fresh, ignore_errors=True)
                made = pygit2.init_repository(fresh, bare=True)
                for key, value in SETTINGS.items():
                    made.config[key] = value
                made.free()
                fresh.rename(path)
            return cls(pygit2.Repository(str(path)), state)

    # --- reading

    def tree(self, commit: str) -> pygit2.Tree:
        """The tree of a commit (or of a tree id)."""
        with guarded(f"reading commit {commit[:12]}"):
            return self.git[commit].peel(pygit2.Tree)

    def tree_id(self, commit: str) -> str:
        return str(self.tree(commit).id)

    def same_tree(self, commit: str, other: str) -> bool:
        """Whether two commits hold the same files."""
        return self.tree_id(commit) == self.tree_id(other)

    def parent(self, commit: str) -> str | None:
        """A commit's first parent: for a candidate's, the baseline that it is compared with."""
        return next(iter(self.parents(commit)), None)

    def parents(self, commit: str) -> tuple[str, ...]:
        with guarded(f"reading commit {commit[:12]}"):
            return tuple(map(str, self.git[commit].peel(pygit2.Commit).parent_ids))

    def entries(self, commit: str) -> dict[str, Entry]:
        """The files of a commit by path. Shared between callers: copy before changing."""
        return self._flat(self.tree_id(commit))

    def _flatten(self, tree_id: str) -> dict[str, Entry]:
        return flatten(self.git, self.tree(tree_id))

    def files(self, commit: str) -> tuple[str, ...]:
        """The paths of a commit's files, in git's order."""
        return tuple(self.entries(commit))

    def read(self, commit: str, path: str) -> bytes:
        """The content of one file (of a symbolic link: its target).

        Raises:
            UsageError: the commit has no such file.
        """
        entry = self.entries(commit).get(path)
        if entry is None:
            raise UsageError(f"commit {commit[:12]} has no file {path}")
        return self.blob(entry.oid)

    def blob(self, oid: str) -> bytes:
        """The content of a stored file by its id."""
        with guarded(f"reading object {oid[:12]}"):
            return bytes(self.git.odb.read(oid)[1])

    def size_of(self, oid: str) -> int:
        """The bytes of a stored file, without reading it."""
        return int(self.git.odb.read_header(oid)[1])

    def checkout(self, commit: str, folder: Path) -> None:
        """Write a commit's files into `folder` (made if need be), without a `.git`. None of them may exist yet."""
        self.write(self.entries(commit), folder)

    def write(self, entries: dict[str, Entry], folder: Path) -> None:
        with guarded(f"writing {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            write_files(self.git, entries, folder)

    def diff(self, old: str, new: str) -> str:
        """The unified diff between two commits, for reading: bytes that are not UTF-8 are replaced."""
        return self.diff_bytes(old, new).decode("utf-8", "replace")

    def diff_bytes(self, old: str, new: str) -> bytes:
        """The unified diff between two commits, exact, for `git apply`."""
        with guarded("making a diff"):
            return text(tree_diff(self.tree(old), self.tree(new)))

    def patch(self, parent: str, commit: str) -> Patch:
        """A stored candidate's change as the record that `collect` returned for it."""
        with guarded("making a diff"):
            patches = text_patches(self.tree(parent), self.tree(commit))
            return Patch(
                parent=parent,
                commit=commit,
                tree=self.tree_id(commit),
                files=changes(patches),
                text=text(patches).decode("utf-8", "replace"),
            )

    # --- writing

    def commit(self, tree: str, parents: list[str], message: str, *, time: int | None = None) -> str:
        """Store a commit of a stored tree; no ref moves.

        Args:
            time: seconds since 1970 for a commit that must get the same id each time; default now.
        """
        with guarded("storing a commit"):
            signature = pygit2.Signature(*IDENTITY, *(() if time is None else (time, 0)))
            return str(self.git.create_commit(None, signature, signature, mask(message), tree, list(parents)))

    def orphan(self, commit: str) -> str:
        """A commit with the same tree and no parent: what a worker sees. The same id each time."""
        with guarded(f"reading commit {commit[:12]}"):
            time = self.git[commit].peel(pygit2.Commit).commit_time
        return self.commit(self.tree_id(commit), [], "baseline\n", time=time)

    def reapply(self, commit: str, onto: str) -> str | None:
        """Put a commit's change against its parent on top of another commit, by three-way merge.

        Returns:
            the new commit, or None when the change conflicts with `onto` or nothing of it is left there.
        """
        parent = self.parent(commit)
        if parent is None:
            raise HarnessError(f"commit {commit[:12]} has no parent, so it is no candidate's change")
        with guarded(f"merging {commit[:12]} onto {onto[:12]}"):
            merged = self.git.merge_trees(self.tree(parent), self.tree(onto), self.tree(commit))
            if merged.conflicts is not None:
                return None
            tree = str(merged.write_tree(self.git))
            message = self.git[commit].peel(pygit2.Commit).message
        return None if tree == self.tree_id(onto) else self.commit(tree, [onto], message)

    def set_candidate(self, campaign_id: str, number: int, commit: str) -> None:
        """Keep a candidate's commit reachable as refs/loopsmith/CAMPAIGN/candidates/NUMBER."""
        self._point(f"refs/loopsmith/{campaign_id}/candidates/{number}", commit)

    def set_baseline(self, campaign_id: str, commit: str) -> None:
        """Move the branch of kept candidates, refs/heads/CAMPAIGN."""
        self._point(f"refs/heads/{campaign_id}", commit)

    def candidate(self, campaign_id: str, number: int) -> str | None:
        return self._target(f"refs/loopsmith/{campaign_id}/candidates/{number}")

    def baseline(self, campaign_id: str) -> str | None:
        return self._target(f"refs/heads/{campaign_id}")

    def _point(self, ref: str, commit: str) -> None:
        with guarded(f"writing {ref}"):
            self.git.references.create(ref, commit, force=True)

    def _target(self, ref: str) -> str | None:
        with guarded(f"reading {ref}"):
            found = self.git.references.get(ref)
            return None if found is None else str(found.target)

    def has(self, commit: str) -> bool:
        """Whether a full id names a stored commit."""
        with guarded(f"reading commit {commit[:12]}"):
            return commit in self.git and self.git[commit].type == ObjectType.COMMIT
