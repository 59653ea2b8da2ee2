"""Which two candidates to cross: those that gained most on baselines of their own, and were not crossed before."""

from collections.abc import Iterator
from itertools import combinations

from loopsmith.search.tree import Node, View, likeness

NEAR = 12  # of the best by their own gain; their pairs are what is looked at


def share(view: View, part: float) -> int:
    """How many of a round's workers are crossovers, so that over all rounds they are this part of all."""
    before = view.first - 1
    return min(view.count, int(part * (before + view.count)) - int(part * before))


def pairs(view: View) -> Iterator[tuple[Node, Node]]:
    """Pairs by the sum of their gains, the best first; a candidate alone is paired with the baseline.

    Only candidates that looked better than their own baseline, and that the present one does not hold, are crossed.
    """
    tried = {frozenset(node.parents) for node in view.nodes if len(node.parents) == 2}
    near = [node for node in view.open if node.gain > 0 and not node.lines <= view.start.lines]
    near = sorted(near, key=lambda node: (-node.gain, node.number))[:NEAR]
    found = [(one.gain + other.gain, one, other) for one, other in combinations(near, 2) if likeness(one, other) < 1]
    found += [(node.gain, view.start, node) for node in near]
    found.sort(key=lambda item: (-item[0], item[1].number, item[2].number))
    for _, one, other in found:
        if frozenset((one.commit, other.commit)) not in tried:
            yield one, other
