"""A source folder becomes one commit without parent: tracked plus unignored files as they are on disk."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from loopsmith.errors import WorkflowError
from loopsmith.workspace.ignore import compile_rules
from loopsmith.workspace.repository import Repository
from loopsmith.workspace.scan import folders_of
from loopsmith.workspace.source import read_origin
from loopsmith.workspace.trees import guarded, mode_of

MAX_FILES = 100_000  # beyond this, a fresh folder for each candidate takes seconds
NEVER = frozenset({".git", ".loopsmith"})


@dataclass(frozen=True, slots=True)
class Found:
    path: str  # relative, with slashes
    mode: int  # git's
    size: int


def snapshot(
    repo: Repository, source: Path, *, exclude: Sequence[str] = (), links: Sequence[str] = (), max_size: int
) -> str:
    """Store a source folder, which is only read.

    Args:
        exclude: gitignore-style patterns of what to leave out, tracked or not.
        links: paths given to workers as links instead (see `folder.resolve_links`); left out.
        max_size: bytes of all files together.

    Returns:
        the id of a commit that has no parent.

    Raises:
        WorkflowError: the source is missing, empty, too big, or holds what cannot be read; each problem in a line.
    """
    if not source.is_dir():
        raise WorkflowError(f"source folder {source} does not exist; set workspace.source")
    problems: list[str] = []
    found: list[Found] = []
    sizes: Counter[str] = Counter()
    for file in walk(source, repo.state, exclude, links, problems):
        found.append(file)
        sizes[top_of(file.path)] += file.size
        if len(found) > MAX_FILES:
            raise WorkflowError(too_big(source, f"more than {MAX_FILES:,} files", sizes))
    if sizes.total() > max_size:
        size = f"{megabytes(sizes.total())} in {len(found):,} files, over workspace.max_size ({megabytes(max_size)})"
        raise WorkflowError(too_big(source, size, sizes))
    if not found and not problems:
        raise WorkflowError(f"source folder {source} holds no file (ignored and excluded ones do not count)")
    index = pygit2.Index()
    for file in found:
        try:
            data = content(source, file)
        except FileNotFoundError:
            continue  # a file that came and went
        except OSError as error:
            problems.append(unreadable(file.path, error))
            continue
        with guarded(f"storing {file.path}"):
            index.add(pygit2.IndexEntry(file.path, repo.git.create_blob(data), FileMode(file.mode)))
    if problems:
        raise WorkflowError(*problems)
    with guarded("storing the snapshot"):
        tree = str(index.write_tree(repo.git))
    return repo.commit(tree, [], f"snapshot of {source.name or 'source'}\n")


def source_files(
    source: Path, *, exclude: Sequence[str] = (), links: Sequence[str] = (), state: Path | None = None
) -> tuple[str, ...]:
    """The paths that a snapshot would hold. A folder that cannot be listed is passed over."""
    return tuple(file.path for file in walk(source, state, exclude, links, []))


def walk(
    source: Path, state: Path | None, exclude: Sequence[str], links: Sequence[str], problems: list[str]
) -> Iterator[Found]:
    """Every file to keep, folder by folder in name order. What cannot be listed goes to `problems`."""
    origin = read_origin(source)
    left_out = compile_rules(exclude)
    linked = {os.path.normpath(link) for link in links}
    with_tracked = folders_of(origin.tracked)
    todo = [("", False)]
    while todo:
        folder, ignored = todo.pop()
        try:
            with os.scandir(source / folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            problems.append(unreadable(folder or str(source), error))
            continue
        below = []
        if not ignored and any(entry.name == ".gitignore" and entry.is_file() for entry in entries):
            with suppress(PermissionError):  # reported with the other files
                origin.ignore.add(folder, (source / folder / ".gitignore").read_bytes())
        for entry in entries:
            path = folder + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name.lower() in NEVER or path in linked or left_out.match_file(path + "/" * is_folder):
                continue
            hidden = ignored or origin.ignore.matches(path, folder=is_folder)
            if is_folder:
                is_state = state is not None and entry.name == state.name and Path(entry.path).resolve() == state
                if not is_state and (not hidden or path in with_tracked):
                    below.append((path + "/", hidden))
            elif not hidden or path in origin.tracked:
                status = entry.stat(follow_symlinks=False)
                if not path.isprintable():
                    problems.append(f"{path!a}: an unprintable name; rename it or list it under workspace.exclude")
                elif stat.S_ISREG(status.st_mode):
                    yield Found(path, mode_of(status), status.st_size)
                elif stat.S_ISLNK(status.st_mode):
                    yield Found(path, FileMode.LINK, status.st_size)
        todo.extend(reversed(below))


def content(source: Path, file: Found) -> bytes:
    if file.mode == FileMode.LINK:
        return os.fsencode(os.readlink(source / file.path))
    # A file replaced since it was listed by a pipe must not block, nor one by a link lead elsewhere.
    fd = os.open(source / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as opened:
        return opened.read()


def top_of(path: str) -> str:
    first, slash, _ = path.partition("/")
    return first + slash


def megabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def too_big(source: Path, what: str, sizes: Counter[str]) -> str:
    largest = ", ".join(f"{name} {megabytes(size)}" for name, size in sizes.most_common(3))
    return (
        f"source folder {source} is too big: {what}; largest: {largest}. "
        "Leave parts out with workspace.exclude, give inputs with workspace.link, or raise workspace.max_size"
    )


def unreadable(path: str, error: OSError) -> str:
    return f"{path}: cannot be read ({error.strerror}); make it readable or list it under workspace.exclude"
