"""A worker's own folder and its shell."""

import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import loopsmith
from loopsmith import process
from loopsmith.process import Piped
from loopsmith.records import Completed
from loopsmith.workspace.removal import remove_folder
from loopsmith.workspace.sandbox import Sandbox

PACKAGE = Path(loopsmith.__file__).parent  # for `loopsmith mcp`, where it stands in a home folder


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

    async def shell(self, command: str, timeout: float) -> Completed:
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
            env=process.clean_environment({"GIT_CEILING_DIRECTORIES": str(self.path.parent)}),
            timeout=timeout,
            log=self.scratch / f"shell-{next(self._numbers)}.log",
            mark=self.mark,
            limits=self.sandbox.limits,
            folders=(self.tmp,),
        )

    @property
    def home(self) -> Path:
        """The home folder of an agent's own program."""
        return self.path.with_name(self.path.name + ".home")

    @asynccontextmanager
    async def program(
        self, argv: Sequence[str], *, env: Mapping[str, str], home: Mapping[str, Path]
    ) -> AsyncIterator[Piped]:
        self.tmp.mkdir(exist_ok=True)
        for name, original in home.items():
            copy = self.home / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(original, copy)
            copy.chmod(0o600)
        self.home.mkdir(exist_ok=True)
        # Through a shell for the limits that the kernel keeps.
        command = [*self.sandbox.shell('exec "$@"'), "sh", *argv]
        wrapped = self.sandbox.wrap(
            command,
            folder=self.path,
            writable=(self.home,),
            read_only=(self.scratch, PACKAGE, *beside(argv[0])),
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
        """Remove the folder, its /tmp and its home, whatever is in them; `scratch` stays."""
        for folder in (self.path, self.tmp, self.home):
            remove_folder(folder)


def beside(program: str) -> tuple[Path, ...]:
    """What a program of its own folder needs to be seen for: that folder, and the packages that it is one of."""
    found = shutil.which(program)
    if found is None:
        return ()
    folders = []
    for path in (Path(found).absolute(), Path(found).resolve()):
        modules = next((above for above in path.parents if above.name == "node_modules"), None)
        folders.append(modules or path.parent)
    return tuple(dict.fromkeys(folders))
