"""What a candidate's commands may touch: one writable folder, everything else read-only or out of sight.

Made with bubblewrap (https://github.com/containers/bubblewrap) from Linux namespaces, one per command.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopsmith.errors import HarnessError
from loopsmith.workspace.source import hidden_paths

# Shared with other programs of this machine, their sockets too: a command gets empty ones of its own.
PRIVATE = tuple(Path(path) for path in ("/tmp", "/var/tmp", "/run"))
NEEDED = ("/run/current-system", "/run/opengl-driver", "/run/systemd/resolve", "/run/resolvconf")
DEVICES = ("nvidia*", "dri", "kfd")  # accelerators
UNPROTECTED = (
    "commands can write outside their folder, linked inputs included",
    "commands can read loopsmith's state and the history of the source",
    "commands can use the network",
    "commands can see and signal other processes",
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How commands are confined here.

    `missing` says in words what is not protected, and `reason` why; both are empty where `available`.
    """

    program: str | None = None  # bwrap
    missing: tuple[str, ...] = UNPROTECTED
    reason: str = ""
    hide: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def available(self) -> bool:
        return self.program is not None

    @classmethod
    def detect(
        cls, mode: str, *, state: Path | None = None, source: Path | None = None, links: Sequence[str] = ()
    ) -> "Sandbox":
        """Find out, by making one, whether a sandbox can be made here.

        Args:
            mode: `auto` (none where it cannot be made), `required` or `off`.
            state: loopsmith's folder, hidden from every command, apart from the command's own folder in it.
            source: the source folder; its git history is hidden too, the rest can be read.
            links: linked inputs, relative to the source; they can be read wherever they lead.

        Raises:
            HarnessError: it is required and cannot be made.
        """
        if mode == "off":
            return cls(reason="sandbox: off")
        program = shutil.which("bwrap")
        inputs = tuple((source / link).resolve() for link in links) if source else ()
        found = cls(
            program=program or "bwrap",
            missing=(),
            hide=hidden_paths(state, source),
            read_only=((source.resolve(),) if source else ()) + inputs + tuple(readable()),
            devices=tuple(str(path) for name in DEVICES for path in Path("/dev").glob(name)),
        )
        reason = "bubblewrap (bwrap) is not installed" if program is None else found.fault()
        if not reason:
            return found
        if mode == "required":
            raise HarnessError(
                f"sandbox: required, but {reason}; install it (apt install bubblewrap, dnf install bubblewrap) where "
                "user namespaces are allowed, or set `sandbox: auto`"
            )
        return cls(reason=reason)

    def fault(self) -> str:
        """Why a command cannot be run inside; empty when it can."""
        with tempfile.TemporaryDirectory() as folder:
            argv = self.wrap(["/bin/sh", "-c", ": > made"], folder=Path(folder), network=False)
            try:
                tried = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=20)
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"bubblewrap (bwrap) does not run here: {error}"
            if tried.returncode == 0 and Path(folder, "made").exists():
                return ""
        said = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
        return f"bubblewrap (bwrap) cannot make a sandbox here: {said[-1]}"

    def wrap(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        writable: Iterable[Path] = (),
        read_only: Iterable[Path] = (),
        hide: Iterable[Path] = (),
        tmp: Path | None = None,
        network: bool,
    ) -> list[str]:
        """The command line that runs `argv` inside, in `folder`; `argv` itself where there is no sandbox.

        A command that a signal ends inside is seen outside to exit with 128 and the signal's number, as from a shell.

        Args:
            folder: where it runs; writable.
            writable: further folders that it may write.
            read_only: paths to see although they lie in a hidden folder or under /tmp.
            hide: paths to hide, beside those that the sandbox always hides.
            tmp: a folder to use as /tmp, for several commands to share; by default each has an empty one.
            network: whether it shares our network, rather than having none.
        """
        if self.program is None:
            return list(argv)
        mounts: dict[Path, tuple[str, ...]] = {path: ("--tmpfs", str(path)) for path in PRIVATE if path.is_dir()}
        for path in (*self.hide, *(path.resolve() for path in hide)):
            if path.is_dir():
                mounts[path] = ("--tmpfs", str(path))
            elif path.exists():
                mounts[path] = ("--ro-bind", os.devnull, str(path))
        for path in (*self.read_only, *(path.resolve() for path in read_only)):
            if any(above in mounts for above in path.parents) and path not in mounts and path.exists():
                mounts[path] = ("--ro-bind", str(path), str(path))
        if tmp is not None:
            mounts[PRIVATE[0]] = ("--bind", str(tmp), str(PRIVATE[0]))
        for path in (*writable, folder):
            mounts[path.resolve()] = ("--bind", str(path), str(path.resolve()))
        # Parents first, so that the deeper rule stands: the folder is seen inside the state that is hidden.
        ordered = sorted(mounts.items(), key=lambda item: len(item[0].parts))
        return [
            *(self.program, "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
            *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *(() if network else ("--unshare-net",)),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
            *(word for device in self.devices for word in ("--dev-bind", device, device)),
            *(word for _path, words in ordered for word in words),
            *("--setenv", "TMPDIR", str(PRIVATE[0]), "--chdir", str(folder.resolve()), "--"),
            *argv,
        ]


def readable() -> Iterable[Path]:
    """What programs need from private places: the interpreter and tools of a person who works under /tmp."""
    yield from (Path(path) for path in (sys.prefix, sys.base_prefix, *NEEDED))
    for entry in map(Path, filter(None, os.environ.get("PATH", "").split(os.pathsep))):
        if entry.is_absolute() and entry not in PRIVATE:
            above = entry.parent  # an environment's programs need its libraries
            yield above if entry.name == "bin" and above not in PRIVATE and above != Path("/") else entry
