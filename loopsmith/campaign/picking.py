"""Picking: some of the kept changes without the ones before them, put on the untouched source."""

from collections.abc import Sequence
from dataclasses import dataclass

from loopsmith.campaign.comparing import Finding, State, beside
from loopsmith.campaign.remeasure import Remeasuring
from loopsmith.errors import UsageError
from loopsmith.records import Campaign, Candidate, Decision, Status
from loopsmith.tracker import Store
from loopsmith.verify.comparison import Standing
from loopsmith.workspace import Repository
from loopsmith.workspace.compose import needed, put_on

Kept = tuple[Candidate, Decision]


@dataclass(frozen=True, slots=True)
class Picked:
    """Kept changes, and the trees that come of putting each on those before it, the first on the untouched source.

    Attributes:
        alone: they are not the whole chain, so that nothing is known of them as a whole.
    """

    kept: tuple[Kept, ...]
    trees: tuple[str, ...]
    alone: bool = True

    @property
    def names(self) -> str:
        return " and ".join(f"c{candidate.number}" for candidate, _ in self.kept)

    @property
    def state(self) -> State:
        if not self.alone:
            return State(self.kept[-1][0].commit or self.trees[-1], "all kept changes")
        return State(self.trees[-1], f"{self.names} {'alone' if len(self.kept) == 1 else 'together'}")


def kept_changes(store: Store, campaign: Campaign) -> tuple[Kept, ...]:
    """The chain of kept changes, oldest first.

    Raises:
        UsageError: there is none.
    """
    kept = store.kept(campaign.id)
    if not kept:
        raise UsageError(f"{campaign.id} kept nothing, so there is no change to take or to look at")
    return kept


def everything(repository: Repository, kept: Sequence[Kept]) -> Picked:
    """The whole chain of kept changes."""
    trees = tuple(repository.tree_id(candidate.commit or "") for candidate, _ in kept)
    return Picked(tuple(kept), trees, alone=False)


def pick(store: Store, repository: Repository, campaign: Campaign, names: Sequence[str]) -> Picked:
    """The named kept changes on the untouched source, in the order in which they were kept.

    Raises:
        UsageError: one is no kept candidate, conflicts, or changes nothing there.
    """
    kept = store.kept(campaign.id)
    chain = [candidate.commit or "" for candidate, _ in kept]
    wanted = {place_of(store, campaign, kept, name) for name in names}
    if not wanted:
        raise UsageError("--pick names no candidate")
    state, trees = repository.tree_id(campaign.origin_commit), []
    for place in sorted(wanted):
        candidate = kept[place][0]
        found = put_on(repository, chain[place], state)
        if found.tree is None:
            before = [index for index in sorted(wanted) if index < place]
            missing = needed(repository, campaign.origin_commit, chain, before, place)
            others = " and ".join(f"c{kept[index][0].number}" for index in missing)
            numbers = ",".join(str(kept[index][0].number) for index in sorted({*wanted, *missing}))
            raise UsageError(
                f"c{candidate.number} does not go on the untouched source: {', '.join(found.conflicts)} conflicts, as "
                f"it needs {others}; take them together with --pick {numbers}"
            )
        if found.tree == state:
            raise UsageError(f"c{candidate.number} changes nothing there: what it did is in the others already")
        state = found.tree
        trees.append(state)
    return Picked(tuple(kept[place] for place in sorted(wanted)), tuple(trees))


def place_of(store: Store, campaign: Campaign, kept: Sequence[Kept], name: str) -> int:
    """The place of a kept candidate in the chain.

    Raises:
        UsageError: there is no such candidate, or it was not kept.
    """
    candidate = store.find_candidate(campaign.id, name)
    if candidate.status is not Status.KEPT:
        advice = "`loopsmith approve` keeps it" if candidate.status is Status.QUARANTINED else "measure it with"
        advice = advice if candidate.status is Status.QUARANTINED else f"{advice} `loopsmith verify {candidate.number}`"
        raise UsageError(f"c{candidate.number} is {candidate.status}, and only what was kept can be picked; {advice}")
    return next(place for place, (item, _) in enumerate(kept) if item.id == candidate.id)


async def confirm_alone(lab: Remeasuring, state: State, *, repeats: int | None = None, fresh: bool = False) -> Finding:
    """What is taken, as a whole, beside the untouched source. Its runs are recorded, and used again by the next call.

    Args:
        fresh: no recorded run is used, as what is taken was chosen by them.

    Raises:
        BaselineError: the untouched source does not verify.
    """
    return await beside(lab, State(lab.origin, "the untouched source"), state, repeats=repeats, alone=fresh)


def stands(finding: Finding, kept: Sequence[Kept]) -> bool:
    """Whether changes hold: shown to be better, or, where each was kept for removing lines, not shown to be worse."""
    simple = all("simplification" in decision.evidence for _, decision in kept)
    return finding.standing is Standing.BETTER or (finding.standing is Standing.SAME and simple)
