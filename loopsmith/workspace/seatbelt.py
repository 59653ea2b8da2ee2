"""What macOS gives: `sandbox-exec` and a profile in the language of Seatbelt, of whose rules the last holds.

Nothing is taken on trust: a campaign on macOS tries the profile first, and says what it was not seen to hold.
"""

import os
import socket
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

DEVICES = ("/dev/null", "/dev/zero", "/dev/tty", "/dev/stdout", "/dev/stderr")
CONNECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2).close()"
SECONDS = 20.0  # for a trial


def profile(*, writable: Iterable[Path], hidden: Iterable[Path], seen: Iterable[Path], network: bool) -> str:
    """Rules that let a command read all but what is hidden, and write what is writable alone.

    Args:
        seen: what is read all the same inside of what is hidden; what is writable is, too.
    """
    own = tuple(dict.fromkeys(path.resolve() for path in writable))
    devices = " ".join(f"(literal {quoted(Path(name))})" for name in DEVICES)
    lines = ["(version 1)", "(allow default)", "(deny file-write*)", f"(allow file-write* {devices})"]
    ruled = [(path, "deny") for path in hidden] + [(path, "allow") for path in (*seen, *own)]
    for path, verb in sorted(ruled, key=lambda rule: len(rule[0].parts)):  # the deeper rule stands
        lines.append(f"({verb} file-read* (subpath {quoted(path)}))")
    lines += [f"(allow file-write* (subpath {quoted(path)}))" for path in own]
    lines += [] if network else ["(deny network*)"]
    return "\n".join(lines)


def quoted(path: Path) -> str:
    """A path as a string of the profile's language."""
    return '"' + os.fspath(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def cuts_off(argv: Sequence[str]) -> bool:
    """Whether a confined Python, started by `argv` and two arguments more, cannot reach a server on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        tried = [*argv, CONNECT, str(server.getsockname()[1])]
        done = subprocess.run(tried, capture_output=True, timeout=SECONDS)
        try:
            server.accept()[0].close()
        except TimeoutError:
            return done.returncode != 0
        return False
