"""Ablation: what each kept change contributes in the final state, by measuring that state without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loopsmith.campaign.comparing import Finding, State, beside, told
from loopsmith.campaign.picking import kept_changes
from loopsmith.campaign.remeasure import Remeasuring
from loopsmith.records import Candidate, Decision, Effect
from loopsmith.verify.comparison import Standing
from loopsmith.workspace.compose import Without, without

ABLATED = "campaign.ablated"
NAMED = 4  # candidates of a group that are named


@dataclass(frozen=True, kw_only=True)
class Part:
    """A kept change, and what it contributes.

    Attributes:
        others: the later changes that build on it, and were taken out with it.
        finding: the final state beside itself without these; None where that holds the same files.
        kept: the effect that it had when it was kept.
    """

    candidate: Candidate
    others: tuple[Candidate, ...]
    finding: Finding | None
    kept: Effect | None

    @property
    def contributes(self) -> bool:
        """Whether the final state needs it, or is shown to be better with it."""
        return self.finding is not None and self.finding.standing in (Standing.BETTER, Standing.FAILED)

    @property
    def note(self) -> str:
        """What the numbers do not say; empty where there is nothing."""
        if self.finding is None:
            return "nothing of it is left in the final state"
        if self.finding.standing is Standing.FAILED:
            return f"needed: without it, {self.finding.problem or self.finding.reason}"
        if self.finding.standing is Standing.WORSE:
            return "the final state is better without it"
        return "" if self.contributes else "not shown to contribute any more"


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What `loopsmith ablate` found; the finding of the whole is the final state beside the untouched source."""

    parts: tuple[Part, ...]
    whole: Finding
    runs: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def idle(self) -> tuple[Part, ...]:
        """The changes that `loopsmith apply --minimize` may be able to drop."""
        return tuple(part for part in self.parts if not part.contributes)

    def as_record(self) -> dict[str, Any]:
        """As JSON has it; the keys are in SPEC.md."""
        return {
            "parts": [
                {
                    "candidate": part.candidate.number,
                    "with": [other.number for other in part.others],
                    "hypothesis": part.candidate.hypothesis or part.candidate.summary,
                    "contributes": part.contributes,
                    "note": part.note,
                    "when_kept": effect_record(part.kept),
                    "lines_added": part.candidate.lines_added,
                    "lines_removed": part.candidate.lines_removed,
                    "finding": part.finding.as_record() if part.finding else None,
                }
                for part in self.parts
            ],
            "whole": self.whole.as_record(),
            "runs": self.runs,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }


def effect_record(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {"effect": effect.mean, "interval": [effect.low, effect.high], "pairs": effect.samples}


def states_without(lab: Remeasuring, kept: Sequence[tuple[Candidate, Decision]]) -> list[Without]:
    """The final state without each kept change, in the order in which they were kept."""
    chain = [candidate.commit or "" for candidate, _ in kept]
    return [without(lab.repository, lab.origin, chain, place) for place in range(len(chain))]


def expected_runs(lab: Remeasuring, repeats: int | None) -> int:
    """The most runs that an ablation takes, without those that were recorded before."""
    kept = kept_changes(lab.store, lab.campaign)
    final = lab.repository.tree_id(lab.campaign.baseline_commit)
    trees = {found.tree for found in states_without(lab, kept)} | {lab.repository.tree_id(lab.origin)}
    trees -= {final}
    pairs = repeats or (1 if lab.exact else lab.settings.repeats.confirm)
    return pairs * (len(trees) + 1 if lab.exact else 2 * len(trees))


async def ablate(lab: Remeasuring, *, repeats: int | None = None) -> Ablation:
    """Measure the final state beside itself without each kept change, and beside the untouched source.

    Every run is recorded as it is made, and used again by the next call. The result is the event
    `campaign.ablated`.

    Args:
        repeats: pairs of each comparison, all of them; None: as `beside`.

    Raises:
        UsageError: nothing was kept.
        BaselineError: the final state does not verify.
    """
    kept = kept_changes(lab.store, lab.campaign)
    final = State(lab.campaign.baseline_commit, "the final state")
    parts, measured = list[Part](), dict[str, Finding]()
    for (candidate, decision), found in zip(kept, states_without(lab, kept), strict=True):
        others = tuple(kept[place][0] for place in found.others)
        names = " and ".join(f"c{each.number}" for each in (candidate, *others)[:NAMED])
        finding = measured.get(found.tree)
        if finding is None and found.tree != lab.repository.tree_id(final.id):
            left = State(found.tree, f"the final state without {names}")
            with told(lab, f"change {len(parts) + 1} of {len(kept)}"):
                finding = measured[found.tree] = await beside(
                    lab, left, final, tested=left, repeats=repeats, secondary=False
                )
        parts.append(Part(candidate=candidate, others=others, finding=finding, kept=decision.effect))
    with told(lab, "all together"):
        origin = State(lab.origin, "the untouched source")
        whole = await beside(lab, origin, final, repeats=repeats, secondary=False)
    result = Ablation(parts=tuple(parts), whole=whole, runs=lab.runs, seconds=lab.seconds, notes=lab.notes)
    lab.store.record_event(lab.id, ABLATED, **result.as_record())
    return result
