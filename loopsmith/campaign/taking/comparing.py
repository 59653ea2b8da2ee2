"""Compare: one state of the program beside another, in pairs of runs, with the statistics of a confirmation."""

import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from loopsmith.campaign.measure.measuring import baseline_message
from loopsmith.campaign.taking.remeasure import Remeasuring
from loopsmith.errors import BaselineError
from loopsmith.records import Effect, Run
from loopsmith.verify.comparison import Compared, Standing, compare, compare_exact
from loopsmith.verify.noise import Noise, Pair, pool
from loopsmith.verify.online import HIGHEST
from loopsmith.verify.paired import Confirmation, Side, blocks
from loopsmith.verify.runner import violations
from loopsmith.verify.statistics import mean
from loopsmith.workflow import Objective, format_duration

EXACT = "exact"  # the series of the runs of a metric that repeats exactly: one of each tree serves all comparisons
CHECKED = "+checks"  # ends the series of a run that the checks came before
FAILED = Standing.FAILED


@dataclass(frozen=True, slots=True)
class State:
    """A state of the program: a commit or a tree of loopsmith's repository, and what a person calls it."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came of a comparison.

    Attributes:
        reason: a sentence.
        effect: the gain over the reference.
        pairs: of the objective's metric: (reference's value, the state's value).
        metrics: the means of every metric that was measured, of the reference and of the state.
        problem: why the state under test has no score, or breaks a constraint.
        log, tail: of the run that failed.
        runs, reused: that were made for it, and that an earlier call had made.
    """

    reference: State
    state: State
    standing: Standing
    reason: str
    effect: Effect | None = None
    pairs: tuple[Pair, ...] = ()
    metrics: dict[str, tuple[float | None, float | None]]
    problem: str = ""
    log: str | None = None
    tail: str = ""
    runs: int
    reused: int
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it verifies and is not shown to be worse."""
        return self.standing in (Standing.BETTER, Standing.SAME)

    def as_record(self) -> dict[str, Any]:
        """As JSON has it; the keys are in SPEC.md."""
        effect = self.effect
        return {
            "standing": str(self.standing),
            "reason": self.reason,
            "effect": effect.mean if effect else None,
            "interval": [effect.low, effect.high] if effect else None,
            "pairs": [list(pair) for pair in self.pairs],
            "metrics": {name: {"reference": one, "own": other} for name, (one, other) in self.metrics.items()},
            "problem": self.problem,
            "log": self.log,
            "runs": self.runs,
            "reused": self.reused,
            "notes": list(self.notes),
        }


class Pairing:
    """The pairs of two states, as they are measured.

    Args:
        tested: which of the two may fail: its checks are run, and its constraints looked at. The other must verify.
        alone: the runs stand alone; otherwise each is recorded, and those that were recorded before are used.
    """

    def __init__(self, lab: Remeasuring, reference: State, state: State, *, tested: State, alone: bool = False):
        self.lab, self.reference, self.state, self.tested = lab, reference, state, tested
        self.trees = [lab.repository.tree_id(each.id) for each in (reference, state)]
        self.key = "" if alone else EXACT if lab.exact else ":".join(self.trees)
        self.found: dict[str, list[dict[str, float]]] = {reference.id: [], state.id: []}
        self.runs = self.reused = 0
        self.failed: Run | None = None
        self.problem = ""
        self._seeds: dict[int, int] = {}

    async def pair(self, number: int, most: int) -> bool:
        """Measure a pair; False where the state under test has no score or breaks a constraint.

        Raises:
            BaselineError: the other one has none.
        """
        sides = [self.reference, self.state]
        random.Random(secrets.randbits(64)).shuffle(sides)
        for side in sides:
            if self.failed and self.found[side.id]:
                break  # the other one verified before, so that it is not the verifier that fails
            run = await self.run(side, number, most)
            if run.verdict is None:
                self.found[side.id].append(run.metrics)
            elif side == self.tested:
                self.failed, self.problem = run, run.problem
            else:
                raise BaselineError(baseline_message(run.problem, run.tail, run.log, side.name))
        if self.failed:
            return False
        return not (problem := self.broken()) or self.fail(problem)

    async def run(self, side: State, number: int, most: int = 0) -> Run:
        """One run of a side; both of a pair share a seed, as those of a confirmation do."""
        lab, first = self.lab, number == 0 and side == self.tested and bool(self.lab.settings.verify.checks)
        known = lab.known if self.key else {}
        keys = {(self.key + plus, tree, number) for tree in self.trees for plus in ("", CHECKED)}
        earlier = [known[key].seed for key in keys if key in known and self.key != EXACT]
        seed = self._seeds.setdefault(number, earlier[0] if earlier else secrets.randbits(31))
        tree, checked = lab.repository.tree_id(side.id), self.key and self.key + CHECKED
        series = checked if first or (checked, tree, number) in known else self.key
        if (series, tree, number) in known:
            self.reused += 1
        else:
            self.runs += 1
            pair = f"pair {number + 1} of at most {most}" if most > 1 else "one run"
            lab.tell(f"{pair}: {side.name}")
        return await lab.run(side.id, series=series, number=number, seed=seed, check=first)

    def fail(self, problem: str) -> bool:
        self.problem = problem
        return False

    def broken(self) -> str:
        """The constraints that the newest run of the state under test breaks, beside the other's runs so far."""
        constraints = self.lab.settings.verify.constraints
        other = self.state if self.tested == self.reference else self.reference
        means = {name: value for name, value in self.means(other).items() if value is not None}
        found = violations(constraints, self.found[self.tested.id][-1], means)
        return f"constraint not met: {'; '.join(found)}" if found else ""

    def means(self, side: State) -> dict[str, float | None]:
        runs = self.found[side.id]
        names = dict.fromkeys(name for run in runs for name in run)
        return {name: mean([run[name] for run in runs if name in run]) for name in names}

    def values(self, metric: str) -> list[Pair]:
        """The pairs so far of one metric."""
        one, other = (self.found[side.id] for side in (self.reference, self.state))
        return [(before[metric], after[metric]) for before, after in zip(one, other, strict=True)]

    def finding(self, said: Compared | None, notes: Sequence[str] = ()) -> Finding:
        """What came of the pairs so far; without words of its own, that the state under test failed."""
        if said is None:
            said = Compared(standing=FAILED, reason=f"{self.tested.name}: {self.problem}")
        one, other = self.means(self.reference), self.means(self.state)
        count = min(len(runs) for runs in self.found.values())
        metric = self.lab.settings.objective.metric
        log = self.failed.log if self.failed else None
        return Finding(
            reference=self.reference,
            state=self.state,
            standing=said.standing,
            reason=said.reason,
            effect=said.effect,
            pairs=tuple(self.values(metric)) if count == max(map(len, self.found.values())) else (),
            metrics={name: (one.get(name), other.get(name)) for name in dict.fromkeys((*one, *other))},
            problem=self.problem,
            log=str(log) if log else None,
            tail=self.failed.tail if self.failed else "",
            runs=self.runs,
            reused=self.reused,
            notes=tuple(notes),
        )


