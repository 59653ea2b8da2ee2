"""Which modules a candidate's Python may import: read from the syntax tree, at any depth of it."""

import ast
from collections.abc import Iterator

from loopsmith.verify.changes import Change, Finding
from loopsmith.verify.syntax import NotPython, last_name, parse, text_of
from loopsmith.workflow.schema import Imports

LOADERS = {"import_module", "__import__", "run_module", "find_spec", "resolve_name", "find_loader", "get_loader"}
UNKNOWN = "?"  # a module whose name is computed


def check_imports(change: Change, rules: Imports) -> Iterator[Finding]:
    """The imports that a change brings into a file against the rules. What the file imported before is allowed."""
    if not (rules.forbid or rules.allow is not None) or not change.python or change.after is None:
        return
    try:
        before = {name for _, names in _imports(change.before) for name in names}
    except NotPython:
        before = set()
    try:
        after = list(_imports(change.after))
    except NotPython:
        yield Finding(0, "its imports cannot be read, and guardrails.imports limits them")
        return
    for line, names in after:
        if not before.issuperset(names) and (words := _against(names, rules)):
            yield Finding(line, words)


def _against(names: tuple[str, ...], rules: Imports) -> str:
    """Why an import is refused; empty when it is not.

    Args:
        names: the readings of one import: `a` and `a.b` of `from a import b`.
    """
    if rules.allow is not None:
        if any(_inside(name, allowed) for name in names for allowed in rules.allow):
            return ""
        listed = ", ".join(rules.allow)
        if UNKNOWN in names:
            return f"imports a module by a name that is computed; guardrails.imports.allow has {listed}"
        return f"imports `{names[0]}`, which guardrails.imports.allow does not list ({listed})"
    if rules.forbid and UNKNOWN in names:
        return "imports a module by a name that is computed, so that guardrails.imports.forbid cannot be checked"
    for forbidden in rules.forbid:
        for name in names:
            if _inside(name, forbidden) or (name.endswith(".*") and _inside(forbidden, name[:-2])):
                return f"imports `{name}`, against guardrails.imports.forbid `{forbidden}`"
    return ""


def _inside(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def _imports(data: bytes | None) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every import of a file, as its line and the readings of its name.

    A relative import counts by what stands after its dots.

    Raises:
        NotPython: the file does not parse.
    """
    if data is None:
        return
    tree = parse(data)
    loaders = set(LOADERS)
    called = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("importlib", "builtins", "importlib.util", "runpy"):
            loaders |= {alias.asname for alias in node.names if alias.asname and alias.name in LOADERS}
        if isinstance(node, ast.Call):
            called.add(node.func)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield node.lineno, (alias.name,)
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    whole = f"{module}.{alias.name}" if module else alias.name
                    yield node.lineno, (module, whole) if module else (whole,)
            case ast.Call(func=func) if last_name(func) in loaders:
                yield node.lineno, (_loaded(node),)
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in LOADERS and node not in called:
                yield node.lineno, (UNKNOWN,)  # handed on under another name


def _loaded(call: ast.Call) -> str:
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg in ("name", "mod_name", "fullname"))]
    name = text_of(given[0]) if given else None
    return name.lstrip(".").partition(":")[0] or UNKNOWN if name is not None else UNKNOWN
