"""Names whose value a candidate must leave alone, such as a seed.

In Python every place of the syntax tree that gives a name a value counts, at any depth: assignments of every form,
attributes and items of that name, keyword arguments, keys, parameters, loops, imports, definitions, `del`, `setattr`.
In other languages the lines `NAME = value`, `NAME: value` and `#define NAME value` and their kin do.
"""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from loopsmith.verify.changes import Change, Finding
from loopsmith.verify.syntax import NotPython, fingerprint, last_name, parse, text_of

SETTERS = {"setattr", "delattr", "__setattr__", "__delattr__", "__setitem__", "setdefault", "pop", "putenv"}
LOOSE = {"keyword", "key"}  # may come again with a value that they had, and in any order
LONG_PLACE = 500  # characters; a longer one is hashed, so that nesting costs no memory


class Binding(NamedTuple):
    """A place that gives a frozen name its value."""

    name: str
    kind: str
    place: str  # whose keyword it is, or the definitions and conditions around it
    value: str  # a fingerprint
    line: int
    passed_on: bool = False  # the value is itself a frozen name

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.name, self.kind, self.place, self.value


def check_frozen(change: Change, names: Collection[str]) -> Iterator[Finding]:
    """The frozen names that a change sets, sets otherwise, hides or removes."""
    if not names:
        return
    try:
        if not change.python:
            raise NotPython(0, "")
        before, after = _bindings(change.before, names), _bindings(change.after, names)
    except NotPython:
        yield from _in_text(change, names)
        return
    for name in names:
        old = [binding for binding in before if binding.name == name]
        new = [binding for binding in after if binding.name == name]
        if len({binding.value for binding in old if binding.kind in LOOSE}) == 1:  # then whose it is does not matter
            old, new = (
                [binding._replace(place="") if binding.kind in LOOSE else binding for binding in side]
                for side in (old, new)
            )
        yield from _difference(name, old, new)


def _difference(name: str, old: list[Binding], new: list[Binding]) -> Iterator[Finding]:
    had, has = Counter(binding.key for binding in old), Counter(binding.key for binding in new)
    added, gone = has - had, had - has
    found = False
    for binding in new:
        loose = binding.kind in LOOSE and (binding.passed_on or had[binding.key])
        if added[binding.key] and not loose:
            added[binding.key] -= 1
            found = True
            yield Finding(binding.line, f"changes `{name}` ({binding.kind}), which guardrails.freeze holds")
    if found:
        return
    for binding in old:
        if gone[binding.key]:
            gone[binding.key] -= 1
            found = True
            words = f"line {binding.line} of the baseline, which sets `{name}` ({binding.kind}), is changed or gone"
            yield Finding(0, f"{words}; guardrails.freeze holds `{name}`")
    firm = [[binding.key for binding in side if binding.kind not in LOOSE] for side in (old, new)]
    if not found and firm[0] != firm[1]:
        yield Finding(new[0].line, f"sets `{name}` in another order, which guardrails.freeze holds")


# --- Python


def _bindings(data: bytes | None, names: Collection[str]) -> list[Binding]:
    """Every binding of the names, in the order of the text.

    Raises:
        NotPython: the file does not parse.
    """
    if data is None:
        return []
    reader = _Reader(names)
    reader.read(parse(data))
    return sorted(reader.found, key=lambda binding: binding.line)