async def beside(
    lab: Remeasuring,
    reference: State,
    state: State,
    *,
    repeats: int | None = None,
    tested: State | None = None,
    alone: bool = False,
    secondary: bool = True,
) -> Finding:
    """Compare a state with a reference, until that is decided or the pairs are used up.

    Args:
        repeats: pairs, all of them; None: at most `repeats.confirm`, and one of a metric that repeats exactly.
        tested: which of the two may fail; default: the state.
        alone: nothing is recorded, and nothing recorded used.
        secondary: look at the tolerances of `decide.secondary` too.

    Raises:
        BaselineError: the one that must verify does not.
    """
    pairing = Pairing(lab, reference, state, tested=tested or state, alone=alone)
    objective, notes = lab.settings.objective, list[str]()
    noise = lab.noise(objective.metric)
    if lab.exact:
        for number in range(repeats or 1):
            if not await pairing.pair(number, repeats or 1):
                return pairing.finding(None)
        found = await exactly(pairing, notes)
        if isinstance(found, Compared):
            return pairing.finding(tolerated(pairing, found, noise) if secondary else found, notes)
        noise = found
    most = max(repeats or lab.settings.repeats.confirm, len(pairing.values(objective.metric)))
    for number in range(most):
        done = len(pairing.values(objective.metric))
        if number >= done and not await pairing.pair(number, most):
            return pairing.finding(None, notes)
        if number + 1 < max(done, repeats or 0):
            continue
        test = confirmation(pairing, noise, most)
        last = number + 1 == most
        said = compare(test, pairing.values(objective.metric), sides(pairing) if secondary else None, last=last)
        if said is not None and (last or repeats is None):
            return pairing.finding(said, notes)
    raise AssertionError("the last pair decides")


