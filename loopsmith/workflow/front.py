"""A workflow file's text becomes data that knows which line, or which `--set`, each value comes from.

Scalars follow the YAML 1.2 core schema: `on`, `off`, `yes`, `1:30` and `2024-01-01` are text, `1e-3` is a number.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from loopsmith.workflow.units import quoted

KeyPath = tuple[str | int, ...]
Origin = int | str
"""A line of the file, from 1, or an override such as `--set budget.rounds`."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": re.compile(r"~|null|Null|NULL|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
}
_HINTS = (
    ("alias", "put text that starts with * or & in quotes"),
    ("escape character", "in double quotes write \\\\ for a backslash, or use single quotes"),
    ("'\\t'", "indent with spaces, not tabs"),
    ("cannot start any token", "put text that starts with % @ or ` in quotes"),
    ("mapping values are not allowed", "put text that holds a colon and a space in quotes"),
    ("block scalar", "put text that starts with > or | in quotes"),
    ("quoted scalar", "a quotation mark is not closed"),
    ("expected ',' or", "a bracket is not closed, or text that holds a comma needs quotes"),
)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a workflow. `line` is 0 where an override is to blame."""

    line: int
    source: str
    message: str

    @classmethod
    def at(cls, origin: Origin, message: str) -> "Problem":
        return cls(origin, "", message) if isinstance(origin, int) else cls(0, origin, message)

    def show(self, file: str) -> str:
        return f"{self.source or f'{file}:{self.line}'}: {self.message}"


class _Loader(yaml.SafeLoader):
    """Composes only; values are made by `_Reader`."""


_Loader.yaml_implicit_resolvers = {}  # without the YAML 1.1 ones
for _tag, _form in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(rf"(?:{_form.pattern})\Z"), None)


class Data:
    """The front matter as maps, lists and scalars, with the origin of every key."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[KeyPath, Origin] = {(): 1}
        self.problems: list[Problem] = []
        self.broken: set[KeyPath] = set()

    def is_broken(self, path: KeyPath) -> bool:
        """Whether the value at `path` could not be read, which is a problem already."""
        return any(path[:n] in self.broken for n in range(len(path) + 1))

    def origin(self, path: KeyPath) -> Origin:
        """Where the value at `path` comes from, or the nearest map around it that was given."""
        return next(self.origins[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.origins)

    def read(self, text: str, first_line: int) -> None:
        """Fill from the YAML text that begins in the file's line `first_line`."""
        reader = _Reader("the front matter", lambda line: first_line + line)
        value = reader.read(text, ())
        self.problems += reader.problems
        self.broken |= reader.broken
        if isinstance(value, dict):
            self.values, self.origins = value, self.origins | reader.origins
        elif value is not None:
            self.problems.append(Problem.at(first_line, "the front matter must be a map of `key: value` lines"))

    def override(self, assignments: Iterable[str]) -> None:
        """Set keys from `a.b=value` texts, where each value is YAML. Another agent kind replaces the whole agent."""
        parsed = [read for text in assignments if (read := self._assignment(text))]
        kinds = [value for path, value, _ in parsed if path == ("agent", "kind")]
        agent = self.values.get("agent")
        if kinds and isinstance(agent, dict) and agent.get("kind", "tuner") != kinds[-1]:
            self._forget(("agent",))
            del self.values["agent"]
        for path, value, origins in parsed:
            self._set(path, value, origins, f"--set {'.'.join(path)}")

    def holds(self, path: KeyPath) -> bool:
        """Whether something stands at `path`, an empty value included."""
        place: Any = self.values
        for part in path:
            if not isinstance(place, dict) or part not in place:
                return False
            place = place[part]
        return True

    def value(self, path: KeyPath) -> Any:
        """What stands at `path`, where something does."""
        place: Any = self.values
        for part in path:
            place = place[part]
        return place

    def take(self, path: KeyPath) -> Any:
        """Remove and return what stands at `path`, and a map around it that is left empty."""
        value = self.value(path)
        self._forget(path)
        del self.value(path[:-1])[path[-1]]
        if len(path) > 1 and not self.value(path[:-1]):
            self.take(path[:-1])
        return value

    def put(self, path: KeyPath, value: Any, origin: Origin) -> None:
        """Set what stands at `path`; it comes from `origin`."""
        self._set(path, value, {}, origin)

    def _assignment(self, text: str) -> tuple[tuple[str, ...], Any, dict[KeyPath, Origin]] | None:
        key, equals, value = (part.strip() for part in text.partition("="))
        path = tuple(key.split("."))
        if not equals or "" in path:
            self.problems.append(Problem.at(f"--set {text}", "write it as KEY=VALUE, such as budget.rounds=5"))
            return None
        reader = _Reader(quoted(value), lambda _: f"--set {key}")
        found = reader.read(value, path)
        self.problems += reader.problems
        return None if reader.problems else (path, found, reader.origins)

    def _set(self, path: KeyPath, value: Any, origins: dict[KeyPath, Origin], source: Origin) -> None:
        place: dict[Any, Any] = self.values
        for depth in range(1, len(path)):
            self.origins.setdefault(path[:depth], source)
            if place.get(path[depth - 1]) is None:
                place[path[depth - 1]] = {}
            place = place[path[depth - 1]]
            if not isinstance(place, dict):
                message = f"{named(path[:depth])} is not a map, so nothing can be set below it"
                self.problems.append(Problem.at(source, message))
                return
        self._forget(path)
        place[path[-1]] = value
        self.origins |= {**origins, path: source}

    def _forget(self, path: KeyPath) -> None:
        self.origins = {key: origin for key, origin in self.origins.items() if key[: len(path)] != path}


class _Reader:
    """Reads one YAML text; `where` turns its line, from 0, into an origin."""

    def __init__(self, subject: str, where: Callable[[int], Origin]):
        self.subject, self.where = subject, where
        self.origins: dict[KeyPath, Origin] = {}
        self.problems: list[Problem] = []
        self.broken: set[KeyPath] = set()

    def read(self, text: str, path: KeyPath) -> Any:
        """The text's value, None where it is empty or cannot be read. Its keys are recorded below `path`."""
        try:
            node = yaml.compose(text, Loader=_Loader)
            return None if node is None else self._value(node, path, frozenset())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            context, problem = error.context or "", error.problem or "it cannot be read"
            hint = next((f"; {hint}" for part, hint in _HINTS if part in f"{context} {problem}"), "")
            self._invalid(mark.line if mark else 0, problem + hint)
        except yaml.reader.ReaderError as error:
            line = text[: error.position].count("\n")
            self._invalid(line, f"it holds the control character {ord(text[error.position]):#04x}")
        except RecursionError:
            self._invalid(0, "it is nested too deeply")
        return None

    def _invalid(self, line: int, reason: str) -> None:
        self._problem(line, f"{self.subject} is not valid YAML: {reason}")

    def _problem(self, line: int, message: str) -> None:
        self.problems.append(Problem.at(self.where(line), message))

    def _value(self, node: yaml.Node, path: KeyPath, around: frozenset[int]) -> Any:
        line, tag, name = node.start_mark.line, node.tag.removeprefix(_TAG), self._name(path)
        if id(node) in around:
            self._problem(line, f"{name} holds itself")
        elif isinstance(node, yaml.MappingNode) and tag == "map":
            return self._map(node, path, around | {id(node)})
        elif isinstance(node, yaml.SequenceNode) and tag == "seq":
            for index, item in enumerate(node.value):
                self.origins[*path, index] = self.where(item.start_mark.line)
            return [self._value(item, (*path, index), around | {id(node)}) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.ScalarNode) and (tag == "str" or tag in _SCALARS):
            try:
                return _scalar(tag, node.value)
            except ValueError as error:
                self._problem(line, f"{name}: {error}")
        else:
            self._problem(line, f"{name}: the YAML tag {quoted(node.tag)} has no meaning here")
        self.broken.add(path)
        return None

    def _map(self, node: yaml.MappingNode, path: KeyPath, around: frozenset[int]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(line, f"a key of {self._name(path)} must be text; put text that starts with {{ in quotes")
                continue
            here = (*path, key_node.value)
            if key_node.value in result:
                first = self.origins[here]
                where = f", first in line {first}" if isinstance(first, int) else ""
                self._problem(line, f"{self._name(here)} is given twice{where}")
                continue
            self.origins[here] = self.where(line)
            result[key_node.value] = self._value(value_node, here, around)
        return result

    def _name(self, path: KeyPath) -> str:
        return named(path) if path else self.subject


def named(path: KeyPath) -> str:
    """A key as an error names it: `verify.timeout`, or `verify.checks` item 2, each with its backticks."""
    keys = ".".join(part for part in path if isinstance(part, str))
    return f"`{keys}`" + "".join(f" item {part + 1}" for part in path if isinstance(part, int))


def _scalar(tag: str, text: str) -> Any:
    if tag == "str":
        return text
    if not _SCALARS[tag].fullmatch(text):
        raise ValueError(f"{quoted(text)} is not what the YAML tag {tag} promises")
    match tag:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            if len(text) > 400:
                raise ValueError("the number is too long")
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        case _:
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
