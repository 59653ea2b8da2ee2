"""The description of the API (OpenAPI 3.1), made from the table that also answers."""

import re
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

import loopsmith
from loopsmith.records import Event
from loopsmith.serve.answers import Problem
from loopsmith.serve.api import OPERATIONS, Operation

REF = "#/components/schemas/{model}"
CONTROL: list[dict[str, list[str]]] = [{"token": []}]
DESCRIPTIONS = {
    "campaign": "a campaign's id",
    "candidate": "a candidate's number, such as 12 or c12, its id or commit",
    "request": "a request's id",
}


@cache
def description() -> dict[str, Any]:
    """The whole document."""
    inputs: list[tuple[tuple[str, str], Literal["validation", "serialization"], TypeAdapter[Any]]] = []
    inputs += [((item.name, "answer"), "serialization", TypeAdapter(item.answer)) for item in OPERATIONS if item.answer]
    inputs += [((item.name, "body"), "validation", TypeAdapter(item.body)) for item in OPERATIONS if item.body]
    inputs += [(("problem", "answer"), "serialization", TypeAdapter(Problem))]
    inputs += [(("event", "answer"), "serialization", TypeAdapter(Event))]
    schemas, shared = TypeAdapter.json_schemas(inputs, ref_template=REF)
    found = {key[0]: schema for key, schema in schemas.items()}
    paths: dict[str, dict[str, Any]] = {}
    for item in OPERATIONS:
        path = re.sub(r":\w+\}", "}", item.path)
        paths.setdefault(path, {})[item.method.lower()] = operation(item, found)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "loopsmith",
            "version": loopsmith.__version__,
            "description": "The campaigns of a tracker. Reading needs no token on loopback; acting always does.",
        },
        "paths": paths,
        "components": {
            "schemas": shared["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operation(item: Operation, schemas: dict[tuple[str, str], Any]) -> dict[str, Any]:
    schema = schemas[item.name, "answer"] if item.answer else {"type": "string"}
    said = "The answer." if item.answer else "A stream."
    answer = {"description": said, "content": {item.media: {"schema": schema}}}
    wrong = {"application/problem+json": {"schema": schemas["problem", "answer"]}}
    made: dict[str, Any] = {
        "operationId": item.name,
        "summary": item.summary,
        "parameters": [*map(in_path, re.findall(r"\{(\w+)", item.path)), *in_query(item)],
        "responses": {str(item.status): answer, "default": {"description": "A problem.", "content": wrong}},
    }
    if item.body:
        content = {"application/json": {"schema": schemas[item.name, "body"]}}
        made |= {"requestBody": {"required": True, "content": content}, "security": CONTROL}
    return made


def in_path(name: str) -> dict[str, Any]:
    kind = "integer" if name == "request" else "string"
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": DESCRIPTIONS[name],
        "schema": {"type": kind},
    }


def in_query(item: Operation) -> list[dict[str, Any]]:
    if item.query is None:
        return []
    described = item.query.model_json_schema()
    definitions = described.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in described.get("required", []),
            "schema": inlined(schema, definitions),
        }
        for name, schema in described["properties"].items()
    ]


def inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references."""
    if isinstance(schema, list):
        return [inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions) | rest
    return {key: inlined(value, definitions) for key, value in schema.items()}
