"""Where a round's workers start: one protocol for policies, and the slots that come of their choices."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, cast

from loopsmith.errors import WorkflowError
from loopsmith.records import Slot
from loopsmith.search.tree import View
from loopsmith.workflow.search import Search

GROUP = "loopsmith.policies"
MERGE = "merge"  # the agent of a crossover that needs no worker
EMPHASES = (
    "Make the one change from which you expect most.",
    "Question the method: replace a step by a different algorithm or formulation.",
    "Remove work: skip, share, cache or simplify a step that does not pay for itself.",
    "Keep the method and tune it: constants, sizes, orders, schedules, data layout.",
    "Do something unlike everything in the history and the lessons below.",
    "Combine ideas that each helped a little, or mend one that nearly worked.",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """Where one worker starts.

    Args:
        parents: commits of the view's nodes; none is the baseline, two are merged on top of it.
        emphasis: what this worker is told to look for; empty: the usual ones in turn.
    """

    parents: tuple[str, ...] = ()
    emphasis: str = ""


class Policy(Protocol):
    """Chooses where workers start. Registered under `loopsmith.policies`: a callable that takes the `search` settings.

    Only what beats the baseline is kept, wherever its worker started.
    """

    def plan(self, view: View) -> Sequence[Choice]:
        """`view.count` choices; those that are missing start from the baseline.

        Pure: the same view gives the same choices, so that a campaign that was killed goes on as it would have.
        Randomness comes from `view.seed`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """A choice that was carried out.

    Args:
        commit: what the worker starts from; None: the baseline.
        finished: a clean merge, which needs no worker.
    """

    commit: str | None = None
    emphasis: str = ""
    finished: bool = False


def build_policy(search: Search) -> Policy:
    """The policy that the settings ask for.

    Raises:
        WorkflowError: it is not installed, or its options cannot work.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if search.policy not in points:
        known = ", ".join(sorted(points)) or "none; install loopsmith itself with pip"
        raise WorkflowError(f"no search policy `{search.policy}` is installed; there are: {known}")
    try:
        factory = cast(Callable[[Search], Policy], points[search.policy].load())
    except (ImportError, AttributeError) as error:
        value = points[search.policy].value
        raise WorkflowError(f"search policy `{search.policy}` ({value}) cannot be loaded: {error}") from error
    return factory(search)


def seed_of(*parts: object) -> int:
    """A seed in [0, 2**31) that depends on all parts, the same on every machine and in every run."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def plan_slots(
    *,
    campaign_id: str,
    round_number: int,
    count: int,
    agent: str,
    hypotheses: Sequence[str] = (),
    runner_up: str | None = None,
    starts: Sequence[Start] = (),
) -> tuple[Slot, ...]:
    """The slots of a round, `count` of them.

    Args:
        hypotheses: what a planner asks for, one for each worker; workers beyond them get an emphasis instead.
        runner_up: a candidate whose patch is tried again on the new baseline, in the first slot.
        starts: where each of the others starts; the rest from the baseline.
    """
    slots = []
    if runner_up is not None and count > 0:
        slots.append(Slot(seed=seed_of(campaign_id, round_number, "retry"), agent="retry", retry_of=runner_up))
    asked = iter(hypotheses)
    for index in range(count - len(slots)):
        start = starts[index] if index < len(starts) else Start()
        seed = seed_of(campaign_id, round_number, index)
        if start.finished:
            slots.append(Slot(seed=seed, agent=MERGE, parent=start.commit))
            continue
        hypothesis = next(asked, "")
        usual = start.emphasis or EMPHASES[(round_number - 1 + index) % len(EMPHASES)]
        emphasis = "" if hypothesis else usual
        slots.append(Slot(seed=seed, agent=agent, hypothesis=hypothesis, emphasis=emphasis, parent=start.commit))
    return tuple(slots)
