"""Which kinds of ideas a round tries: Thompson sampling over what each kind has brought, where old results fade.

Each kind's chance of a keep is a Beta distribution over its record; a draw from each, the largest wins (Thompson 1933;
Chapelle and Li 2011). A result counts half after HALF_LIFE rounds, so that no kind is given up for ever.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loopsmith.records import Candidate, Status

CATEGORIES: Mapping[str, str] = {
    "algorithm": "another method or formulation for a step",
    "less_work": "skip, share, cache, precompute or stop early",
    "data": "layout, types, precision, order of access",
    "parallel": "vectors, threads, batches, overlap of work",
    "tuning": "constants, sizes, schedules, orders, thresholds",
    "repair": "a weakness or fault that costs quality or time",
    "simplify": "fewer steps or parts, with nothing lost",
    "wild": "unlike everything in the history",
}
HALF_LIFE = 5.0  # rounds


@dataclass(frozen=True, slots=True)
class Record:
    """What a category brought: candidates tried and kept, and both weighed by their age."""

    tried: int = 0
    kept: int = 0
    tried_lately: float = 0.0
    kept_lately: float = 0.0


def records(candidates: Iterable[Candidate], round_number: int) -> dict[str, Record]:
    """Each category's record before a round, from the decided candidates that have one."""
    found = dict.fromkeys(CATEGORIES, Record())
    for candidate in candidates:
        before = found.get(str(candidate.plan.get("category", "")))
        if before is None or not candidate.status.final:
            continue
        age = max(0, round_number - 1 - int(candidate.round_id.rpartition(".r")[2]))
        weight, kept = 0.5 ** (age / HALF_LIFE), candidate.status is Status.KEPT
        found[candidate.plan["category"]] = Record(
            tried=before.tried + 1,
            kept=before.kept + kept,
            tried_lately=before.tried_lately + weight,
            kept_lately=before.kept_lately + weight * kept,
        )
    return found


def draw(found: Mapping[str, Record], count: int, seed: int) -> Counter[str]:
    """How many of `count` hypotheses each category gets; no more than half of them, where there are several."""
    rng, chosen = random.Random(seed), Counter[str]()
    most = max(1, (count + 1) // 2)
    for _ in range(count):
        chances = {
            name: rng.betavariate(1 + record.kept_lately, 1 + record.tried_lately - record.kept_lately)
            for name, record in found.items()
            if chosen[name] < most
        }
        chosen[max(chances, key=lambda name: chances[name])] += 1
    return chosen
