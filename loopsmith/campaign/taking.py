"""Take: what is taken of the kept changes is made smaller where that is asked for, and measured as a whole."""

from dataclasses import dataclass

from loopsmith.campaign.comparing import Finding, State
from loopsmith.campaign.minimizing import Minimized, minimize
from loopsmith.campaign.picking import Picked, confirm_alone, stands
from loopsmith.campaign.remeasure import Remeasuring
from loopsmith.campaign.verifying import Hidden, behind
from loopsmith.workflow import MinEffect


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Kept changes, measured as a whole against the untouched source.

    Attributes:
        smaller: what is left of them, where that was asked for.
        hidden: by the holdout's command, where there is one and they are no worse.
        holds: they are shown to be better, or to do no harm where they were kept for removing lines; and pass the gate
            of a holdout.
    """

    picked: Picked
    smaller: Minimized | None
    finding: Finding
    hidden: Hidden | None
    holds: bool

    @property
    def tree(self) -> str | None:
        """Of what is left of them; None: all of them."""
        return self.smaller.tree if self.smaller else None


async def take(
    lab: Remeasuring,
    picked: Picked,
    *,
    minimized: bool = False,
    margin: MinEffect | None = None,
    repeats: int | None = None,
) -> Taken:
    """Measure what is to be taken, after dropping what it can do without. Nothing is written outside loopsmith's state.

    Args:
        minimized: drop every hunk whose removal is shown to lose nothing.
        margin, repeats: as of `minimize`; the repeats of the whole are as of `confirm_alone`.

    Raises:
        UsageError, BaselineError: as `minimize` and `confirm_alone`.
    """
    state, smaller = picked.state, None
    if minimized:
        smaller = await minimize(lab, state, margin=margin, repeats=repeats)
        state = State(smaller.tree, f"what is left of {state.name}") if smaller.dropped else state
    finding = await confirm_alone(lab, state, repeats=repeats, fresh=minimized and lab.exact)
    hidden = await behind(lab, finding.reference, state) if lab.holdout and finding.holds else None
    holds = stands(finding, picked.kept) and not (hidden and hidden.fails)
    return Taken(picked=picked, smaller=smaller, finding=finding, hidden=hidden, holds=holds)
