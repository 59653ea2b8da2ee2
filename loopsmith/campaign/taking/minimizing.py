"""Minimize: drop from a patch every hunk whose removal loses nothing, shown by measurement.

The search is delta debugging (ddmin; Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE
TSE 28(2), 2002) over hunks, without its step to subsets, which hardly ever pass where a patch gains something: the
result is 1-minimal all the same, as no single hunk that is left can go. Each smaller patch is compared with the whole
one, so that losses do not add up. Of a noisy metric the test is that of `decide.simplify`: not to lose the margin. The
tests of a call share `decide.alpha` (`verify.online`), apart from the campaign's.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopsmith.campaign.taking.comparing import Pairing, State, confirmation, sides, told
from loopsmith.campaign.taking.remeasure import Remeasuring
from loopsmith.errors import UsageError
from loopsmith.records import Effect, Verdict
from loopsmith.verify.changes import Baseline
from loopsmith.verify.guardrails import check_patch
from loopsmith.verify.noise import pairs_needed
from loopsmith.verify.online import level
from loopsmith.verify.paired import blocks, next_step
from loopsmith.verify.statistics import judge_exact, needed_share
from loopsmith.workflow import MinEffect, Objective
from loopsmith.workspace.hunks import Hunk, hunks, with_hunks

MINIMIZED = "patch.minimized"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A removal that was tried.

    Attributes:
        hunks: that were taken out, beyond those that were out already.
        dropped: they stay out.
        reason: a sentence.
        effect: of the smaller patch over the whole one.
    """

    hunks: tuple[Hunk, ...]
    dropped: bool
    reason: str
    effect: Effect | None = None


@dataclass(frozen=True, kw_only=True)
class Minimized:
    """What is left of a patch.

    Attributes:
        tree: of the source with it.
        margin: what a removal was shown not to lose, in words.
    """

    tree: str
    kept: tuple[Hunk, ...]
    dropped: tuple[Hunk, ...]
    trials: tuple[Trial, ...]
    margin: str
    runs: int
    seconds: float

    def as_record(self) -> dict[str, Any]:
        return {
            "tree": self.tree,
            "kept": [f"{hunk.place} {hunk.lines}" for hunk in self.kept],
            "dropped": [f"{hunk.place} {hunk.lines}" for hunk in self.dropped],
            "trials": [
                {
                    "hunks": [hunk.place for hunk in trial.hunks],
                    "dropped": trial.dropped,
                    "reason": trial.reason,
                    "effect": trial.effect.mean if trial.effect else None,
                }
                for trial in self.trials
            ],
            "margin": self.margin,
            "runs": self.runs,
            "seconds": self.seconds,
        }


async def minimize(
    lab: Remeasuring, whole: State, *, margin: MinEffect | None = None, repeats: int | None = None
) -> Minimized:
    """Drop from the patch between the untouched source and a state what it can do without.

    Every run is recorded as it is made, and used again by the next call. The result is the event `patch.minimized`.

    Args:
        margin: the loss that a removal must be shown not to have; None: `objective.min_effect`, and of a metric that
            repeats exactly nothing at all.
        repeats: pairs of each test at most; None: as of a confirmation.

    Raises:
        UsageError: the metric is noisy and there is no margin.
        BaselineError: the whole patch does not verify.
    """
    search = Search(lab, whole, objective_with(lab, margin), repeats or lab.settings.repeats.confirm)
    left = await ddmin(search.pieces, search.can_go)
    result = Minimized(
        tree=with_hunks(lab.repository, lab.origin, whole.id, left),
        kept=tuple(left),
        dropped=tuple(hunk for hunk in search.pieces if hunk not in left),
        trials=tuple(search.trials),
        margin=str(search.objective.min_effect) if search.objective.min_effect.value else "nothing",
        runs=lab.runs,
        seconds=lab.seconds,
    )
    lab.store.record_event(lab.id, MINIMIZED, **result.as_record())
    return result


def objective_with(lab: Remeasuring, margin: MinEffect | None) -> Objective:
    """The objective, its `min_effect` being the margin.

    Raises:
        UsageError: the metric is noisy and there is none, so that nothing can be shown.
    """
    objective = lab.settings.objective
    chosen = margin or (MinEffect() if lab.exact else objective.min_effect)
    if not lab.exact and not chosen.value:
        raise UsageError(
            f"{objective.metric} is noisy, so a removal can only be shown to lose less than some margin, and "
            "objective.min_effect is 0; give one with --margin 1%"
        )
    return objective.model_copy(update={"min_effect": chosen})


def advice(lab: Remeasuring, margin: MinEffect | None, repeats: int | None) -> str:
    """What a person should know before it starts: whether the pairs can show the margin at all; empty: they can."""
    objective = objective_with(lab, margin)
    pairs, centre = repeats or lab.settings.repeats.confirm, lab.level(lab.campaign.baseline_commit) or 1.0
    if lab.exact:
        return ""
    wanted = pairs_needed(lab.noise(objective.metric), needed_share(objective, centre))
    if wanted <= pairs:
        return ""
    return (
        f"to show that a removal loses less than {objective.min_effect} takes about {wanted} pairs, and {pairs} are "
        "made at most, so that little can be dropped; raise --repeats or --margin"
    )


