"""The tuner: searches the constants of the editable files; needs no model and no key.

It keeps nothing between candidates. Each worker rebuilds the search from the campaign's history, asks Optuna's
tree-structured Parzen estimator (multivariate TPE; Bergstra et al. 2011, Falkner et al. 2018) for one more set of
values, and writes it into the files.
"""

import difflib
import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopsmith.agents.constants import Constant, Value, find_constants, format_value, rewrite
from loopsmith.agents.space import Dimension, Setting, fits, make_dimension
from loopsmith.errors import WorkflowError
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief, Report, Status, Trial
from loopsmith.workflow.agent import TunerAgent

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

Params = dict[str, Value]

MEASURED = {Status.KEPT, Status.DISCARDED}
BROKEN = {Status.FAILED, Status.CRASHED, Status.TIMED_OUT, Status.REJECTED}
RANDOM_TRIALS = 8  # measured before the estimator has something to estimate from
ASKS = 24  # for values that were not tried yet, before they are listed
BEST, LATEST = 50, 250  # trials that the estimator gets of a long history, so that its cost does not grow with it
LISTED = 100_000  # sets of values, at most


class Tuner:
    """Sets the constants of the editable files to values that look promising after what was measured."""

    name = "tuner"
    resolves_conflicts = False

    def __init__(self, settings: TunerAgent):
        self.settings: Mapping[str, Setting] = settings.constants

    def check(self, folder: Path, files: Sequence[str]) -> None:
        constants = find_constants(folder, files, self.settings)
        problems = [
            f"agent.constants.{name}: {self._missing(name, folder, files)}"
            for name in self.settings
            if not any(name in _names(constant) for constant in constants)
        ]
        try:
            for constant in constants:
                make_dimension(constant, self._setting(constant))
        except ValueError as error:
            problems.append(f"agent.constants: {error}")
        if not constants and not problems:
            problems.append(
                "the tuner finds no constant in the editable files: it needs `NAME = 64` at the top level of a Python "
                "file, `#define NAME 64` in C, or names with ranges in agent.constants"
            )
        if problems:
            raise WorkflowError(*problems)

    async def work(self, brief: Brief, workspace: Workspace, services: Services) -> Report:
        constants = find_constants(workspace.path, brief.files, self.settings)
        current = {constant.key: constant.value for constant in constants}
        if not current:
            return Report(finish_reason="error", error="there is no constant left to tune in the editable files")
        trials = comparable(services.history(), current)
        try:
            space = [
                make_dimension(each, self._setting(each), (trial.params.get(each.key) for trial in trials))
                for each in constants
            ]
        except ValueError as error:
            return Report(finish_reason="error", error=str(error))
        params = propose(space, current, trials, direction=brief.direction, seed=brief.seed)
        if params is None:
            return Report(finish_reason="stopped", summary="every combination of values was tried")
        rewrite(workspace.path, constants, params)
        changes = ", ".join(
            f"{each.key} {each.text} -> {format_value(each.text, each.value, params[each.key])}"
            for each in constants
            if params[each.key] != each.value
        )
        services.progress(changes)
        measured = sum(trial.status in MEASURED for trial in trials)
        how = f"by what {measured} measured candidates show" if measured >= RANDOM_TRIALS else "at random, to explore"
        return Report(finish_reason="submitted", hypothesis=changes, summary=f"values chosen {how}", params=params)

    def _setting(self, constant: Constant) -> Setting | None:
        return next((self.settings[name] for name in _names(constant) if name in self.settings), None)

    def _missing(self, name: str, folder: Path, files: Sequence[str]) -> str:
        near = difflib.get_close_matches(name, {each.name for each in find_constants(folder, files)}, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        return f"no editable file has exactly one line that sets it to a literal{hint}"


def _names(constant: Constant) -> tuple[str, str]:
    """What the workflow may call it, the more exact one first."""
    return f"{constant.path}:{constant.name}", constant.name


def comparable(history: Iterable[Trial], current: Params) -> list[Trial]:
    """The trials whose values say something about the present code, oldest first.

    A keep without params is a change of the code by another agent: what was measured on the code before is left out.
    The tuner never tries one set of values twice, so a second trial with it is a runner-up that was carried over to
    another baseline, where other constants had changed: its value is not that of its params, unless it is the present
    baseline, of which the files tell the params.
    """
    trials = list(history)
    code = max((index for index, trial in enumerate(trials) if _changes_code(trial)), default=None)
    if code is not None:
        before = {trial.parent_commit for trial in trials[: code + 1]}
        trials = [trial for trial in trials[code + 1 :] if trial.parent_commit not in before]
    latest = max((trial.number for trial in trials if trial.status == Status.KEPT), default=None)
    result: list[Trial] = []
    seen: set[frozenset[tuple[str, Value]]] = set()
    for trial in trials:
        if not trial.params:
            continue
        if _identity(trial.params) in seen:
            if trial.number != latest:
                continue
            trial = replace(trial, params=current)
        seen.add(_identity(trial.params))
        result.append(trial)
    return result


def _changes_code(trial: Trial) -> bool:
    return trial.status == Status.KEPT and not trial.params


def _identity(params: Mapping[str, Value]) -> frozenset[tuple[str, Value]]:
    return frozenset(params.items())


def propose(
    space: Sequence[Dimension], current: Params, trials: Sequence[Trial], *, direction: str, seed: int
) -> Params | None:
    """A set of values that was not tried, near the present ones or far; None when there is none left.

    How many constants change at once is drawn first, from one to all in powers of two: changing one teaches most about
    it, and with many constants a change of all is nearly always worse, while some gains need several together.
    """
    pick = random.Random(seed)
    used = {_identity(trial.params) for trial in trials} | {_identity(current)}
    most = len(space)
    sizes = sorted({min(1 << power, most) for power in range(most.bit_length() + 1)})
    free = pick.sample(list(space), pick.choice(sizes))
    for attempt_space in (free, list(space)):
        study, distributions = _study(attempt_space, trials, direction, pick.randrange(2**32))
        for _ in range(ASKS):
            points = study.ask(distributions).params
            params = current | {each.key: each.value(points[each.key]) for each in attempt_space}
            if _identity(params) not in used and fits(attempt_space, params):
                return params
    return _untried(space, used, pick)


def _study(
    space: Sequence[Dimension], trials: Sequence[Trial], direction: str, seed: int
) -> tuple["Study", dict[str, "BaseDistribution"]]:
    """An Optuna study over some of the constants that knows what was measured."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    study = optuna.create_study(direction="maximize" if direction == "maximize" else "minimize", sampler=sampler)
    distributions = {each.key: _distribution(each) for each in space}
    for trial in _selected(trials, direction):
        if not fits(space, trial.params):
            continue
        if trial.status in MEASURED and trial.value is not None:
            state, value = optuna.trial.TrialState.COMPLETE, trial.value
        elif trial.status in BROKEN:
            state, value = optuna.trial.TrialState.PRUNED, None  # ranks below everything measured
        else:
            continue
        points = {each.key: each.point(trial.params[each.key]) for each in space}
        study.add_trial(optuna.create_trial(state=state, value=value, params=points, distributions=distributions))
    return study, distributions


def _selected(trials: Sequence[Trial], direction: str) -> list[Trial]:
    """The best and the latest trials, oldest first."""
    sign = -1 if direction == "maximize" else 1
    measured = [trial for trial in trials[:-LATEST] if trial.status in MEASURED and trial.value is not None]
    best = sorted(measured, key=lambda trial: sign * (trial.value or 0.0))[:BEST]
    return [*sorted(best, key=lambda trial: trial.number), *trials[-LATEST:]]


def _distribution(dimension: Dimension) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.kind == "choices":
        return CategoricalDistribution(dimension.choices)
    if dimension.kind == "float":
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
    return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1))


def _untried(space: Sequence[Dimension], used: set[frozenset[tuple[str, Value]]], pick: random.Random) -> Params | None:
    """Any set of values that is left, in a space small enough to be listed."""
    axes = [dimension.points() for dimension in space]
    if math.prod(len(axis) if axis else LISTED + 1 for axis in axes) > LISTED:
        return None
    names = [dimension.key for dimension in space]
    left = []
    for points in itertools.product(*(axis or () for axis in axes)):
        values = (dimension.value(point) for dimension, point in zip(space, points, strict=True))
        params = dict(zip(names, values, strict=True))
        if _identity(params) not in used:
            left.append(params)
    return pick.choice(left) if left else None