async def exactly(pairing: Pairing, notes: list[str]) -> Compared | Noise:
    """What pairs of a metric say that repeated exactly in the campaign; its noise, where it does not any more."""
    lab, objective = pairing.lab, pairing.lab.settings.objective
    pairs = pairing.values(objective.metric)
    ones, others = ({pair[side] for pair in pairs} for side in (0, 1))
    known = lab.exact_value(pairing.reference.id)
    if len(ones) == len(others) == 1 and known in (None, pairs[0][0]):
        return compare_exact(objective, *pairs[0])
    again = []
    for number in range(lab.settings.calibrate.runs):
        run = await pairing.run(pairing.reference, len(pairs) + number)
        if run.verdict is not None:
            raise BaselineError(baseline_message(run.problem, run.tail, run.log, pairing.reference.name))
        again.append(run.metrics[objective.metric])
    if {*ones, *again} == {pairs[0][0]}:
        if len(others) > 1:
            words = f"its {objective.metric} does not repeat ({', '.join(f'{value:.6g}' for value in sorted(others))})"
            return Compared(standing=FAILED, reason=f"{pairing.state.name}: {words}, and that of the other does")
        notes.append(
            f"{pairing.reference.name} measured {objective.metric} = {known:.6g} in the campaign and {pairs[0][0]:.6g} "
            "now, each time: the machine or what the verifier reads is another"
        )
        return compare_exact(objective, *pairs[0])
    notes.append(f"{objective.metric} repeated exactly in the campaign and does not now, so it is compared in pairs")
    return pool([again], [])


def tolerated(pairing: Pairing, said: Compared, noise: Noise) -> Compared:
    """What was said of a metric that repeats exactly, and of the tolerances of the secondary ones."""
    pairs = len(pairing.values(pairing.lab.settings.objective.metric))
    blocked, waiting = blocks(confirmation(pairing, noise, pairs), sides(pairing))
    if not (blocked or waiting):
        return said
    standing = Standing.FAILED if blocked else said.standing
    return replace(said, standing=standing, reason=f"{said.reason}; {blocked or waiting}")


def confirmation(pairing: Pairing, noise: Noise, pairs: int, **changes: Any) -> Confirmation:
    """The test of a comparison; `changes` are other values of its fields."""
    settings, lab = pairing.lab.settings, pairing.lab
    objective: Objective = changes.pop("objective", settings.objective)
    first = pairing.found[pairing.reference.id][0][objective.metric]
    centre = lab.level(pairing.reference.id)
    test = Confirmation(
        objective=objective,
        noise=noise,
        centre=first if centre is None else centre,
        number=1,
        level=HIGHEST,
        pairs=pairs,
        rule=settings.decide.rule,
        blocking=settings.decide.alpha,
    )
    return replace(test, **changes)


def sides(pairing: Pairing) -> dict[str, Side]:
    """The secondary metrics so far."""
    return {
        metric: Side(
            more=tolerance.more, less=tolerance.less, noise=pairing.lab.noise(metric), pairs=pairing.values(metric)
        )
        for metric, tolerance in pairing.lab.settings.decide.secondary.items()
    }


def cost_words(lab: Remeasuring, runs: int) -> str:
    """`9 runs of about 12s (1m 48s)`."""
    each = lab.run_seconds
    words = f"{runs} run" if runs == 1 else f"{runs} runs"
    return f"{words} of about {format_duration(each)} ({format_duration(each * runs)})" if each else words


@contextmanager
def told(lab: Remeasuring, prefix: str) -> Iterator[None]:
    """What is told of runs in the block begins with `prefix`."""
    tell: Callable[[str], None] = lab.tell
    lab.tell = lambda text: tell(f"{prefix}, {text}")
    try:
        yield
    finally:
        lab.tell = tell
