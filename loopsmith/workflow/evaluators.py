"""Evaluators written for OpenEvolve, ShinkaEvolve or GEPA as the verifier: from one line to a command."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from loopsmith.workflow.units import quoted
from loopsmith.workflow.values import InnerPath, check_inner_path, editable_matcher

METRICS = {"openevolve": "combined_score", "shinka": "combined_score", "gepa": "score"}
ONE_PROGRAM = ("openevolve", "shinka")
COMMAND = '"$LOOPSMITH_PYTHON" -P -m loopsmith.harness.evaluators'


def kind_of(verify: Any) -> str | None:
    """Which of the keys a map `verify` has; None where it is none of them."""
    return next((key for key in METRICS if verify.get(key) is not None), None) if isinstance(verify, Mapping) else None


def with_defaults(data: Any) -> Any:
    """The front matter, with the objective that the evaluator's own project assumes where it does not say."""
    kind = kind_of(data.get("verify")) if isinstance(data, Mapping) else None
    given = data.get("objective", {}) if kind else None
    if kind is None or not isinstance(given, Mapping):
        return data
    return {**data, "objective": {"metric": METRICS[kind], "direction": "maximize", **given}}


def with_command(verify: Any) -> Any:
    """A map `verify` with a command, which is completed when the rest of the workflow is known.

    Raises:
        ValueError: several evaluators, or a command beside one.
    """
    kind = kind_of(verify)
    if kind is None:
        return verify
    given = [key for key in ("command", *METRICS) if verify.get(key) is not None]
    if len(given) > 1:
        raise ValueError(f"give only one of {', '.join(given)}: each of them is the verifier")
    if verify.get("metrics"):
        raise ValueError(f"remove metrics: with {kind} the evaluator names its metrics itself")
    return {**verify, "command": f"{COMMAND} {kind}"}


def command(kind: str, evaluator: str, program: Sequence[str], editable: Sequence[str], metric: str) -> str:
    """The command that runs an evaluator on the program.

    Args:
        evaluator: `FILE`, or `FILE:FUNCTION`.
        program: the files that are evaluated; none: those that `editable` names one by one.

    Raises:
        ValueError: it is not clear what the program is, or a candidate could change the evaluator.
    """
    may_change, patterns = editable_matcher(editable), ", ".join(editable)
    file = evaluator.partition(":")[0]
    if may_change(file):
        raise ValueError(
            f"workspace.editable ({patterns}) matches {file}: a candidate could change its own evaluator; "
            f'add "!{file}" to it'
        )
    if not program:
        plain = [pattern.removeprefix("/") for pattern in editable if not pattern.startswith("!")]
        if any(re.search(r"[*?\[]|/$", pattern) for pattern in plain):
            raise ValueError(f"workspace.editable ({patterns}) names no single file: say in program which is evaluated")
        program = plain
    if kind in ONE_PROGRAM and len(program) > 1:
        raise ValueError(f"{kind} evaluates one program, not {', '.join(program)}: say in program which it is")
    if wrong := [path for path in program if not may_change(path)]:
        raise ValueError(f"program: no candidate may change {wrong[0]}; workspace.editable is {patterns}")
    return " ".join([COMMAND, kind, shlex.quote(evaluator), "--metric", metric, *map(shlex.quote, program)])


def _evaluator(value: str) -> str:
    path, colon, function = value.strip().partition(":")
    if not path.endswith(".py") or (colon and not function.isidentifier()):
        raise ValueError(f"{quoted(value)} is not an evaluator; write evaluator.py or evaluator.py:evaluate")
    return check_inner_path(path) + colon + function


def _script(value: str) -> str:
    if ":" in value:
        raise ValueError(f"{quoted(value)}: ShinkaEvolve's evaluator is a program; write evaluate.py alone")
    return _evaluator(value)


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Evaluator = Annotated[str, AfterValidator(_evaluator)]
Script = Annotated[str, AfterValidator(_script)]
Programs = Annotated[tuple[InnerPath, ...], Field(strict=False), BeforeValidator(_listed)]
