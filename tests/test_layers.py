"""The architecture, read from the imports."""

import ast
from pathlib import Path

import pytest

import loopsmith

PACKAGE = Path(loopsmith.__file__).parent
# From DESIGN: a folder imports only from those before it, and from itself.
LAYERS = (
    *("workflow", "tracker", "workspace", "agents", "verify", "search", "observers"),
    *("campaign", "report", "watch", "serve", "library", "cli"),
)
PLAIN = ("errors", "records", "lessons", "live", "protocols", "process", "log", "harness")
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """The modules of ours that `path` imports, at any depth of the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module and node.module.split(".")[0] == "loopsmith":
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    known = {name_of(module) for module in MODULES}
    longest = (next((c for c in (name, name.rpartition(".")[0]) if c in known), None) for name in found)
    return {name for name in longest if name and name.startswith("loopsmith")} - {name_of(path)}


def rank(module: str) -> int:
    """Plain modules first, then the layers in order; the package itself is readable by all."""
    parts = module.split(".")
    if len(parts) == 1:
        return -1
    if parts[1] in PLAIN:
        return 0
    if parts[1] == "__main__":
        return len(LAYERS) + 1
    return 1 + LAYERS.index(parts[1])


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_its_own_layer_and_those_below(path):
    own = name_of(path)
    if own == "loopsmith":
        return
    wrong = [name for name in imports_of(path) if rank(name) > rank(own)]
    assert not wrong, f"{own} imports {wrong}"


def test_no_two_modules_import_each_other():
    graph = {name_of(path): imports_of(path) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle: {' -> '.join((*trail[trail.index(name) :], name))}"
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_stays_under_400_lines(path):
    assert len(path.read_text().splitlines()) < 400
