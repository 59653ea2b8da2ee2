"""What a command prints: streamed to a file of bounded size, and its end shown to people."""

import os
import re
from pathlib import Path
from types import TracebackType

from loopsmith.errors import HarnessError
from loopsmith.log import mask_bytes

MAX_LINE = 65_536  # bytes; where a log is cut, no line shorter than this is kept in part
TAIL = 1_048_576  # bytes of the end that are held in memory once the log is over its limit
LONGEST = 4096  # bytes; no secret is longer
GAP = 100  # bytes set aside for the line that says how much was left out

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def tail(path: Path, limit: int = 4000) -> str:
    """The last `limit` bytes of a log as text for people: decoded with replacement, no escape or control characters.

    Empty when there is no such file.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            text = file.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return plain(text)


def plain(text: str) -> str:
    """Text without escape and control characters, its lines ended by a newline."""
    text = _ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text).strip("\n")


class CappedLog:
    """A file of at most `limit` bytes: the head goes to disk at once, the tail is held until the log is closed.

    Secrets are masked on the way to disk, byte for byte.

    Args:
        limit: bytes, at least 1000.

    Raises:
        HarnessError: the file cannot be written; also at the end of the block, when it could not be before.
    """

    def __init__(self, path: Path, limit: int):
        self.size = 0  # bytes written to it, kept or not
        self.failure: HarnessError | None = None
        self._path = path
        self._limit = max(limit, 1000)
        self._tail_room = min(self._limit // 2, TAIL)
        self._head_room = self._limit - self._tail_room
        self._tail = bytearray()
        self._word = bytearray()  # of the head, what may be the start of a secret
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._error(error) from error

    def __enter__(self) -> "CappedLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        try:
            if not self.failure:
                if self.size > self._limit:
                    self._append(mask_bytes(bytes(self._word)))
                    self._leave_out_the_middle()
                else:
                    self._tail[:0] = self._word
                self._append(mask_bytes(bytes(self._tail)))
        finally:
            os.close(self._file)
        if self.failure and kind is None:
            raise self.failure

    def write(self, data: bytes) -> None:
        """Never raises: see `failure`."""
        room = max(0, self._head_room - self.size)
        self.size += len(data)
        if room:
            self._word += data[:room]
            masked = mask_bytes(bytes(self._word))
            cut = max(self._word.rfind(b"\n") + 1, len(masked) - LONGEST)
            while cut < len(masked) and masked[cut] != self._word[cut]:  # a secret stands across it
                cut += 1
            self._append(masked[:cut])
            del self._word[:cut]
        if len(data) > room:
            self._tail += data[room:]
            if len(self._tail) > 2 * self._tail_room:
                del self._tail[: -self._tail_room]

    def _leave_out_the_middle(self) -> None:
        """Cut at the ends of lines: the first half of `METRIC x=1.25` must not read as another value.

        A line of `MAX_LINE` and more may be cut; whoever reads values takes none from a line so long.
        """
        head = self._head_room
        near = os.pread(self._file, MAX_LINE, max(0, head - MAX_LINE))
        whole = near.rfind(b"\n") + 1
        if whole or len(near) < MAX_LINE:
            head -= len(near) - whole
        end = self._tail[-(self._tail_room - GAP) :]
        partial = end.find(b"\n", 0, MAX_LINE) + 1
        if not partial and len(end) < MAX_LINE:
            partial = len(end)
        self._tail = end[partial:]
        note = b"[loopsmith: %d bytes left out here]\n" % (self.size - head - len(self._tail))
        os.ftruncate(self._file, head)
        os.lseek(self._file, head, os.SEEK_SET)
        self._append(note if whole or not head else b"\n" + note)

    def _append(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self.failure = self._error(error)

    def _error(self, error: OSError) -> HarnessError:
        return HarnessError(f"cannot write {self._path}: {error.strerror}; mend that and run again")
