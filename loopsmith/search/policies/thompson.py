"""Thompson sampling over the tree: each node's chance that a child of it succeeds, drawn from what is believed.

The belief of a node is Beta(1 + C h, 1 + C (1 - h) + n), with h how good it is, from 0 to 1, and n how often it was
tried without a keep (Tang et al., "Code Repair with LLMs gives an Exploration-Exploitation Tradeoff", 2024). Here h
comes from the rank among all nodes, as the scale of a metric means nothing: it halves every four places.
"""

import random
from collections.abc import Sequence

from loopsmith.search.policy import Choice
from loopsmith.search.tree import View
from loopsmith.workflow.search import Search

WEIGHT = 10.0  # C: how many trials a perfect score is worth
HALVES = 4.0  # places by which h falls to a half


class Thompson:
    """A worker starts from the node whose drawn chance is the largest."""

    def __init__(self, search: Search):
        pass

    def plan(self, view: View) -> Sequence[Choice]:
        rng = random.Random(view.seed)
        tries = {node.commit: view.children(node) for node in view.open}
        good = {node.commit: 0.5 ** (place / HALVES) for place, node in enumerate(view.open)}
        choices = []
        for _ in range(view.count):
            drawn = {
                commit: rng.betavariate(1 + WEIGHT * h, 1 + WEIGHT * (1 - h) + tries[commit])
                for commit, h in good.items()
            }
            commit = max(drawn, key=lambda key: drawn[key])
            tries[commit] += 1
            choices.append(Choice(parents=(commit,)) if commit else Choice())
        return choices
