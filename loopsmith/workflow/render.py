"""The body of a workflow is the prompt's template: Jinja2, sandboxed, every variable known."""

import difflib
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from loopsmith.errors import WorkflowError

VARIABLES: dict[str, str] = {
    "brief": "text: everything a worker needs to know, within `memory.brief_tokens`; appended when not mentioned",
    "objective": "text: the metric, its direction, the smallest effect that counts and the target",
    "baseline": "text: the best verified state so far, with its measured value",
    "memory": "text: what earlier candidates taught",
    "hypothesis": "text: what this worker is asked to try; empty when it decides itself",
    "round": "number: the round, from 1",
    "attempt": "number: 1, and more when a stopped worker starts again",
    "history": "text: the kept changes and the recent candidates, each with its outcome",
    "files": "list of text: the editable files, as paths relative to the source",
}

_SAMPLE: dict[str, Any] = dict.fromkeys(VARIABLES, "text") | {
    "round": 1,
    "attempt": 1,
    "files": [f"file{number}.py" for number in range(9)],
}
_UNAVAILABLE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )


def render(body: str, variables: Mapping[str, Any], *, file: str = "WORKFLOW.md", first_line: int = 1) -> str:
    """The prompt: `body` with its variables filled in, and `brief` appended where the body never mentions it.

    Args:
        variables: a value for each of `VARIABLES`.
        file: named in errors, with the body's first line in it.

    Raises:
        WorkflowError: the template cannot be rendered; says the line.
    """
    problems = [f"{file}:{first_line + line}: {message}" for line, message in _static_problems(body)]
    if problems:
        raise WorkflowError(*problems)
    try:
        text = _environment().from_string(body).render(variables)
    except Exception as error:  # a template runs a person's expressions: any exception may come out
        raise WorkflowError(f"{file}:{first_line + _line(error)}: {_reason(error)}") from None
    if "brief" in _names(_environment().parse(body)):
        return text
    return f"{text.rstrip()}\n\n{variables['brief']}".lstrip("\n")


def template_problems(body: str) -> Iterator[tuple[int, str]]:
    """Every problem of a template as (line of the body from 0, sentence), found without a campaign."""
    found = list(_static_problems(body))
    yield from found
    if not found:
        try:
            _environment().from_string(body).render(_SAMPLE)
        except Exception as error:  # as in render
            yield _line(error), _reason(error)


def _static_problems(body: str) -> Iterator[tuple[int, str]]:
    environment = _environment()
    try:
        tree = environment.parse(body)
        environment.compile(environment.parse(body))  # finds unknown filters and tests
    except jinja2.TemplateSyntaxError as error:
        yield error.lineno - 1, f"the template is not valid: {_one_line(error.message or 'it cannot be read')}"
        return
    undeclared = meta.find_undeclared_variables(tree)
    lines: dict[str, int] = {}
    for node in tree.find_all(nodes.Name):
        if node.name in undeclared - VARIABLES.keys() - environment.globals.keys():
            lines[node.name] = min(node.lineno, lines.get(node.name, node.lineno))
    for name, line in lines.items():
        yield line - 1, _unknown(name)
    for statement in tree.find_all(_UNAVAILABLE):
        yield statement.lineno - 1, "the template cannot include, import or extend another file"


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, VARIABLES, n=1)
    return f"unknown variable `{name}`; " + (
        f"did you mean `{near[0]}`?" if near else f"there are {', '.join(VARIABLES)}"
    )


def _names(tree: nodes.Template) -> set[str]:
    return {node.name for node in tree.find_all(nodes.Name)}


def _line(error: Exception) -> int:
    """The body's line, from 0, in which the template failed: Jinja2 puts its frames into the traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return (frames[-1].lineno or 1) - 1 if frames else 0


def _reason(error: Exception) -> str:
    return f"the template cannot be rendered: {_one_line(str(error) or type(error).__name__)}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
