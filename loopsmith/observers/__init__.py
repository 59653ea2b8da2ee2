"""Observers: other tools that are told of a campaign while it runs, and the ways to tell a person.

An observer registers under the entry point group `loopsmith.observers`; see `protocols.Observer`. The built-in ones
register the same way. Importing this package imports none of the tools; building an observer finds out whether its
package is there.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, cast

from loopsmith.errors import WorkflowError
from loopsmith.protocols import Observer
from loopsmith.workflow.observe import GROUP, Observe


def build(settings: Observe) -> dict[str, Observer]:
    """The observers that the settings ask for, by name.

    Raises:
        WorkflowError: with the problems of all of them: not installed, a package is missing, settings that cannot work.
    """
    made: dict[str, Observer] = {}
    problems: list[str] = []
    points = {point.name: point for point in entry_points(group=GROUP)}
    for name, given in settings.members().items():
        if name not in points:
            known = ", ".join(sorted(points)) or "none; install loopsmith itself with pip"
            problems.append(f"observe.{name}: no such observer is installed; there are: {known}")
            continue
        try:
            factory = cast(Callable[[Any], Observer], points[name].load())
        except (ImportError, AttributeError) as error:
            problems.append(f"observe.{name} ({points[name].value}) cannot be loaded: {error}")
            continue
        try:
            made[name] = factory(given)
        except WorkflowError as error:
            problems += [f"observe.{name}: {problem}" for problem in error.problems]
    if problems:
        raise WorkflowError(*problems)
    return made


def require(package: str, extra: str) -> None:
    """Raise WorkflowError, with the extra that brings it, unless a package is installed. Nothing is imported."""
    try:
        there = find_spec(package) is not None
    except ModuleNotFoundError:  # of a package around it
        there = False
    if not there:
        raise WorkflowError(f"the package {package} is not installed; pip install 'loopsmith[{extra}]'")
