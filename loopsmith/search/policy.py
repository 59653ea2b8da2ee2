"""Which candidates a round tries: `greedy`, where all start from the baseline."""

import hashlib
from collections.abc import Sequence

from loopsmith.records import Slot

EMPHASES = (
    "Make the one change from which you expect most.",
    "Question the method: replace a step by a different algorithm or formulation.",
    "Remove work: skip, share, cache or simplify a step that does not pay for itself.",
    "Keep the method and tune it: constants, sizes, orders, schedules, data layout.",
    "Do something unlike everything in the history and the lessons below.",
    "Combine ideas that each helped a little, or mend one that nearly worked.",
)


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
) -> tuple[Slot, ...]:
    """The slots of a round, `count` of them.

    Args:
        hypotheses: what a planner asks for, one for each worker; workers beyond them get an emphasis instead.
        runner_up: a candidate whose patch is tried again on the new baseline, in the first slot.
    """
    slots = []
    if runner_up is not None and count > 0:
        slots.append(Slot(seed=seed_of(campaign_id, round_number, "retry"), agent="retry", retry_of=runner_up))
    for index in range(count - len(slots)):
        hypothesis = hypotheses[index] if index < len(hypotheses) else ""
        emphasis = "" if hypothesis else EMPHASES[(round_number - 1 + index) % len(EMPHASES)]
        seed = seed_of(campaign_id, round_number, index)
        slots.append(Slot(seed=seed, agent=agent, hypothesis=hypothesis, emphasis=emphasis))
    return tuple(slots)
