"""A worker's own folder and its shell."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from loopsmith import process
from loopsmith.process import Piped
from loopsmith.records import Completed
from loopsmith.workspace.removal import remove_folder
from loopsmith.workspace.sandbox import Sandbox
from loopsmith.workspace.visible import behind


@dataclass(slots=True)
class WorkerWorkspace:
    """Implements `protocols.Workspace`; made by `make_worker_folder`."""

    path: Path
    scratch: Path
    sandbox: Sandbox
    network: bool
    mark: str  # of its processes, for `process.sweep`
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def tmp(self) -> Path:
        """What its commands see as /tmp, so that one finds what another left there."""
        return self.path.with_name(self.path.name + ".tmp")

    async def shell(
        self,
        command: str,
        timeout: float,
        *,
        env: Mapping[str, str] | None = None,
        log: str | None = None,
        stdin: bytes | None = None,
    ) -> Completed:
        """As the protocol says; `env` are variables beside those of every command, `log` a file's name in scratch."""
        self.tmp.mkdir(exist_ok=True)
        argv = self.sandbox.wrap(
            self.sandbox.shell(command),
            folder=self.path,
            read_only=(self.scratch,),
            tmp=self.tmp,
            network=self.network,
        )
        return await process.run(
            argv,
            cwd=self.path,
            # Git must not look above the folder should the worker remove its own `.git`.
            env=process.clean_environment({"GIT_CEILING_DIRECTORIES": str(self.path.parent), **(env or {})}),
            timeout=timeout,
            log=self.scratch / (log or f"shell-{next(self._numbers)}.log"),
            mark=self.mark,
            stdin=stdin,
            limits=self.sandbox.limits,
            folders=(self.tmp,),
        )

    @property
    def home(self) -> Path:
        """The home folder of a coding agent's program; it may hold a copy of a login."""
        return self.path.with_name(self.path.name + ".home")

    @property
    def confined(self) -> bool:
        return self.sandbox.kind != "none"

    async def program(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: bytes,
        timeout: float | None,
        log: Path,
        feed: Callable[[bytes], None],
    ) -> Completed:
        self.tmp.mkdir(exist_ok=True)
        self.home.mkdir(exist_ok=True, mode=0o700)
        errors = str(self.home / "errors.log")
        command = self.sandbox.wrap(
            [*self.sandbox.shell('exec "$@" 2>"$0"'), errors, *argv],
            folder=self.path,
            writable=(self.home,),
            read_only=(self.scratch, *behind(Path(argv[0]))),
            tmp=self.tmp,
            network=True,
        )
        return await process.run(
            command,
            cwd=self.path,
            env=process.clean_environment(
                {"GIT_CEILING_DIRECTORIES": str(self.path.parent), **env, "HOME": str(self.home)}
            ),
            timeout=timeout,
            log=log,
            mark=self.mark,
            stdin=stdin,
            limits=self.sandbox.limits,
            folders=(self.tmp, self.home),
            feed=feed,
        )

    @asynccontextmanager
    async def piped(
        self, argv: Sequence[str], *, env: Mapping[str, str], home: Mapping[str, Path]
    ) -> AsyncIterator[Piped]:
        self.tmp.mkdir(exist_ok=True)
        for name, original in home.items():
            copy = self.home / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(original, copy)
            copy.chmod(0o600)
        self.home.mkdir(exist_ok=True, mode=0o700)
        # Through a shell for the limits that the kernel keeps.
        command = [*self.sandbox.shell('exec "$@"'), "sh", *argv]
        wrapped = self.sandbox.wrap(
            command,
            folder=self.path,
            writable=(self.home,),
            read_only=(self.scratch, *behind(Path(shutil.which(argv[0]) or argv[0]))),
            tmp=self.tmp,
            network=True,
        )
        home_of = {"HOME": str(self.home), "GIT_CEILING_DIRECTORIES": str(self.path.parent)}
        async with process.piped(
            wrapped,
            cwd=self.path,
            env=process.clean_environment({**env, **home_of}),
            errors=self.scratch / f"program-{next(self._numbers)}.log",
            mark=self.mark,
            limits=self.sandbox.limits,
            folders=(self.tmp, self.home),
        ) as running:
            yield running

    def remove(self) -> None:
        """Remove the folder, its /tmp and a program's home, whatever is in them; `scratch` stays."""
        remove_folder(self.path)
        remove_folder(self.tmp)
        remove_folder(self.home)
