"""Tool arguments as pydantic models: the schema that the model is shown, and what it is told when it misses it."""

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from loopsmith.agents.model import Tool, ToolCall


class Arguments(BaseModel):
    """A tool's arguments. The class's name in snake case is the tool's; its docstring tells the model what it does.

    Types are lax on purpose: a model that writes "20" for 20 means 20.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


A = TypeVar("A", bound=BaseModel)


class BadArguments(Exception):
    """The call does not fit its tool; the message is for the model."""


def tool(kind: type[BaseModel]) -> Tool:
    """The tool that `kind` describes."""
    schema = _untitled(kind.model_json_schema())
    description = " ".join(str(schema.pop("description", "")).split())
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
    return Tool(name=name, description=description, parameters=schema)


def read(kind: type[A], call: ToolCall) -> A:
    """The call's arguments as a `kind`.

    Raises:
        BadArguments: with every problem, and what is expected.
    """
    if call.problem:
        raise BadArguments(f"the arguments of `{call.name}` cannot be read: {call.problem}")
    try:
        return kind.model_validate(call.arguments)
    except ValidationError as error:
        problems = "; ".join(f"`{'.'.join(map(str, e['loc']))}`: {e['msg'].lower()}" for e in error.errors())
        fields = (f"{name}{'' if field.is_required() else ' (optional)'}" for name, field in kind.model_fields.items())
        raise BadArguments(f"bad arguments for `{call.name}`: {problems}. It takes: {', '.join(fields)}") from None


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic adds: they cost tokens and say nothing. A property may be called title."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(item) for key, item in schema.items() if key != "title" or not isinstance(item, str)}
