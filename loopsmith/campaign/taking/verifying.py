"""Verify: anything beside the baseline, with the campaign's verifier, for a person who wants to know."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from loopsmith.campaign.measure.holdout import PAIRS, loses
from loopsmith.campaign.measure.measuring import baseline_message
from loopsmith.campaign.taking.comparing import Finding, State, beside
from loopsmith.campaign.taking.remeasure import Remeasuring
from loopsmith.campaign.taking.target import ORIGIN, Target, baseline, find_reference
from loopsmith.errors import BaselineError
from loopsmith.verify.comparison import Standing

VERIFIED = "commit.verified"


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """What the holdout's command said of both, a value for each run; None where there is no score."""

    reference: tuple[float | None, ...]
    own: tuple[float | None, ...]
    loses: bool
    gate: bool

    @property
    def fails(self) -> bool:
        """Whether it is a loss that decides."""
        return self.gate and self.loses


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What `loopsmith verify` found."""

    target: Target
    finding: Finding
    checks: int  # commands that were run before the first measurement, and passed unless the finding says otherwise
    constraints: tuple[str, ...]  # as in the workflow
    hidden: Hidden | None
    seconds: float
    notes: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether it verifies, is not shown to be worse, and passes the gate of a holdout."""
        return self.finding.holds and not (self.hidden and self.hidden.fails)

    def as_record(self) -> dict[str, Any]:
        """As JSON has it; the keys are in SPEC.md."""
        finding, hidden = self.finding, self.hidden
        return {
            "holds": self.holds,
            "what": {"kind": self.target.kind, "name": finding.state.name, "id": finding.state.id},
            "against": {"name": finding.reference.name, "id": finding.reference.id},
            **finding.as_record(),
            "checks": self.checks,
            "constraints": list(self.constraints),
            "holdout": hidden
            and {
                "reference": list(hidden.reference),
                "own": list(hidden.own),
                "loses": hidden.loses,
                "gate": hidden.gate,
            },
            "ignored": list(self.target.ignored),
            "seconds": self.seconds,
            "notes": list(self.notes),
        }


def choose_reference(lab: Remeasuring, target: Target, against: str | None) -> tuple[Target, tuple[str, ...]]:
    """What to compare with, and what to say of that.

    Without a word of the person it is the present baseline; what holds the same as that is compared with the
    untouched source.

    Raises:
        UsageError: `against` means nothing.
    """
    if against is not None:
        return find_reference(lab, against), ()
    chosen = baseline(lab)
    if lab.repository.same_tree(target.state.id, chosen.state.id) and chosen.kind != ORIGIN:
        said = f"{target.state.name} holds the same files as {chosen.state.name}: compared with the untouched source"
        return find_reference(lab, ORIGIN), (said,)
    return chosen, ()


def expected_runs(lab: Remeasuring, repeats: int | None) -> int:
    """The most runs that a verification takes."""
    pairs = repeats or (1 if lab.exact else lab.settings.repeats.confirm)
    return 2 * pairs + (2 * PAIRS if lab.holdout else 0)


async def verify(lab: Remeasuring, target: Target, reference: Target, *, repeats: int | None = None) -> Verification:
    """Measure a state beside a reference; recorded as the event `commit.verified`, with its logs.

    Args:
        repeats: pairs, all of them; None: at most as many as of a confirmation, until it is decided.

    Raises:
        BaselineError: the reference does not verify.
    """
    one, own = reference.state, target.state
    if lab.repository.same_tree(one.id, own.id):
        said = f"{own.name} holds the same editable files as {one.name}, so nothing was measured"
        finding = Finding(reference=one, state=own, standing=Standing.SAME, reason=said, metrics={}, runs=0, reused=0)
    else:
        finding = await beside(lab, one, own, repeats=repeats, alone=True)
    hidden = None
    if lab.holdout and finding.runs and finding.holds:
        made = lab.runs
        hidden = await behind(lab, one, own)
        finding = replace(finding, runs=finding.runs + lab.runs - made)
    found = Verification(
        target=target,
        finding=finding,
        checks=len(lab.settings.verify.checks),
        constraints=tuple(f"{metric} {bound}" for metric, bound in lab.settings.verify.constraints.items()),
        hidden=hidden,
        seconds=lab.seconds,
        notes=(*lab.notes, *doubts(lab, finding)),
    )
    candidate = target.candidate.id if target.candidate else None
    record = {**found.as_record(), "logs": str(lab.folder), "tree": lab.repository.tree_id(own.id)}
    lab.store.record_event(lab.id, VERIFIED, candidate_id=candidate, **record)
    return found


def doubts(lab: Remeasuring, finding: Finding) -> tuple[str, ...]:
    """That a gain is too good to believe without looking, by `guardrails.max_gain`."""
    limit, effect = lab.settings.max_gain, finding.effect
    if limit is None or effect is None or (factor := lab.settings.objective.factor(effect.mean)) <= limit:
        return ()
    return (f"{factor:.3g}x is more than guardrails.max_gain ({limit:g}x): look at the change before you believe it",)


async def behind(lab: Remeasuring, reference: State, own: State) -> Hidden:
    """Both by the hidden command.

    Raises:
        BaselineError: it does not score the reference.
    """
    settings, objective, exact = lab.settings.verify.holdout, lab.settings.objective, lab.exact
    assert settings is not None

    async def score(side: State, number: int, seed: int) -> float | None:
        lab.tell(f"holdout {number + 1}: {side.name}")
        run = await lab.run(side.id, series="", number=number, seed=seed, hidden=True)
        if run.verdict is not None and side is reference:
            said = baseline_message(run.problem, run.tail, run.log, reference.name)
            raise BaselineError(f"verify.holdout: {said}")
        return run.metrics.get(objective.metric)

    before: list[float | None] = []
    after: list[float | None] = []
    for number in range(PAIRS):
        seed = secrets.randbits(31)
        before.append(await score(reference, number, seed))
        if exact and number:  # a loss by one run of each, which counts only where the reference repeats its own
            if before[1] == before[0]:
                before.pop()
                break
            exact = False
        after.append(await score(own, number, seed))
        if exact and (after[0] is None or not loses(objective, before, after, exact=True)):
            break
    lost = loses(objective, before, after, exact=exact)
    return Hidden(reference=tuple(before), own=tuple(after), loses=lost, gate=settings.gate)
