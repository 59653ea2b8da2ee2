"""What pydantic finds wrong with the settings, said in sentences for a person."""

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from loopsmith.workflow.acp import AcpAgent
from loopsmith.workflow.agent import (
    AgentSettings,
    AnthropicAgent,
    EnsembleAgent,
    OpenAIAgent,
    OtherAgent,
    ScriptedAgent,
    Section,
    TunerAgent,
)
from loopsmith.workflow.coding import CliAgent
from loopsmith.workflow.front import KeyPath, named
from loopsmith.workflow.schema import Settings
from loopsmith.workflow.units import quoted

_AGENTS: dict[str, type[Section]] = {
    "tuner": TunerAgent,
    "scripted": ScriptedAgent,
    "anthropic": AnthropicAgent,
    "openai": OpenAIAgent,
    "cli": CliAgent,
    "acp": AcpAgent,
    "ensemble": EnsembleAgent,
    "other": OtherAgent,
}
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list, such as [a, b]",
    "dict_type": "a map of `key: value` lines",
    "model_type": "a map of `key: value` lines",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def sentences(error: ValidationError, *, missing: bool = True) -> Iterator[tuple[KeyPath, str]]:
    """Every problem of the settings as (key path, sentence); missing keys only where they are asked for."""
    for detail in error.errors(include_url=False):
        path, section = _place(detail["loc"])
        if detail["type"] == "missing":
            yield from _missing(path, section) if missing else ()
        elif detail["type"] == "extra_forbidden":
            yield path, _unknown(path, section, detail["loc"])
        elif not (detail["type"] == "too_short" and detail["input"]):  # else its items were wrong, and are reported
            custom = detail.get("ctx", {}).get("at")
            yield ((*path, custom) if custom else path), _sentence(path, detail)


def _sentence(path: KeyPath, detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    name = named(path)
    if value is None:
        return f"{name} has no value; give one or remove the line"
    if kind == "value_error":
        return f"{name}: {context['error']}"
    if kind == "not_registered":
        return f"{named((*path, context['at']) if context['at'] else path)}: {detail['msg']}"
    if kind == "literal_error":
        return f"{name} must be {context['expected'].replace(chr(39), '`')}, not {quoted(value)}"
    if kind == "too_short":
        return f"{name} is an empty list; it needs at least {context['min_length']} item"
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{name} must be {words} {context[key]:g}, not {quoted(value)}"
    if kind in _KINDS:
        shown = f"the text {quoted(value)}" if isinstance(value, str) and value else quoted(value)
        hint = f"; put it in quotes: '{value}'" if kind == "string_type" and isinstance(value, (int, float)) else ""
        return f"{name} must be {_KINDS[kind]}, not {shown}{hint}"
    return f"{name} cannot be {quoted(value)}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _missing(path: KeyPath, section: type[Section] | None) -> Iterator[tuple[KeyPath, str]]:
    """A missing section is reported as the keys that it must have."""
    field = section.model_fields[str(path[-1])] if section else None
    inner = _section(field.annotation) if field else None
    if inner:
        for key, each in inner.model_fields.items():
            if each.is_required():
                yield from _missing((*path, key), inner)
    else:
        yield path, f"{named(path)} is missing" + (f" ({field.description})" if field else "")


def _unknown(path: KeyPath, section: type[Section] | None, location: tuple[str | int, ...]) -> str:
    name, parent = str(path[-1]), path[:-1]
    keys = list(section.model_fields) if section else []
    unknown = f"unknown key {named(path)}"
    near = [] if "." in name else difflib.get_close_matches(name.lower().replace("-", "_"), keys, n=1)
    if near:
        return f"{unknown}; did you mean {named((*parent, near[0]))}?"
    if path[0] == "agent" and len(path) == 2:
        kinds = [kind for kind, model in _AGENTS.items() if name in model.model_fields]
        if kinds:
            return f"{unknown} for the agent kind `{location[1]}`; it belongs to the kind {' or '.join(kinds)}"
    everywhere: dict[str, str] = {}
    for key in _all_keys(Settings, ()):
        if name == ".".join(map(str, key)):
            return f"{unknown}; a dotted key is for --set, in the file `{key[-1]}` stands below {named(key[:-1])}"
        everywhere.setdefault(str(key[-1]), named(key))
    if near := difflib.get_close_matches(name.lower(), everywhere, n=1, cutoff=0.8):
        return f"{unknown}; did you mean {everywhere[near[0]]}?"
    owner = f"{named(parent)} has" if parent else "there are"
    return f"{unknown}; {owner} {', '.join(keys)}"


def _place(location: tuple[str | int, ...]) -> tuple[KeyPath, type[Section] | None]:
    """The key path without pydantic's union tags, and the section that its last key belongs to."""
    path = [part for part in location if part != "[key]"]
    section: type[Section] | None = Settings
    if path[0] == "agent" and len(path) > 1:
        section = _AGENTS[str(path.pop(1))]
        start = 1
        if section is EnsembleAgent and len(path) > 3 and path[1] == "agents":
            section, start = _AGENTS[str(path.pop(3))], 3
            if len(path) == start:
                return tuple(path), EnsembleAgent
        if len(path) > start + 2 and path[start] == "constants":
            path.pop(start + 2)
        inside = path[start:-1]
    elif path[0] == "roles" and path[2:3] == ["model"] and len(path) > 3:
        section = _AGENTS[str(path.pop(3))]
        inside = path[3:-1]
    else:
        inside = path[:-1]
    for part in inside:
        if section and part in section.model_fields:
            section = _section(section.model_fields[str(part)].annotation)
    return tuple(path), section


def _section(annotation: Any) -> type[Section] | None:
    """The one section that a field holds, itself or in a map."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if annotation == AgentSettings:
        return None
    return next((found for part in get_args(annotation) if (found := _section(part))), None)


def _all_keys(section: type[Section], path: KeyPath) -> Iterator[KeyPath]:
    for key, field in section.model_fields.items():
        yield (*path, key)
        inner = [_section(field.annotation)] if key != "agent" else list(_AGENTS.values())
        for each in inner:
            if each:
                yield from _all_keys(each, (*path, key))
