"""What a candidate's commands may touch: one writable folder, everything else read-only or out of sight.

Made with bubblewrap (https://github.com/containers/bubblewrap) from Linux namespaces, one per command. Where it cannot
be made, `confine` does what it can with Landlock; the rest is said in `Sandbox.missing`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loopsmith import process
from loopsmith.errors import HarnessError
from loopsmith.process import Limits
from loopsmith.workspace import confine, seatbelt
from loopsmith.workspace.source import hidden_paths
from loopsmith.workspace.visible import PRIVATE, homes, packages, programs

ACCELERATORS = ("nvidia*", "dri", "kfd", "dxg")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue")
TEMPORARY = str(PRIVATE[0])
UNPROTECTED = (
    "commands can write outside their folder, linked inputs included",
    "protected files can be changed while the verifier runs; a change is found afterwards, unless it was undone",
    "commands can read loopsmith's state, the history of the source and the home folder",
    "commands can use the network",
    "commands can see and signal other processes",
)
SEATBELT_MISSING = (UNPROTECTED[1], UNPROTECTED[4], "commands can read the temporary files of other programs")


@dataclass(frozen=True, slots=True)
class Landlock:
    """What `confine` can do here."""

    version: int
    network: bool  # it can take the network away

    @property
    def missing(self) -> tuple[str, ...]:
        signal = "" if self.version >= 6 else " and signal"
        network = "commands can use the network" + (", but for TCP" if self.version >= 4 else "")
        seen = f"commands can see{signal} other processes, and share /dev/shm with them"
        return (UNPROTECTED[1], seen, *(() if self.network else (network,)))


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How commands are confined here.

    `missing` says in words what is not protected, and `reason` why there is no bubblewrap. `limits` hold with a
    sandbox and without.
    """

    program: str | None = None  # bwrap
    missing: tuple[str, ...] = UNPROTECTED
    reason: str = ""
    hide: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()
    devices: tuple[str, ...] = ()
    limits: Limits | None = None
    landlock: Landlock | None = None  # in place of bwrap
    seatbelt: str | None = None  # sandbox-exec, in place of both

    @property
    def available(self) -> bool:
        """Whether it is bubblewrap's, so that everything is protected but for what `missing` says of limits."""
        return self.program is not None

    @property
    def kind(self) -> str:
        held = {"bubblewrap": self.program, "landlock": self.landlock, "seatbelt": self.seatbelt}
        return next((name for name, there in held.items() if there), "none")

    @property
    def shares_tmp(self) -> bool:
        """Whether it cannot give a command a /tmp of its own, and is to be given a folder for temporary files."""
        return self.landlock is not None or self.seatbelt is not None

    @classmethod
    def detect(
        cls,
        mode: str,
        *,
        state: Path | None = None,
        source: Path | None = None,
        links: Sequence[str] = (),
        read: Sequence[Path] = (),
        gpu: bool = False,
        limits: Limits | None = None,
    ) -> "Sandbox":
        """Find out, by making one, whether a sandbox can be made here.

        Args:
            mode: `auto` (what can be made), `required` (bubblewrap) or `off`.
            state: loopsmith's folder, hidden from every command, apart from the command's own folder in it.
            source: the source folder, hidden too with its history, apart from programs in it: commands have a copy.
            links: linked inputs, relative to the source; they can be read wherever they lead.
            read: further paths that can be read, though in a home folder.
            gpu: whether commands see the accelerators.
            limits: of each command.

        Raises:
            HarnessError: it is required and cannot be made.
        """
        if mode == "off":
            return cls(reason="sandbox: off", limits=limits)
        own = (source.resolve(),) if source else ()
        private = (*PRIVATE, *homes(), *own)
        inputs = tuple((source / link).resolve() for link in links) if source else ()
        kept = (
            inputs + tuple(path.resolve() for path in read) + tuple(place for path in own for place in packages(path))
        )
        confined = cls(
            hide=(*homes(), *own, *hidden_paths(state, source)),
            read_only=(*kept, *programs(private)),
            devices=tuple(str(path) for name in ACCELERATORS for path in Path("/dev").glob(name)) if gpu else (),
            limits=limits,
        )
        program = shutil.which("bwrap")
        shown = (*(str(path) for path in private if path.is_dir()), "/dev/shm")
        found = replace(
            confined,
            program=program or "bwrap",
            missing=(),
            limits=replace(limits, tmpfs=shown) if limits else None,
        )
        reason = "bubblewrap (bwrap) is not installed" if program is None else found.fault()
        if not reason:
            return replace(found, missing=unheld(limits, own_users=True))
        if mode == "required":
            raise HarnessError(
                f"sandbox: required, but {reason}; install it (apt install bubblewrap, dnf install bubblewrap) where "
                "user namespaces are allowed, or set `sandbox: auto`"
            )
        landlock = detect_landlock()
        if landlock is not None:
            missing = (*landlock.missing, *unheld(limits, own_users=False))
            second = replace(confined, landlock=landlock, missing=missing, reason=reason)
            if not second.fault():
                return second
        if (program := shutil.which("sandbox-exec")) is not None:
            third = replace(confined, seatbelt=program, reason=reason, missing=SEATBELT_MISSING)
            if not third.fault():
                held = third.cuts_off()
                missing = (*third.missing, *(() if held else (UNPROTECTED[3],)), *unheld(limits, own_users=False))
                return replace(third, missing=missing)
        return cls(reason=reason, limits=limits, missing=(*UNPROTECTED, *unheld(limits, own_users=False)))

    def fault(self) -> str:
        """Why a command cannot be run inside; empty when it can, and cannot write elsewhere."""
        name = {"landlock": "Landlock", "seatbelt": "sandbox-exec"}.get(self.kind, "bubblewrap (bwrap)")
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
            Path(other, "hidden").touch()
            command = f": > made; cat {other}/hidden && : > seen; : > {other}/made"
            argv = self.wrap(["/bin/sh", "-c", command], folder=Path(folder), hide=[Path(other)], network=False)
            try:
                tried = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=20)
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"{name} does not run here: {error}"
            made, seen = Path(folder, "made").exists(), Path(folder, "seen").exists()
            if made and not seen and not Path(other, "made").exists():
                return ""
        said = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
        return f"{name} cannot make a sandbox here: {said[-1]}"

    def cuts_off(self) -> bool:
        """Whether a command without the network is seen to have none; only asked of `sandbox-exec`."""
        python = (sys.executable, "-I", "-S", "-c")
        with tempfile.TemporaryDirectory() as folder:
            try:
                return seatbelt.cuts_off(self.wrap(python, folder=Path(folder), network=False))
            except (OSError, subprocess.TimeoutExpired):
                return False

    def shell(self, command: str) -> list[str]:
        """The arguments that run a command line with sh, held to the limits that the kernel keeps."""
        if self.limits is not None:
            command = self.limits.script(command, own_users=self.available)
        return ["/bin/sh", "-c", command]

    def wrap(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        writable: Iterable[Path] = (),
        read_only: Iterable[Path] = (),
        hide: Iterable[Path] = (),
        protect: Mapping[Path, Path] | None = None,
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
            protect: places in writable folders that it cannot write, rename or replace, and what is seen there;
                without bubblewrap they are not protected.
            tmp: a folder to use as /tmp, for several commands to share; by default each has an empty one.
            network: whether it shares our network, rather than having none.
        """
        hidden = (*self.hide, *(path.resolve() for path in hide))
        seen = (*self.read_only, *(path.resolve() for path in read_only))
        if self.landlock is not None:
            return self._confined(argv, folder, tuple(writable), seen, hidden, tmp, network)
        if self.seatbelt is not None:
            own = (folder, *((tmp,) if tmp else ()), *writable)
            rules = seatbelt.profile(writable=own, hidden=hidden, seen=seen, network=network)
            return ["/usr/bin/env", f"TMPDIR={(tmp or folder).resolve()}", self.seatbelt, "-p", rules, *argv]
        if self.program is None:
            return list(argv)
        mounts: dict[Path, tuple[str, ...]] = {path: ("--tmpfs", str(path)) for path in PRIVATE if path.is_dir()}
        for path in hidden:
            if path.is_dir():
                mounts[path] = ("--tmpfs", str(path))
            elif path.exists():
                mounts[path] = ("--ro-bind", os.devnull, str(path))
        for path in sorted(seen, key=lambda path: len(path.parts)):
            above = next((mounts[parent] for parent in path.parents if parent in mounts), ())
            if path not in mounts and above[:1] == ("--tmpfs",) and path.exists():
                mounts[path] = ("--ro-bind", str(path), str(path))
        if tmp is not None:
            mounts[PRIVATE[0]] = ("--bind", str(tmp), TEMPORARY)
        for path in (*writable, folder):
            mounts[path.resolve()] = ("--bind", str(path), str(path.resolve()))
        if protect:
            root = folder.resolve()
            for place, target in protect.items():
                inside = root / place.relative_to(folder)
                mounts[inside] = ("--ro-bind", str(target), str(inside))
        # Parents first, so that the deeper rule stands: the folder is seen inside the state that is hidden.
        ordered = sorted(mounts.items(), key=lambda item: len(item[0].parts))
        return [
            *(self.program, "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
            *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *(() if network else ("--unshare-net",)),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
            *(word for device in self.devices for word in ("--dev-bind", device, device)),
            *(word for _path, words in ordered for word in words),
            *("--setenv", "TMPDIR", TEMPORARY, "--chdir", str(folder.resolve()), "--"),
            *argv,
        ]

    def _confined(
        self,
        argv: Sequence[str],
        folder: Path,
        writable: Sequence[Path],
        seen: Sequence[Path],
        hidden: Sequence[Path],
        tmp: Path | None,
        network: bool,
    ) -> list[str]:
        assert self.landlock is not None
        own = folder.resolve()
        devices = [f"/dev/{name}" for name in DEVICES] + list(self.devices)
        wanted = {
            "folder": str(own),
            "tmp": str(tmp.resolve() if tmp else own),
            "write": [*map(str, (own, *writable, *((tmp,) if tmp else ()))), *devices],
            "read": [str(path) for path in seen],
            "hide": [*map(str, (*PRIVATE, *hidden)), "/dev"],
            "namespace": self.landlock.network and not network,
            "tcp": network or self.landlock.network,
        }
        return [sys.executable, "-I", "-S", confine.__file__, json.dumps(wanted), *argv]


def unheld(limits: Limits | None, *, own_users: bool) -> tuple[str, ...]:
    """The limits that only looking at a command holds."""
    if limits is None or limits.processes is None or process.can_group() or (own_users and os.getuid() != 0):
        return ()
    return ("no control group can be made here, so that a fork bomb is ended only after it was seen",)


def detect_landlock() -> Landlock | None:
    """What Landlock and namespaces give here, found out in a process of its own."""
    argv = [sys.executable, "-I", "-S", confine.__file__, "probe"]
    try:
        found = json.loads(subprocess.run(argv, capture_output=True, text=True, timeout=20).stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return Landlock(found["landlock"], bool(found["network"])) if found["landlock"] else None
