"""A function of a notebook or a program as a verifier's command: it travels to a process of its own, as a copy."""

import inspect
import json
import os
import shlex
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from loopsmith import process
from loopsmith.errors import HarnessError, UsageError
from loopsmith.library.fingerprint import fingerprint
from loopsmith.workflow.evaluators import COMMAND

FOLDER = "evaluators"
LARGEST = 100_000_000  # bytes of a function with all that it refers to


@dataclass(frozen=True, slots=True)
class Shipped:
    """A function that was written to a file.

    Attributes:
        command: of the verifier.
        path: what the command reads.
        source: the function's text; empty where Python does not know it.
    """

    command: str
    path: Path
    source: str


def ship(function: Callable[..., Any], state: Path, metric: str) -> Shipped:
    """Write a function into the state folder.

    It travels by value with what it refers to, functions and modules that are not installed included; what is
    installed is imported anew there.

    Raises:
        UsageError: it, or something that it refers to, cannot be copied into another process, or is too large.
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    try:
        with by_value() as modules:
            data, mark = cloudpickle.dumps(function), fingerprint(function, modules)
    except Exception as error:  # whatever a foreign object raises when it is pickled
        raise UsageError(
            f"evaluate ({name}) cannot be copied into the verifier's process: {error}. It may refer to plain values "
            "and importable modules; open files, connections and locks it must make itself"
        ) from None
    if len(data) > LARGEST:
        raise UsageError(
            f"evaluate ({name}) refers to {len(data) // 10**6} MB of data; put that into a file of the source folder, "
            "or name its path in verify={'read': [...]}, and load it there"
        )
    path = state / FOLDER / f"{mark[:24]}.pkl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(data)
        new.replace(path)
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
    return Shipped(f"{COMMAND} improve {shlex.quote(str(path))} --metric {metric}", path, source_of(function))


def source_of(function: Callable[..., Any]) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function)).strip()
    except (OSError, TypeError):
        return ""


@contextmanager
def by_value() -> Iterator[Collection[str]]:
    """While in the block, modules that a new process would not find are taken by value; gives their names."""
    names = sorted(name for name in {name.partition(".")[0] for name in list(sys.modules)} if local(name))
    code = "import importlib.util as u, json, sys; print(json.dumps([n for n in sys.argv[1:] if not u.find_spec(n)]))"
    argv = [sys.executable, "-P", "-c", code, *names]
    done = subprocess.run(argv, env=process.clean_environment({}), capture_output=True, text=True)
    known = cloudpickle.list_registry_pickle_by_value()
    unknown = json.loads(done.stdout) if done.returncode == 0 else names
    modules = [sys.modules[name] for name in unknown if name in sys.modules and name not in known]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield [*known, *unknown]
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def local(name: str) -> bool:
    """Whether a module is neither Python's own nor installed, nor what a notebook or a script runs as."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    if file is None or name in ("__main__", "__mp_main__", "loopsmith"):
        return False
    return not any(Path(file).is_relative_to(sysconfig.get_path(place)) for place in ("stdlib", "purelib", "platlib"))
