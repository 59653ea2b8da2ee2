"""What a tool shows a model: numbered lines, and long output cut to its head and tail."""

import re
from collections.abc import Sequence
from pathlib import Path

SHOWN = 10_000  # characters of one output; about 3,000 tokens, which every later call of the worker pays again
HEAD_SHARE = 0.4  # errors and results are at the end
LINE = 500  # characters of one line
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def head_and_tail(path: Path, shown: int = SHOWN) -> str:
    """A file's text; where it is long, its first and last lines with a note between that says where the whole is.

    Only what is shown is read. Bytes that are not UTF-8 are replaced, terminal escapes left out.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= shown:
            return clean(file.read())
        head = file.read(int(shown * HEAD_SHARE))
        file.seek(size - (shown - len(head)))
        tail = file.read()
    # Whole lines where there are any: half a line misleads.
    head = head[: head.rfind(b"\n") + 1] or head
    tail = tail[tail.find(b"\n") + 1 :] if b"\n" in tail[:-1] else tail
    left_out = size - len(head) - len(tail)
    note = f"[... {left_out:,} bytes left out; the whole output is in {path}: search it with grep ...]"
    return f"{clean(head)}\n{note}\n{clean(tail)}"


def clean(data: bytes) -> str:
    """Text without terminal escapes and control characters, each line at most `LINE` characters."""
    text = _ESCAPES.sub("", data.decode(errors="replace").replace("\r\n", "\n"))
    # A progress bar rewrites its line; only what it showed last counts.
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return "\n".join(shorten(line) for line in lines)


def shorten(line: str) -> str:
    return line if len(line) <= LINE else f"{line[:LINE]}[... {len(line) - LINE:,} more characters]"


def lines_of(text: str) -> list[str]:
    """The lines as `wc -l` and compilers count them; `splitlines` also splits at form feeds and the like."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def numbered(lines: Sequence[str], first: int, last: int) -> str:
    """Lines `first` to `last`, counted from 1, each behind its number and a tab."""
    shown = lines[first - 1 : last]
    return "\n".join(f"{number:>5}\t{shorten(line)}" for number, line in enumerate(shown, first))


def fitting(lines: Sequence[str], first: int, last: int, shown: int) -> tuple[str, int]:
    """As `numbered`, but at most about `shown` characters.

    Returns:
        the text, and the last line in it.
    """
    size = 0
    for number in range(first, min(last, len(lines)) + 1):
        size += min(len(lines[number - 1]), LINE) + 7
        if size > shown and number > first:
            return numbered(lines, first, number - 1), number - 1
    return numbered(lines, first, last), min(last, len(lines))


def printable(text: str) -> str:
    """Without the surrogates that stand for bytes which are not UTF-8: no wire carries them."""
    return text.encode(errors="replace").decode()
