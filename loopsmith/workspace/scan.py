"""Reads a folder that a candidate controlled: no link is followed, nothing is opened that is not a plain file."""

import hashlib
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pygit2.enums import FileMode

from loopsmith.workspace.ignore import Ignore
from loopsmith.workspace.trees import Entry, mode_of

MAX_DEPTH = 64  # folders in folders
MAX_STRANGE = 1_000  # files that the parent does not hold or holds otherwise, before the change is refused as a whole
MAX_BYTES = 64_000_000  # of changed content, likewise
CHUNK = 1 << 20


@dataclass(slots=True)
class Scan:
    """How a folder differs from a commit.

    `written` holds new or changed plain files by path with their git mode and content; `deleted` the paths that are
    gone; `seen_only` paths that differ but were not read; `problems` lists why the change cannot be taken as it is.
    """

    written: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Stop(Exception):
    """The folder holds more than a change may; looking further is of no use."""


def scan(
    folder: str | os.PathLike[str],
    entries: Mapping[str, Entry],
    *,
    ignore: Ignore,
    links: Collection[str] = (),
    max_file_size: int,
) -> Scan:
    """Compare a folder with the files of a commit, by content.

    Args:
        entries: the commit's files.
        ignore: its ignore rules; they hold for paths that are not in `entries`.
        links: paths where linked inputs stand; a symbolic link there is expected.
        max_file_size: bytes; a larger changed file is a problem and is not read.
    """
    scanner = _Scanner(entries, ignore, frozenset(links), max_file_size)
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        scanner.result.problems.append(f"the workspace cannot be read ({error.strerror}); was it moved?")
        return scanner.result
    try:
        scanner.visit(fd, "", 0)
        scanner.finish()
    except Stop as stop:
        scanner.result.problems.append(str(stop))
    finally:
        os.close(fd)
    return scanner.result


class _Scanner:
    def __init__(self, entries: Mapping[str, Entry], ignore: Ignore, links: frozenset[str], max_file_size: int):
        self.entries, self.ignore, self.links, self.max_file_size = entries, ignore, links, max_file_size
        self.folders = {path[:cut] for path in entries for cut, char in enumerate(path) if char == "/"}
        self.found: set[str] = set()  # paths of `entries` that are still there, in whatever shape
        self.result = Scan()
        self.strange = self.bytes = 0

    def visit(self, fd: int, prefix: str, depth: int) -> None:
        """Look through one open folder. Sorted, so that the same folder always gives the same list of problems."""
        with os.scandir(fd) as listing:
            # Not all of a huge folder is held: names beyond the bound only tell that there are too many.
            names = []
            for entry in listing:
                names.append(entry.name)
                if len(names) > len(self.entries) + 100 * MAX_STRANGE:
                    raise Stop(f"{shown(prefix or '.')}: too many files in one folder")
        for name in sorted(names):
            if name == ".git" and not prefix:
                continue
            path = prefix + name
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                self.look(fd, name, path, status, depth)
            except OSError as error:
                self.differs(path, f"cannot be read ({error.strerror})")

    def look(self, fd: int, name: str, path: str, status: os.stat_result, depth: int) -> None:
        known = self.entries.get(path)
        is_folder = stat.S_ISDIR(status.st_mode)
        if known is None and not (is_folder and path in self.folders):
            if path in self.links and stat.S_ISLNK(status.st_mode):
                return
            if self.ignore.matches(path, folder=is_folder):
                return
            if not is_safe(path):
                self.differs(path, "a name with control characters, or not UTF-8")
                return
        if name.lower() == ".git":
            self.differs(path, "a nested git repository")
        elif is_folder:
            self.descend(fd, name, path, depth)
        elif stat.S_ISLNK(status.st_mode):
            self.link(fd, name, path, known)
        elif stat.S_ISREG(status.st_mode):
            self.file(fd, name, path, status, known)
        else:
            self.differs(path, "neither a file nor a folder (a pipe, socket or device)")

    def descend(self, fd: int, name: str, path: str, depth: int) -> None:
        if depth == MAX_DEPTH:
            self.differs(path, f"more than {MAX_DEPTH} folders deep")
            return
        self.count(path)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        try:
            self.visit(below, path + "/", depth + 1)
        finally:
            os.close(below)

    def link(self, fd: int, name: str, path: str, known: Entry | None) -> None:
        target = os.fsencode(os.readlink(name, dir_fd=fd))
        if known is not None and known.symlink and blob_id(target) == known.oid:
            self.found.add(path)
        else:
            self.differs(path, "a symbolic link")

    def file(self, fd: int, name: str, path: str, status: os.stat_result, known: Entry | None) -> None:
        if known is not None and known.symlink:
            self.differs(path, "a file where a symbolic link was")
            return
        mode = mode_of(status)
        data: bytes | None = None
        # An unchanged file may be of any size: it is hashed in pieces, and only where its size can be right.
        if status.st_size <= self.max_file_size:
            data = read(fd, name, status.st_size)
            same = known is not None and blob_id(data) == known.oid
        else:
            same = known is not None and self.same_large(fd, name, path, status.st_size, known)
        if same and known is not None and known.mode == mode:
            self.found.add(path)
        elif same:
            self.differs(path, "a change of mode")
        elif data is None:
            self.differs(path, f"{status.st_size:,} bytes, over guardrails.max_file_size ({self.max_file_size:,})")
        elif status.st_nlink > 1:
            self.differs(path, "a hard link")
        else:
            self.take(path, mode, data, known)