def expected_trials(count: int) -> int:
    """How many removals are tried of so many hunks where nothing can go; each that goes adds some, or saves many."""
    trials, parts = 0, 2
    while count > 1:
        trials += min(parts, count)
        if parts >= count:
            break
        parts *= 2
    return trials


@dataclass
class Search:
    """The tests of one minimization: can a patch do without some of its hunks?"""

    lab: Remeasuring
    whole: State
    objective: Objective
    repeats: int
    trials: list[Trial] = field(default_factory=list)
    tests: int = 0
    found: int = 0  # those of them by which something was dropped
    known: dict[str, bool] = field(default_factory=dict)  # by tree
    out: set[Hunk] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.pieces = hunks(self.lab.repository, self.lab.origin, self.whole.id)
        self.faults = self.rules(self.whole.id)

    async def can_go(self, rest: Sequence[Hunk]) -> bool:
        """Whether the patch with these hunks alone is shown to lose nothing beside the whole one."""
        tree = with_hunks(self.lab.repository, self.lab.origin, self.whole.id, rest)
        if tree not in self.known:
            removed = tuple(hunk for hunk in self.pieces if hunk not in rest and hunk not in self.out)
            names = ", ".join(hunk.place for hunk in removed[:3]) + (", ..." if len(removed) > 3 else "")
            with told(self.lab, f"removal {len(self.trials) + 1} ({names})"):
                dropped, reason, effect = await self.test(State(tree, "the smaller patch"))
            self.trials.append(Trial(hunks=removed, dropped=dropped, reason=reason, effect=effect))
            self.known[tree] = dropped
        if self.known[tree]:
            self.out = set(self.pieces) - set(rest)
        return self.known[tree]

    async def test(self, smaller: State) -> tuple[bool, str, Effect | None]:
        """Whether a smaller patch is not worse than the whole one, why, and by how much."""
        if broken := self.rules(smaller.id) - self.faults:
            return False, f"breaks a rule: {sorted(broken)[0]}", None
        pairing = Pairing(self.lab, self.whole, smaller, tested=smaller)
        metric, exact = self.objective.metric, self.lab.exact
        share = level(self.lab.settings.decide.alpha, self.tests, self.found)
        self.tests += 1
        waiting = ""
        for number in range(self.repeats):
            if not await pairing.pair(number, 1 if exact else self.repeats):
                return False, pairing.problem, None
            values = pairing.values(metric)
            test = confirmation(
                pairing,
                self.lab.noise(metric),
                self.repeats,
                objective=self.objective,
                simplifies=True,
                number=self.tests,
                level=share,
            )
            if exact:
                gone, why, effect = self.judge(*values[number])
                blocked, waiting = blocks(test, sides(pairing))
                if not gone or not waiting:
                    return gone and not blocked, f"{why}; {blocked}" if blocked else why, effect
                continue
            decision = next_step(test, values, sides(pairing))
            if decision is not None:
                dropped = decision.verdict is Verdict.KEPT
                self.found += dropped
                return dropped, decision.reason, decision.effect
        return False, waiting, None

    def judge(self, whole: float, smaller: float) -> tuple[bool, str, Effect | None]:
        """By one run of each."""
        decision = judge_exact(self.objective, [whole], smaller, simplifies=True)
        kept = decision.verdict is Verdict.KEPT or self.objective.gain(whole, smaller) >= 0
        return kept, decision.reason, decision.effect

    def rules(self, tree: str) -> set[str]:
        """The guardrails on content that the patch from the untouched source to a tree breaks."""
        repository, origin = self.lab.repository, self.lab.origin
        baseline = Baseline(
            files={path: entry.oid for path, entry in repository.entries(origin).items() if not entry.symlink},
            read=repository.blob,
            editable=self.lab.workflow.editable,
        )
        found = check_patch(repository.patch(origin, tree), self.lab.settings.guardrails, baseline)
        return {re.sub(r":\d+: ", ": ", problem, count=1) for problem in found}  # lines move with what is taken out


async def ddmin(pieces: Sequence[Hunk], can_go: Callable[[Sequence[Hunk]], Awaitable[bool]]) -> list[Hunk]:
    """The pieces that are left when no part can be taken out any more; never none.

    Args:
        can_go: whether the pieces that it is given do without all others.
    """
    left, parts, failed = list(pieces), 2, 0
    place = 0
    while len(left) > 1:
        parts = min(parts, len(left))
        bounds = [len(left) * index // parts for index in range(parts + 1)]
        place %= parts
        rest = left[: bounds[place]] + left[bounds[place + 1] :]
        if rest and await can_go(rest):
            left, parts, failed = rest, max(parts - 1, 2), 0
            continue
        place, failed = place + 1, failed + 1
        if failed >= parts:
            if parts == len(left):
                break
            parts, place, failed = 2 * parts, 0, 0
    return left
