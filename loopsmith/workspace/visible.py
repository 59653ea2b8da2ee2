"""What of private places programs must still see: interpreters and tools that live in a home folder or under /tmp."""

import os
import pwd
import shutil
import site
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

# Shared with other programs of this machine, their sockets too: a command gets empty ones of its own.
PRIVATE = tuple(Path(path) for path in ("/tmp", "/var/tmp", "/run"))
NEEDED = ("/run/current-system", "/run/opengl-driver", "/run/systemd/resolve", "/run/resolvconf")
TOOLS = ("python3", "python", "node", "java", "go", "rustc", "cargo", "gcc", "nvcc")
TOOL_HOMES = (
    *("VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "RUSTUP_HOME", "GOPATH", "GOROOT", "GOCACHE", "JAVA_HOME"),
    *("CUDA_HOME", "CUDA_PATH", "ROCM_PATH", "NVM_DIR"),
)
SEARCHED = ("LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH", "PKG_CONFIG_PATH")
# Folders that hold keys and histories beside programs: only these parts of them are seen.
SPARSE = {
    ".local": ("bin", "lib", "lib64", "libexec", "include", "pipx", "share/pipx", "share/uv"),
    ".cargo": ("bin", "registry", "git", "config.toml"),
}
SYSTEM = tuple(Path(path) for path in ("/usr", "/etc", "/bin", "/lib", "/opt", "/proc", "/dev", "/var/lib"))


def homes() -> tuple[Path, ...]:
    """The folders of people's own things, to hide; none that holds a part of the system."""
    found = [Path(os.path.expanduser("~")), Path("/root"), Path("/home")]
    with suppress(KeyError):
        found.append(Path(pwd.getpwuid(os.getuid()).pw_dir))
    real = dict.fromkeys(Path(os.path.realpath(path)) for path in found if path.is_absolute() and path.is_dir())
    return tuple(path for path in real if not any(place.is_relative_to(path) for place in SYSTEM))


def programs(private: Collection[Path]) -> tuple[Path, ...]:
    """The real paths below private places that programs on PATH, and what they load, need."""
    found: dict[Path, None] = {}
    for path in _needed(private):
        for place in (path, Path(os.path.realpath(path))):  # as it is named, and where that leads
            inside = any(place.is_relative_to(folder) and place != folder for folder in private)
            if inside and place.exists():
                found[place] = None
    return tuple(place for place in found if not any(above in found for above in place.parents))


def packages(source: Path) -> tuple[Path, ...]:
    """What is installed in a source folder: virtual environments, and packages of Node."""
    inside = source.iterdir() if source.is_dir() else ()
    return tuple(path for path in inside if path.name == "node_modules" or (path / "pyvenv.cfg").is_file())


def behind(program: Path) -> tuple[Path, ...]:
    """What one program needs to be seen, wherever it lies: its folder, and the packages that its link leads to."""
    found: dict[Path, None] = {}
    for place in (program, Path(os.path.realpath(program))):
        modules = next((above for above in reversed(place.parents) if above.name == "node_modules"), None)
        found |= dict.fromkeys([modules] if modules else _around(place.parent, (*PRIVATE, *homes())))
        found |= dict.fromkeys(Path(os.path.realpath(path)) for path in tuple(found))
    return tuple(path for path in found if path.exists() and path not in (Path("/"), *PRIVATE, *homes()))


def _needed(private: Collection[Path]) -> Iterator[Path]:
    yield from map(Path, (sys.prefix, sys.base_prefix, *NEEDED))
    yield Path(__file__).parents[1]  # loopsmith itself, for verifiers that use its harness from an editable install
    for name in TOOL_HOMES:
        if value := os.environ.get(name):
            yield from _parts(Path(value))
    for name in SEARCHED:
        yield from map(Path, filter(None, os.environ.get(name, "").split(os.pathsep)))
    with suppress(OSError):
        yield Path(site.getuserbase(), "lib")
    for entry in map(Path, filter(None, os.environ.get("PATH", "").split(os.pathsep))):
        if entry.is_absolute():
            yield from _around(entry, private)
    for tool in TOOLS:  # the interpreter behind an environment's link, and what rustup's programs start
        if program := shutil.which(tool):
            yield from _around(Path(os.path.realpath(program)).parent, private)
            if tool == "rustc":
                yield Path(os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup")))


def _around(entry: Path, private: Collection[Path]) -> Iterator[Path]:
    """A folder of programs with the libraries beside it."""
    above = entry.parent
    if entry.name not in ("bin", "sbin", "shims", "condabin") or above in private or above == Path("/"):
        yield entry
    else:
        yield from _parts(above)


def _parts(folder: Path) -> Iterator[Path]:
    parts = SPARSE.get(folder.name)
    yield from (folder / part for part in parts) if parts else (folder,)
