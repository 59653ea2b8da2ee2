"""The files that a worker's tools may touch: found, read, and changed by exact replacement.

Every path comes from a model: it is resolved, links included, before anything is opened.
"""

import difflib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loopsmith.agents.output import lines_of, numbered, printable

MAX_READ = 2_000_000  # bytes; a larger file is for grep and sed
_NUMBERED = re.compile(r"\s*\d+\t")


class Refused(Exception):
    """The tool does not do it; the message is for the model."""


@dataclass(frozen=True)
class Files:
    """The workspace's files.

    Args:
        root: what may be changed.
        readable: further folders that may be viewed, such as the one of whole outputs.
        editable: tells of a path relative to `root` whether the candidate may change it.
        rule: the editable globs in words.
    """

    root: Path
    readable: tuple[Path, ...]
    editable: Callable[[str], bool]
    rule: str

    def readable_path(self, name: str) -> Path:
        """The place of an existing file or folder.

        Raises:
            Refused: there is none, or it lies outside.
        """
        path = self._resolve(name, (self.root, *self.readable))
        if not path.exists():
            raise Refused(f"there is no `{name}`{self._near(name)}")
        return path

    def editable_path(self, name: str) -> Path:
        """The place of a file that may be changed or made.

        Raises:
            Refused: it lies outside, or is not editable.
        """
        path = self._resolve(name, (self.root,))
        relative = path.relative_to(self.root.resolve()).as_posix()
        if not self.editable(relative):
            raise Refused(
                f"`{relative}` is not editable, and a change of it would reject your candidate. Editable: {self.rule}. "
                "For experiments, write below /tmp with bash."
            )
        return path

    def read(self, path: Path, name: str) -> str:
        """A text file, byte for byte: what is not UTF-8 survives a later `write`.

        Raises:
            Refused: no regular file, too large, or binary.
        """
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"`{name}` is not a file")
        if found.st_size > MAX_READ:
            raise Refused(f"`{name}` has {found.st_size:,} bytes; look into it with bash: grep -n, head, sed -n")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Refused(f"`{name}` cannot be read: {error.strerror}") from None
        if b"\0" in data[:8192]:
            raise Refused(f"`{name}` is binary, {len(data):,} bytes")
        return data.decode(errors="surrogateescape")

    def write(self, path: Path, text: str) -> None:
        """Write a file and the folders above it.

        Raises:
            Refused: the place is taken by something that is not a file.
        """
        if path.exists() and not path.is_file():
            raise Refused(f"`{path.name}` exists and is not a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode(errors="surrogateescape"))
        except OSError as error:
            raise Refused(f"`{path.name}` cannot be written: {error.strerror}") from None

    def _resolve(self, name: str, roots: tuple[Path, ...]) -> Path:
        try:
            path = (self.root / name).resolve()
            path.exists()  # raises where the name is too long, or a folder above it cannot be looked into
        except (OSError, ValueError, RuntimeError) as error:
            raise Refused(f"`{name[:200]}` is not a path: {getattr(error, 'strerror', None) or error}") from None
        if any(path.is_relative_to(root.resolve()) for root in roots):
            return path
        raise Refused(
            f"`{name}` leads out of your folder; name files relative to it (linked inputs can be read with bash)"
        )

    def _near(self, name: str) -> str:
        names = [os.path.relpath(entry.path, self.root) for entry in walk(self.root)]
        same = [found for found in names if Path(found).name == Path(name).name]
        close = (same or difflib.get_close_matches(name, names, n=3, cutoff=0.5))[:3]
        return f"; did you mean {', '.join(f'`{found}`' for found in close)}?" if close else ""


def walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All that is below a folder, without git's own and without following links.

    A worker can make folders that nobody can list, or too many in one another: these are passed over.
    """
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as listing:
                entries = [entry for entry in listing if entry.name != ".git"]
        except OSError:
            continue
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)


def replace_once(text: str, old: str, new: str) -> tuple[str, int]:
    """Replace the one place where `old` stands.

    Returns:
        the new text, and the line, from 1, where the change begins.

    Raises:
        Refused: `old` is not there, or more than once; with the lines that come nearest.
    """
    if "\r\n" in text and "\r" not in old:  # the view shows no carriage returns
        old, new = old.replace("\n", "\r\n"), new.replace("\r\n", "\n").replace("\n", "\r\n")
    if not old:
        raise Refused("`old` is empty; give the text to replace, or use write for a whole file")
    if old == new:
        raise Refused("`old` and `new` are the same; nothing would change")
    starts = [match.start() for match in re.finditer(f"(?={re.escape(old)})", text)]  # overlaps count
    if not starts:
        raise Refused(printable(_why_not(text, old)))
    if len(starts) > 1:
        lines = ", ".join(str(text.count("\n", 0, start) + 1) for start in starts[:10])
        raise Refused(f"`old` stands {len(starts)} times, at lines {lines}; add lines around it until it is unique")
    return text.replace(old, new, 1), text.count("\n", 0, starts[0]) + 1


def _why_not(text: str, old: str) -> str:
    """Why `old` is not in `text`, with the place that was probably meant."""
    have, want = lines_of(text), lines_of(old)
    if want and all(_NUMBERED.match(line) for line in want if line.strip()):
        return "`old` is not in the file: it begins its lines with the numbers that view shows; leave them out"
    bare_have, bare_want = [_bare(line) for line in have], [_bare(line) for line in want]
    for start in range(len(have) - len(want) + 1):
        if bare_want and any(bare_want) and bare_have[start : start + len(want)] == bare_want:
            shown = numbered(have, start + 1, start + len(want))
            return f"`old` is not in the file, but differs only in white space from these lines:\n{shown}"
    anchor = max(range(len(want)), key=lambda index: len(bare_want[index]), default=0)
    near = difflib.get_close_matches(bare_want[anchor], bare_have, n=1, cutoff=0.5) if bare_want else []
    if not near:
        return "`old` is not in the file, nor anything like it; view the file again"
    first = max(0, bare_have.index(near[0]) - anchor)
    last = min(len(have), first + len(want))
    odd = next((i for i in range(last - first) if have[first + i] != want[i]), None)
    shown = numbered(have, max(1, first - 1), last + 2)
    if odd is None:
        return f"`old` is not in the file; the nearest lines are:\n{shown}"
    return (
        f"`old` is not in the file. It first differs from the nearest lines at line {first + odd + 1}: "
        f"you wrote `{want[odd][:200]}`. The file has:\n{shown}"
    )


def _bare(line: str) -> str:
    return " ".join(line.split())
