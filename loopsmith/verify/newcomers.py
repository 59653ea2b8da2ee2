"""New files that act by their name alone: modules that take an import's place, and files that tools load unasked."""

import re
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

from loopsmith.verify.changes import Baseline, Change, Finding

# Loaded without being named in a command, by Python, pytest, make, git, shells, compilers and package managers.
_LOADED_UNASKED = """
    sitecustomize.py usercustomize.py conftest.py pytest.ini .pytest.ini pytest.toml .pytest.toml tox.ini setup.cfg
    pyproject.toml setup.py noxfile.py pyvenv.cfg .coveragerc .python-version .env .envrc .netrc .pdbrc .pypirc
    gnumakefile makefile bsdmakefile cmakelists.txt cmakepresets.json cmakeuserpresets.json meson.build
    justfile .justfile build.rs cargo.toml rust-toolchain rust-toolchain.toml go.mod go.work package.json .npmrc
    .yarnrc .yarnrc.yml bunfig.toml .node-version .nvmrc tsconfig.json .babelrc .bazelrc .gitattributes .gitmodules
    .gitconfig .bashrc .bash_profile .profile .zshrc .zshenv .gdbinit .lldbinit .rprofile .renviron .octaverc
    startup.m project.toml localpreferences.toml .condarc .ld.so.preload
"""
LOADED_SUFFIXES = (".pth", "._pth", ".egg-link", ".start")
LOADED_FOLDERS = frozenset({".git", ".cargo", ".bundle", ".mvn", ".yarn", ".vscode", "node_modules", ".venv", "venv"})
# What verifiers often import, themselves or by way of another package; the standard library comes on top.
_COMMON = """
    numpy scipy pandas torch torchvision torchaudio triton jax jaxlib flax optax tensorflow keras sklearn cupy numba
    llvmlite cython pybind11 cffi mpmath sympy networkx matplotlib PIL cv2 h5py pyarrow polars yaml tqdm rich click
    requests urllib3 httpx psutil pytest _pytest pluggy iniconfig hypothesis attr attrs six packaging pkg_resources
    setuptools pip wheel site typing_extensions importlib_metadata zipp dateutil pytz tokenizers transformers
    datasets safetensors einops loopsmith
"""
LOADED_UNASKED = frozenset(_LOADED_UNASKED.split())
COMMON = frozenset(_COMMON.split())
_IMPORT = re.compile(rb"(?m)^[ \t]*(?:from[ \t]+(\w+)|import[ \t]+([\w., \t]+))")


def check_new_file(change: Change, baseline: Baseline) -> Iterator[Finding]:
    """Why a new file is refused for its name, if it is."""
    path = PurePosixPath(change.path)
    if path.name.lower() in LOADED_UNASKED or path.name.lower().endswith(LOADED_SUFFIXES):
        yield Finding(0, f"a new `{path.name}`, which tools load unasked (guardrails.new_files)")
    elif folder := next((part for part in path.parts[:-1] if part.lower() in LOADED_FOLDERS), ""):
        yield Finding(0, f"a new file in `{folder}`, where tools look unasked (guardrails.new_files)")
    elif (place := module(path)) and (words := _taken(*place, baseline)):
        yield Finding(0, f"a new module `{place[1]}`, {words} (guardrails.new_files)")


def module(path: PurePosixPath) -> tuple[str, str] | None:
    """The folder in which a file makes a new name importable, and the name."""
    if path.suffix not in (".py", ".pyw", ".pyc", ".so", ".pyd"):
        return None
    name = path.name.partition(".")[0]
    where = path.parent
    if name == "__init__":
        name, where = where.name, where.parent
    return (str(where) if str(where) != "." else "", name) if name else None


def _taken(folder: str, name: str, baseline: Baseline) -> str:
    """Whose name a new module takes, in words; empty when it is free."""
    protected = baseline.protected()
    inside = folder + "/" if folder else ""
    for path in protected:
        if module(PurePosixPath(path)) == (folder, name):
            return f"which hides the protected `{path}`"
    if any(module(PurePosixPath(path)) == (folder, name) for path in baseline.files if baseline.editable(path)):
        return ""  # the same name in another form, such as a package for a module
    in_package = f"{inside}__init__.py" in baseline.files
    if in_package and not any(path.startswith(inside) and "/" not in path[len(inside) :] for path in protected):
        return ""  # nobody looks for a module of the outside there
    if name in sys.stdlib_module_names:
        return "a name of Python's standard library"
    if name in COMMON:
        return "a name of a well-known package"
    importer = next((path for path in protected if path.endswith(".py") and name in _imports(path, baseline)), None)
    return f"a name that the protected `{importer}` imports" if importer else ""


def _imports(path: str, baseline: Baseline) -> set[str]:
    """The first parts of the names that a file imports, by its lines: it need not parse with our Python."""
    found: set[str] = set()
    for match in _IMPORT.finditer(baseline.read(baseline.files[path])):
        given = match[1] or match[2]
        found |= {part.split()[0].partition(b".")[0].decode() for part in given.split(b",") if part.split()}
    return found
