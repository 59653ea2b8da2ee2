"""Reads a folder that a candidate controlled: no link is followed, nothing is opened that is not a plain file."""

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from loopsmith.workspace.ignore import Ignore
from loopsmith.workspace.trees import Entry, mode_of

MAX_DEPTH = 64  # folders in folders
MAX_NAMES = 100_000  # in one folder, beyond those of the commit
MAX_STRANGE = 1_000  # files and folders that are new and not ignored
MAX_BYTES = 64_000_000  # of changed content
CHUNK = 1 << 20
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Scan:
    """How a folder differs from a commit."""

    written: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # path: git's mode, content
    deleted: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  # differ, and must not be taken; `problems` says why
    problems: list[str] = field(default_factory=list)
    stopped: bool = False  # the folder was too large to look at all of it; the last problem says how


class Stop(Exception):
    """The folder holds more than a change may; looking further is of no use."""


def scan(
    folder: Path,
    entries: Mapping[str, Entry],
    *,
    ignore: Ignore,
    links: Collection[str] = (),
    size_of: Callable[[str], int],
    max_file_size: int,
) -> Scan:
    """Compare a folder with the files of a commit, by content.

    Args:
        entries: the commit's files.
        ignore: its ignore rules; they hold for paths that are not in `entries`.
        links: paths where linked inputs stand; a symbolic link there is expected.
        size_of: the bytes of a stored blob by its id.
        max_file_size: bytes; a larger changed file is a problem and is not read.
    """
    scanner = _Scanner(entries, ignore, frozenset(links), size_of, max_file_size)
    try:
        fd = os.open(folder, FOLDER)
    except OSError as error:
        scanner.result.problems.append(f"the workspace cannot be read ({error.strerror})")
        scanner.result.stopped = True
        return scanner.result
    try:
        scanner.visit(fd, "", 0)
        scanner.result.deleted = [path for path in entries if path not in scanner.seen]
    except Stop as stop:
        scanner.result.problems.append(str(stop))
        scanner.result.stopped = True
    finally:
        os.close(fd)
    return scanner.result


class Refused(Exception):
    """Why one path cannot be part of a candidate."""


class _Scanner:
    def __init__(
        self,
        entries: Mapping[str, Entry],
        ignore: Ignore,
        links: frozenset[str],
        size_of: Callable[[str], int],
        max_file_size: int,
    ):
        self.entries, self.ignore, self.links = entries, ignore, links
        self.size_of, self.max_file_size = size_of, max_file_size
        self.folders = folders_of(entries)
        self.result = Scan()
        self.seen: set[str] = set()
        self.strange = self.bytes = 0

    def visit(self, fd: int, prefix: str, depth: int) -> None:
        """Look through one open folder, by name, so that the same folder always gives the same result."""
        with os.scandir(fd) as listing:
            names = [entry.name for entry in islice(listing, MAX_NAMES + len(self.entries))]
        if len(names) == MAX_NAMES + len(self.entries):
            raise Stop(f"{shown(prefix or './')} holds too many files")
        for name in sorted(names):
            if name == ".git" and not prefix:
                continue
            path = prefix + name
            try:
                self.look(fd, name, path, depth)
            except Refused as refused:
                self.refuse(path, str(refused))
            except OSError as error:
                self.refuse(path, f"cannot be read ({error.strerror})")

    def look(self, fd: int, name: str, path: str, depth: int) -> None:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        known = self.entries.get(path)
        if known is None and not (kind == stat.S_IFDIR and path in self.folders):
            if path in self.links and kind == stat.S_IFLNK:
                return
            if self.ignore.matches(path, folder=kind == stat.S_IFDIR):
                return
            self.count()
            if not name.isprintable():
                raise Refused("a name with unprintable characters or that is not UTF-8")
        if name.lower() == ".git":
            raise Refused("a nested git repository")
        if kind == stat.S_IFDIR:
            self.descend(fd, name, path, depth)
        elif kind == stat.S_IFLNK:
            self.link(fd, name, path, known)
        elif kind == stat.S_IFREG:
            self.file(fd, name, path, status, known)
        else:
            raise Refused("neither a file nor a folder (a pipe, socket or device)")

    def descend(self, fd: int, name: str, path: str, depth: int) -> None:
        if depth == MAX_DEPTH:
            raise Refused(f"more than {MAX_DEPTH} folders deep")
        below = os.open(name, FOLDER, dir_fd=fd)
        try:
            self.visit(below, path + "/", depth + 1)
        finally:
            os.close(below)

    def link(self, fd: int, name: str, path: str, known: Entry | None) -> None:
        target = os.fsencode(os.readlink(name, dir_fd=fd))
        if known is None or not known.symlink or blob_id(target) != known.oid:
            raise Refused("a symbolic link")
        self.seen.add(path)

    def file(self, fd: int, name: str, path: str, status: os.stat_result, known: Entry | None) -> None:
        if known is not None and known.symlink:
            raise Refused("a file where a symbolic link was")
        size, mode, data = status.st_size, mode_of(status), b""
        if size <= self.max_file_size:
            data = read(fd, name, size)
            same = known is not None and blob_id(data) == known.oid
        else:  # only a file as long as its original can be the original, and then it is hashed in pieces
            same = known is not None and self.size_of(known.oid) == size and hash_file(fd, name, size) == known.oid
            if not same:
                raise Refused(f"{size:,} bytes, over guardrails.max_file_size ({self.max_file_size:,})")
        if known is not None and known.mode != mode:
            raise Refused("a change of its mode (executable or not)")
        if same:
            self.seen.add(path)
        elif status.st_nlink > 1:
            raise Refused("a hard link")
        elif b"\0" in data:
            raise Refused("binary content")
        else:
            self.take(path, mode, data)

    def take(self, path: str, mode: int, data: bytes) -> None:
        self.seen.add(path)
        self.bytes += len(data)
        if self.bytes > MAX_BYTES:
            raise Stop(f"the changed files hold more than {MAX_BYTES:,} bytes")
        self.result.written[path] = (mode, data)

    def refuse(self, path: str, why: str) -> None:
        self.seen.add(path)
        self.result.unread.append(path)
        self.result.problems.append(f"{shown(path)}: {why}")

    def count(self) -> None:
        self.strange += 1
        if self.strange > MAX_STRANGE:
            raise Stop(f"more than {MAX_STRANGE:,} files and folders that the baseline does not hold")


def read(fd: int, name: str, size: int) -> bytes:
    with open(name, "rb", buffering=0, opener=partial(open_file, fd)) as file:
        data = file.read(size + 1)
    if len(data) != size:
        raise Refused("changed while it was read")
    return data


def hash_file(fd: int, name: str, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(name, "rb", buffering=0, opener=partial(open_file, fd)) as file:
        while size > 0 and (piece := file.read(min(CHUNK, size))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()


def open_file(folder: int, name: str, flags: int) -> int:
    """Open what was a plain file a moment ago: never through a link, never waiting for a pipe's other end."""
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refused("changed while it was read")
    return fd


def blob_id(data: bytes) -> str:
    """The id that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def folders_of(paths: Iterable[str]) -> set[str]:
    """Every folder on the way to some paths."""
    found: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return found


def shown(path: str) -> str:
    """A path for a message on one line."""
    return path if path.isprintable() else ascii(path)
