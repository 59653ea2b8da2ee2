"""Which agent of an ensemble makes which candidate: by fixed weights, or by what each brought for its money."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEAST = 0.1  # of the usual cost of a candidate, which even a free one costs in time and measurements


@dataclass(frozen=True, kw_only=True, slots=True)
class Return:
    """What one agent's decided candidates cost and brought."""

    agent: str
    candidates: int = 0
    kept: int = 0
    cost_usd: float = 0.0


def by_weight(weights: Mapping[str, float], made: Mapping[str, int], count: int) -> list[str]:
    """Agents for `count` candidates, so that all made so far come nearest to the weights.

    Args:
        weights: of those who can work, above 0.
        made: candidates so far.
    """
    so_far, chosen = dict(made), list[str]()
    for _ in range(count):
        name = min(weights, key=lambda each: (so_far.get(each, 0) + 1) / weights[each])
        so_far[name] = so_far.get(name, 0) + 1
        chosen.append(name)
    return chosen


def by_return(names: Sequence[str], returns: Mapping[str, Return], count: int, seed: int) -> list[str]:
    """Agents for `count` candidates by Thompson sampling on kept candidates per dollar.

    The chance that a candidate is kept is drawn from its Beta posterior under a uniform prior (Thompson 1933), and
    divided by what a candidate of the agent costs, for which the mean over all agents counts as one candidate more.
    """
    draw = random.Random(seed)
    total = sum(item.candidates for item in returns.values())
    usual = sum(item.cost_usd for item in returns.values()) / total if total else 0.0

    def worth(name: str) -> float:
        item = returns.get(name) or Return(agent=name)
        chance = draw.betavariate(1 + item.kept, 1 + item.candidates - item.kept)
        cost = (item.cost_usd + usual) / (item.candidates + 1)
        return chance / max(cost, LEAST * usual) if usual else chance

    return [max(names, key=worth) for _ in range(count)]
