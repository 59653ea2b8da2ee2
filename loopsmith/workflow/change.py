"""A change of the settings while a campaign goes on: what is allowed, and what the new settings are."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from loopsmith.errors import WorkflowError
from loopsmith.workflow import evaluators
from loopsmith.workflow.front import Data, KeyPath, Problem, named
from loopsmith.workflow.problems import sentences
from loopsmith.workflow.schema import Settings

AT_ONCE = ("budget",)
BETWEEN_ROUNDS = ("search", "agent", "roles", "memory", "guardrails", "repeats", "hooks")
STARTED = (("guardrails", "network"), ("hooks", "after_decision"))  # of those sections, what a campaign is started with
COMPARABLE = (("objective",), ("verify",), ("workspace", "editable"), ("workspace", "link"))


def key_of(assignment: str) -> str:
    """The dotted key of a `KEY=VALUE` text."""
    return assignment.partition("=")[0].strip()


def refusal(key: str) -> str:
    """Why a key cannot change while a campaign runs, and what to do; empty where it can."""
    path = tuple(key.split("."))
    if any(path[: len(fixed)] == fixed or fixed[: len(path)] == path for fixed in COMPARABLE):
        return (
            f"{named(path)} cannot change in a campaign, because its results would not be comparable any more; "
            "change the workflow and run it again when this campaign has ended: that starts a new one"
        )
    started = any(path[: len(fixed)] == fixed for fixed in STARTED)
    if path[0] in (*AT_ONCE, *BETWEEN_ROUNDS) and not started:
        return ""
    return (
        f"{named(path)} takes effect only when a campaign is started; `loopsmith stop`, change the workflow, "
        "and `loopsmith run` goes on with it"
    )


def problems(settings: Mapping[str, Any], assignment: str, before: Sequence[str] = ()) -> tuple[str, ...]:
    """What is wrong with a `KEY=VALUE` text, in the words of `--set`; what was wrong without it is left out.

    Args:
        settings: all of them, as the tracker holds them.
        before: other such texts that come first.
    """
    known, data = set(_broken(_data(settings, before))), _data(settings, (*before, assignment))
    new = [problem for problem in _broken(data) if problem not in known]
    return tuple(dict.fromkeys([*(problem.show("") for problem in data.problems), *(_said(data, new))]))


def changed(settings: Settings, assignments: Iterable[str]) -> Settings:
    """The settings with `KEY=VALUE` texts, the later ones on top.

    Raises:
        WorkflowError: with every problem, in the words of `--set`.
    """
    given = tuple(assignments)
    if not given:
        return settings
    data = _data(settings.model_dump(mode="json", exclude_unset=True), given)
    if wrong := [*(problem.show("") for problem in data.problems), *_said(data, _broken(data))]:
        raise WorkflowError(*dict.fromkeys(wrong))
    found = Settings.model_validate(data.values)
    sections = {key_of(text).split(".")[0] for text in given}
    return settings.model_copy(update={name: getattr(found, name) for name in sections})


def value_at(settings: Mapping[str, Any], key: str) -> Any:
    """What stands at a dotted key of settings that were dumped; None where nothing does."""
    place: Any = settings
    for part in key.split("."):
        place = place.get(part) if isinstance(place, Mapping) else None
    return place


def differing(one: Mapping[str, Any], other: Mapping[str, Any], path: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The dotted keys in which two dumps of settings differ; an agent of another kind is one key."""
    found: list[str] = []
    for name in dict.fromkeys([*one, *other]):
        left, right = one.get(name), other.get(name)
        if left == right:
            continue
        both = isinstance(left, Mapping) and isinstance(right, Mapping) and left.get("kind") == right.get("kind")
        found += differing(left, right, (*path, name)) if both else [".".join((*path, name))]  # type: ignore[arg-type]
    return tuple(found)


def _data(settings: Mapping[str, Any], assignments: Iterable[str]) -> Data:
    data, given = Data(), tuple(assignments)
    data.values = copy.deepcopy(dict(settings))
    if evaluators.kind_of(data.values.get("verify")):
        data.values["verify"].pop("command", None)  # it was made from the evaluator
    if given:
        data.origins[()] = f"--set {key_of(given[-1])}"
    data.override(given)
    return data


def _broken(data: Data) -> list[tuple[KeyPath, str]]:
    try:
        Settings.model_validate(data.values)
    except ValidationError as error:
        return list(sentences(error))
    return []


def _said(data: Data, found: Iterable[tuple[KeyPath, str]]) -> list[str]:
    return [Problem.at(data.origin(path), message).show("") for path, message in found]