class _Reader:
    def __init__(self, names: Collection[str]):
        self.names = frozenset(names)
        self.found: list[Binding] = []

    def read(self, tree: ast.Module) -> None:
        stack: list[tuple[ast.AST, str]] = [(tree, "")]
        while stack:  # not by recursion: a candidate chooses how deep the tree is
            node, place = stack.pop()
            self.node(node, place)
            for field, value in ast.iter_fields(node):
                inner = place + self.around(node, field)
                if len(inner) > LONG_PLACE:
                    inner = hashlib.sha256(inner.encode("utf-8", "surrogatepass")).hexdigest()
                children = value if isinstance(value, list) else [value]
                stack += [(child, inner) for child in reversed(children) if isinstance(child, ast.AST)]

    def around(self, node: ast.AST, field: str) -> str:
        """What a definition or a condition adds to the place of what stands in it."""
        if field not in ("body", "orelse", "handlers", "finalbody"):
            return ""
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                return f"{name}/"
            case ast.If(test=test) | ast.While(test=test):
                return f"{field} of {fingerprint(test)}/"
            case ast.Try() | ast.For() | ast.AsyncFor() | ast.ExceptHandler():
                return f"{type(node).__name__} {field}/"
        return ""

    def add(self, name: str | None, kind: str, place: str, value: ast.AST | str | None, node: ast.AST) -> None:
        if name in self.names:
            line = getattr(node, "lineno", 1)
            text = value if isinstance(value, str) else fingerprint(value)
            passed = isinstance(value, ast.AST) and last_name(value) in self.names
            self.found.append(Binding(str(name), kind, place, text, line, passed))

    def node(self, node: ast.AST, place: str) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.target(target, "assigned", place, value)
            case ast.AnnAssign(target=target, value=value):
                self.target(target, "assigned", place, value)
            case ast.AugAssign(target=target, op=op, value=value):
                self.target(target, f"assigned {type(op).__name__}", place, value)
            case ast.NamedExpr(target=target, value=value):
                self.target(target, "assigned", place, value)
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                self.target(target, "loop", place, value)
            case ast.comprehension(target=target, iter=value):
                self.target(target, "loop", place, value)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self.target(target, "with", place, value)
            case ast.Delete(targets=targets):
                for target in targets:
                    self.target(target, "deleted", place, None)
            case ast.Call():
                self.call(node)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    self.add(text_of(key), "key", "", value, value)
            case _:
                self.declaration(node, place)

    def declaration(self, node: ast.AST, place: str) -> None:
        """Statements that bind a name without `=`."""
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                self.add(name, "defined", place, "", node)
            case ast.arguments():
                self.parameters(node, place)
            case ast.Import(names=names):
                for alias in names:
                    self.add(alias.asname or alias.name.partition(".")[0], "imported", place, alias.name, node)
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    self.add(alias.asname or alias.name, "imported", place, f"{module}.{alias.name}", node)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                for name in names:
                    self.add(name, "declared", place, "", node)
            case ast.ExceptHandler(name=name, type=value):
                self.add(name, "except", place, value, node)
            case ast.MatchAs(name=name) | ast.MatchStar(name=name) | ast.MatchMapping(rest=name):
                self.add(name, "matched", place, "", node)

    def target(self, target: ast.AST, kind: str, place: str, value: ast.AST | None) -> None:
        """One target of an assignment; a tuple is matched with a tuple of values where both are written out."""
        pairs: list[tuple[ast.AST, ast.AST | None]] = [(target, value)]
        while pairs:
            node, given = pairs.pop()
            match node:
                case ast.Tuple(elts=parts) | ast.List(elts=parts):
                    values: Sequence[ast.AST | None] = [given] * len(parts)
                    if isinstance(given, (ast.Tuple, ast.List)) and len(given.elts) == len(parts):
                        starred = any(isinstance(part, ast.Starred) for part in (*parts, *given.elts))
                        values = values if starred else given.elts
                    pairs += zip(parts, values, strict=True)
                case ast.Starred(value=inner):
                    pairs.append((inner, given))
                case ast.Name(id=name):
                    self.add(name, kind, place, given, node)
                case ast.Attribute(attr=name, value=owner):
                    self.add(name, f"attribute {kind}", place + fingerprint(owner), given, node)
                case ast.Subscript(value=owner, slice=key):
                    self.add(text_of(key), f"item {kind}", place + fingerprint(owner), given, node)

    def call(self, call: ast.Call) -> None:
        callee = last_name(call.func)
        for word in call.keywords:
            self.add(word.arg, "keyword", fingerprint(call.func), word.value, word)
        if callee in SETTERS:
            for name in {text_of(part) for part in call.args}:
                self.add(name, callee, "", call, call)

    def parameters(self, given: ast.arguments, place: str) -> None:
        plain = [*given.posonlyargs, *given.args]
        defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(given.defaults)), *given.defaults]
        rest = [*given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        defaults += [*given.kw_defaults, *[None] * (len(rest) - len(given.kwonlyargs))]
        for argument, default in zip([*plain, *rest], defaults, strict=True):
            self.add(argument.arg, "parameter", place, default, argument)


# --- other languages

_OPERATOR = r"(?:[-+*/%&|^?:]|<<|>>|\*\*|//|\?\?|\|\||&&)?=(?![=>~])|<-"
# Every repetition is bounded, or cannot overlap another: a candidate chooses the text.
_SETTING = r"""
    \#[ \t]*(?:define|undef)[ \t]+{word}\b[^\n]*
  | (?:\+\+|--)[ \t]*{word}\b(?:[ \t=]+[^\s;,]*)?
  | \b(?:unset|del|delete)[ \t]+{word}\b
  | (?<!\w){word}["']?(?:[ \t]*\[[^\]\n]{{0,200}}\])?
    (?:[ \t]*(?:\+\+|--)
      |[ \t]*:(?![:=])[^;,\n]*
      |[ \t]*\{{[^{{}}\n]{{0,200}}\}}
      |\s*(?:{operator})\s*[^;,\n]*)
"""


def _in_text(change: Change, names: Collection[str]) -> Iterator[Finding]:
    """As written, and without comments: a definition that is commented out, or hidden in one, is a change too."""
    before, after = _text(change.before), _text(change.after)
    for name in names:
        for strip in (_uncommented, str):
            old, new = list(_settings(strip(before), name)), list(_settings(strip(after), name))
            if [value for _, value in old] != [value for _, value in new]:
                pool = Counter(value for _, value in old)
                line = 0
                for number, value in new:
                    if not pool[value]:
                        line = number
                        break
                    pool[value] -= 1
                yield Finding(
                    line, f"changes, adds or removes a line that sets `{name}`, which guardrails.freeze holds"
                )
                break


def _settings(text: str, name: str) -> Iterator[tuple[int, str]]:
    """Each place that sets a name, as its line and what it says, white space apart."""
    pattern = re.compile(_SETTING.format(word=re.escape(name), operator=_OPERATOR), re.VERBOSE)
    for match in pattern.finditer(text.replace("\\\r\n", "  \t").replace("\\\n", "  ")):
        yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split())


def _uncommented(text: str) -> str:
    text = re.sub(r"(?s)/\*.*?(?:\*/|\Z)", lambda match: "\n" * match[0].count("\n") + " ", text)
    return re.sub(r"(?m)(?:^|(?<=[\s;{}]))(?://|--\s|#(?![ \t]*(?:define|undef)\b)).*$", "", text)


def _text(data: bytes | None) -> str:
    return "" if data is None else data.decode("utf-8", "replace")
