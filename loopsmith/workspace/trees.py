"""Flat views of git trees: what a commit holds, by path, and what differs between two commits."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import DeltaStatus, DiffOption, FileMode

from loopsmith.errors import HarnessError
from loopsmith.records import FileChange

KINDS = {DeltaStatus.ADDED: "added", DeltaStatus.DELETED: "deleted"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a tree. `mode` is git's: 0o100644, 0o100755 or 0o120000 (a symbolic link)."""

    mode: int
    oid: str

    @property
    def symlink(self) -> bool:
        return self.mode == FileMode.LINK

    @property
    def executable(self) -> bool:
        return self.mode == FileMode.BLOB_EXECUTABLE


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Turn what git and the disk raise into one line of a HarnessError."""
    try:
        yield
    except (pygit2.GitError, OSError, KeyError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise HarnessError(f"{doing} failed: {said}") from error


def flatten(git: pygit2.Repository, tree: pygit2.Tree, prefix: str = "") -> dict[str, Entry]:
    """Every file of a tree by its path, in git's order."""
    found: dict[str, Entry] = {}
    for item in tree:
        name = prefix + (item.name or "")
        if isinstance(item, pygit2.Tree):
            found.update(flatten(git, item, name + "/"))
        else:
            found[name] = Entry(int(item.filemode), str(item.id))
    return found


def changes(patches: Sequence[pygit2.Patch]) -> tuple[FileChange, ...]:
    found = []
    for patch in patches:
        _context, added, removed = patch.line_stats
        old, new, kind = patch.delta.old_file, patch.delta.new_file, KINDS.get(patch.delta.status, "modified")
        found.append(
            FileChange(
                path=new.path or old.path,
                kind=kind,
                added=added,
                removed=removed,
                old=None if kind == "added" else str(old.id),
                new=None if kind == "deleted" else str(new.id),
            )
        )
    return tuple(found)


def text(patches: Iterable[pygit2.Patch | None]) -> bytes:
    """The unified diff as `git apply` reads it."""
    return b"".join(patch.data for patch in patches if patch)


def tree_diff(old: pygit2.Tree, new: pygit2.Tree, flags: DiffOption = DiffOption.NORMAL) -> pygit2.Diff:
    return old.diff_to_tree(new, DiffOption.INCLUDE_TYPECHANGE | flags)


def text_patches(old: pygit2.Tree, new: pygit2.Tree) -> list[pygit2.Patch]:
    """The difference file by file, with every line of what is new.

    Git takes a text with many control characters for binary and shows none of it; that must not hide a line.
    """
    plain = [patch for patch in tree_diff(old, new) if patch]
    if not any(patch.delta.is_binary and patch.delta.status != DeltaStatus.DELETED for patch in plain):
        return plain
    forced = [patch for patch in tree_diff(old, new, DiffOption.FORCE_TEXT) if patch]
    return [one if one.delta.status == DeltaStatus.DELETED else other for one, other in zip(plain, forced, strict=True)]


def write_files(git: pygit2.Repository, entries: dict[str, Entry], folder: Path) -> None:
    """Write files into a folder that does not hold them yet. Umask applies; no filter of git does."""
    made = {""}
    for path, entry in entries.items():
        parent = path.rpartition("/")[0]
        if parent not in made:
            os.makedirs(folder / parent, exist_ok=True)
            made.add(parent)
        data = git.odb.read(entry.oid)[1]
        target = f"{folder}/{path}"
        if entry.symlink:
            os.symlink(os.fsdecode(data), target)
            continue
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(target, flags, 0o777 if entry.executable else 0o666), "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]


def mode_of(status: os.stat_result) -> int:
    """Git's mode for a regular file on disk: only the owner's execute bit counts."""
    return FileMode.BLOB_EXECUTABLE if status.st_mode & stat.S_IXUSR else FileMode.BLOB
