import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from loopsmith.workflow import Guardrails
from loopsmith.workspace import Repository, Sandbox, WorkerWorkspace, collect, make_worker_folder, snapshot

FILES = {
    "kernel.py": "SPEED = 1\nSIZE = 2\n\n\ndef run():\n    return SPEED\n",
    "lib/help.py": "def help():\n    return 1\n",
    "verify.py": "print('METRIC score=1')\n",
    "run.sh": "#!/bin/sh\n",
    ".gitignore": "*.o\nbuild/\n",
}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def git(folder: Path, *words: str) -> str:
    identity = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        identity |= {f"GIT_{role}_NAME": "someone", f"GIT_{role}_EMAIL": "someone@example.org"}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **identity}, capture_output=True, text=True, check=True
    )
    return done.stdout


def listing(folder: Path) -> list[str]:
    """Every file and link under a folder, without git's own."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(str(path.relative_to(folder)) for path in found if ".git" not in path.relative_to(folder).parts)


@pytest.fixture
def tools() -> SimpleNamespace:
    return SimpleNamespace(write=write, git=git, listing=listing)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = write(tmp_path / "source", dict(FILES))
    (folder / "run.sh").chmod(0o755)
    return folder


@pytest.fixture
def state(source: Path) -> Path:
    return source / ".loopsmith"


@pytest.fixture
def repo(state: Path) -> Repository:
    return Repository.open(state)


@pytest.fixture
def baseline(repo: Repository, source: Path) -> str:
    return snapshot(repo, source, max_size=10**9)


@pytest.fixture
def worker(repo: Repository, source: Path, baseline: str, state: Path) -> WorkerWorkspace:
    """A worker's folder of the baseline, without a sandbox."""
    return make_worker_folder(
        repo,
        baseline,
        state / "work/1.worker",
        source=source,
        links=(),
        scratch=state / "artifacts/1",
        sandbox=Sandbox(),
        network=False,
        mark="test.1",
    )


@pytest.fixture
def take(repo: Repository, source: Path, baseline: str, worker: WorkerWorkspace) -> Callable:
    """Collect the worker's change; only kernel.py and lib/ may change."""

    def collected(message="a change", links=(), editable=None, **guardrails):
        return collect(
            repo,
            baseline,
            worker.path,
            editable=editable or (lambda path: path == "kernel.py" or path.startswith("lib/")),
            source=source,
            links=links,
            guardrails=Guardrails(**guardrails),
            message=message,
        )

    return collected
