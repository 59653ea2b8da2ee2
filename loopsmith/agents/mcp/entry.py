"""How an agent starts `loopsmith mcp`: the command, its arguments and its environment, and the way to the socket."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAME = "loopsmith"  # of the server, as agents show it beside the tools' names
TOKEN = "LOOPSMITH_MCP_TOKEN"
LONGEST = 100  # bytes of a socket's path; the system takes 103 (macOS) or 107 (Linux)


@dataclass(frozen=True, slots=True)
class Entry:
    """A server as every agent's configuration wants it, each in its own spelling."""

    name: str
    command: str
    args: tuple[str, ...]
    env: dict[str, str]


def server_entry(socket: Path, token: str) -> Entry:
    """The entry for one worker. It works wherever the worker's shell works, its sandbox included.

    Args:
        socket, token: of its `ToolHost`.
    """
    # -P: the agent's folder holds a candidate's files, and none of them may stand in for a module.
    args = ("-P", "-m", "loopsmith", "mcp", "--socket", str(socket))
    return Entry(NAME, sys.executable, args, {TOKEN: token, "PYTHONDONTWRITEBYTECODE": "1"})


@contextmanager
def short(path: Path) -> Iterator[str]:
    """A name for a socket's path that the system takes: through a link where the path is too long."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="loopsmith-") as folder:
        link = Path(folder, "s")
        link.symlink_to(path.parent)
        yield str(link / path.name)
