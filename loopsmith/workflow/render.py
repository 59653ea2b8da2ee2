"""The body of a workflow is the prompt's template: Jinja2, sandboxed, every variable known."""

import difflib
import traceback
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from loopsmith.errors import WorkflowError

VARIABLES: dict[str, str] = {
    "brief": "text: everything a worker needs to know, within `memory.brief_tokens`; appended when not mentioned",
    "objective": "text: the metric, its direction, the smallest effect that counts and the target",
    "baseline": "text: the objective's metric of the best verified state so far",
    "memory": "text: what earlier candidates taught, one lesson a line",
    "hypothesis": "text: what this worker is asked to try; empty when it decides itself",
    "round": "number: the round, from 1",
    "attempt": "number: 1, and more when a stopped worker starts again",
    "history": "text: the recent candidates with their outcomes, one a line",
    "files": "text: the editable files, one path a line, relative to the source",
}

_SAMPLE: dict[str, Any] = dict.fromkeys(VARIABLES, "text") | {"round": 1, "attempt": 1}
_UNAVAILABLE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
)


def render(body: str, variables: Mapping[str, Any], *, file: str = "WORKFLOW.md", first_line: int = 1) -> str:
    """The prompt: `body` with its variables filled in, and `brief` appended where the body never mentions it.

    Args:
        variables: a value for each of `VARIABLES`.
        file: named in errors; the body begins in its line `first_line`.

    Raises:
        WorkflowError: the template cannot be rendered; says the line.
    """
    prompt = _compiled(body)
    problems = list(prompt.problems)
    if prompt.template:
        try:
            text = prompt.template.render(variables)
            return text if prompt.mentions_brief else f"{text.rstrip()}\n\n{variables['brief']}".lstrip("\n")
        except Exception as error:  # a template runs a person's expressions: any exception may come out
            problems.append((_line(error), _reason(error)))
    raise WorkflowError(*(f"{file}:{first_line + line}: {message}" for line, message in problems))


def template_problems(body: str) -> list[tuple[int, str]]:
    """Every problem of a template that shows without a campaign, as (line of the body from 0, sentence)."""
    prompt = _compiled(body)
    if not prompt.template:
        return list(prompt.problems)
    try:
        prompt.template.render(_SAMPLE)
    except Exception as error:  # as in render
        return [(_line(error), _reason(error))]
    return []


class _Prompt(NamedTuple):
    template: jinja2.Template | None  # None where there are problems
    mentions_brief: bool
    problems: tuple[tuple[int, str], ...]


@lru_cache(maxsize=16)
def _compiled(body: str) -> _Prompt:
    try:
        tree = _ENVIRONMENT.parse(body)
        template = _ENVIRONMENT.from_string(body)  # finds unknown filters and tests, too
    except jinja2.TemplateSyntaxError as error:
        return _Prompt(
            None, False, ((error.lineno - 1, f"the template is not valid: {_one_line(error.message or '')}"),)
        )
    except RecursionError:
        return _Prompt(None, False, ((0, "the template is not valid: it is nested too deeply"),))
    problems = tuple(_wrong_names(tree))
    mentions_brief = any(node.name == "brief" for node in tree.find_all(nodes.Name))
    return _Prompt(None if problems else template, mentions_brief, problems)


def _wrong_names(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    unknown = meta.find_undeclared_variables(tree) - VARIABLES.keys() - _ENVIRONMENT.globals.keys()
    seen: set[str] = set()
    for node in tree.find_all(nodes.Name):
        if node.name in unknown - seen:
            seen.add(node.name)
            yield node.lineno - 1, _unknown(node.name)
    for statement in tree.find_all(_UNAVAILABLE):
        yield statement.lineno - 1, "the template cannot include, import or extend another file"


def _unknown(name: str) -> str:
    if name == "issue":
        return (
            "`issue` is a variable of Symphony's, and a campaign here works on no issue; what it works on is in "
            "`objective` and `brief`"
        )
    near = difflib.get_close_matches(name, VARIABLES, n=1)
    return f"unknown variable `{name}`; " + (
        f"did you mean `{near[0]}`?" if near else f"there are {', '.join(VARIABLES)}"
    )


def _line(error: Exception) -> int:
    """The body's line, from 0, in which the template failed: Jinja2 puts its frames into the traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return (frames[-1].lineno or 1) - 1 if frames else 0


def _reason(error: Exception) -> str:
    return f"the template cannot be rendered: {_one_line(str(error) or type(error).__name__)}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
