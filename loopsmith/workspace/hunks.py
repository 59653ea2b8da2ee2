"""Hunks: a change between two commits in its smallest pieces, and the same change with some of them alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import pygit2
from pygit2.enums import DiffOption, FileMode

from loopsmith.workspace.repository import Repository
from loopsmith.workspace.trees import Entry, guarded

LONG = 10_000  # bytes, beyond which no lines are compared
ALIKE = 0.6  # of two lines, from which on one is taken for the other after an edit
PLAIN = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE)


@dataclass(frozen=True, slots=True)
class Hunk:
    """Successive lines of one file that are replaced, without any line around them; or a whole file.

    Lines that were edited each in its place are a piece each.

    Attributes:
        start: the first line that is replaced, from 0; lines are inserted before it where `removed` is 0.
        removed, added: lines of the old file and of the new one.
        text: the new lines, as they are.
        whole: the file comes, goes or changes its kind: all of it is one piece.
    """

    path: str
    start: int
    removed: int
    added: int
    text: bytes
    whole: bool = False

    @property
    def place(self) -> str:
        """`kernel.c:12-14`, by the lines of the old file, from 1."""
        if self.whole:
            return self.path
        last = self.start + max(1, self.removed)
        return f"{self.path}:{self.start + 1}" + (f"-{last}" if self.removed > 1 else "")

    @property
    def lines(self) -> str:
        return f"+{self.added} -{self.removed}"


def hunks(repo: Repository, old: str, new: str) -> tuple[Hunk, ...]:
    """The pieces that lead from one commit to another, by path and line."""
    before, after = repo.entries(old), repo.entries(new)
    found: list[Hunk] = []
    with guarded("making a diff"):
        flags = DiffOption.INCLUDE_TYPECHANGE | DiffOption.FORCE_TEXT
        diff = repo.tree(old).diff_to_tree(repo.tree(new), flags, context_lines=0, interhunk_lines=0)
        for patch in filter(None, diff):
            path = patch.delta.new_file.path or patch.delta.old_file.path
            one, other = before.get(path), after.get(path)
            if whole(one, other):
                _, added, removed = patch.line_stats
                text = repo.blob(other.oid) if other else b""
                found.append(Hunk(path, 0, removed, added, text, whole=True))
                continue
            assert other is not None
            lines = split(repo.blob(other.oid))
            for hunk in patch.hunks:
                start = hunk.old_start - (hunk.old_lines > 0)
                first = hunk.new_start - (hunk.new_lines > 0)
                fresh = lines[first : first + hunk.new_lines]
                gone = split(repo.read(old, path))[start : start + hunk.old_lines]
                if edited(gone, fresh):
                    found += [Hunk(path, start + place, 1, 1, text) for place, text in enumerate(fresh)]
                else:
                    found.append(Hunk(path, start, len(gone), len(fresh), b"".join(fresh)))
    return tuple(found)


def whole(one: Entry | None, other: Entry | None) -> bool:
    """Whether a file's change cannot be taken apart."""
    return one is None or other is None or one.mode != other.mode or one.mode not in PLAIN


def edited(gone: Sequence[bytes], fresh: Sequence[bytes]) -> bool:
    """Whether lines were edited each in its place, such as constants below one another: then each is a piece."""
    if len(gone) != len(fresh) or sum(map(len, (*gone, *fresh))) > LONG:
        return False
    pairs = zip(gone, fresh, strict=True)
    return all(SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE for one, other in pairs)


def split(data: bytes) -> list[bytes]:
    """The lines of a file as git counts them, each with its newline."""
    lines = data.split(b"\n")
    return [*(line + b"\n" for line in lines[:-1]), *([lines[-1]] if lines[-1] else [])]


def with_hunks(repo: Repository, old: str, new: str, chosen: Collection[Hunk]) -> str:
    """The id of a stored tree: the commit `old` with some of the pieces that lead to `new`."""
    after = repo.entries(new)
    by_path: dict[str, list[Hunk]] = {}
    for hunk in chosen:
        by_path.setdefault(hunk.path, []).append(hunk)
    with guarded("storing a part of a patch"):
        index = pygit2.Index()
        index.read_tree(repo.tree(old))
        for path, pieces in by_path.items():
            if pieces[0].whole:
                entry = after.get(path)
                if entry is None:
                    index.remove(path)
                else:
                    index.add(pygit2.IndexEntry(path, pygit2.Oid(hex=entry.oid), FileMode(entry.mode)))
                continue
            lines = split(repo.read(old, path))
            for hunk in sorted(pieces, key=lambda piece: piece.start, reverse=True):
                lines[hunk.start : hunk.start + hunk.removed] = [hunk.text]
            oid = repo.git.create_blob(b"".join(lines))
            index.add(pygit2.IndexEntry(path, oid, FileMode(after[path].mode)))
        return str(index.write_tree(repo.git))
