"""Feedback: what a verifier says of a candidate beside its metrics, in lines that begin with `FEEDBACK`."""

import mmap
import re
from pathlib import Path

from loopsmith.process.output import plain

LIMIT = 4000  # characters of one run
_LINE = re.compile(rb"^FEEDBACK(?:[ \t]+|:[ \t]*|(?=\r?$))([^\n]{0,4000})", re.MULTILINE)


def read_feedback(log: Path) -> str:
    """The text of these lines, in their order, of at most `LIMIT` characters; empty when there is none.

    Args:
        log: as `process.run` leaves it, so that secrets are masked.
    """
    lines: list[str] = []
    with log.open("rb") as file:
        if not file.seek(0, 2):
            return ""
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            room = LIMIT
            for match in _LINE.finditer(content):
                if room <= 0:
                    lines.append("[more of it is left out]")
                    break
                line = plain(match[1].decode("utf-8", "replace"))[:room]
                lines.append(line)
                room -= len(line) + 1
    return "\n".join(lines).strip("\n")
