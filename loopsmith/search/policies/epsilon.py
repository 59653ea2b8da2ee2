"""Epsilon-greedy: mostly the baseline, now and then any earlier candidate."""

import random
from collections.abc import Sequence

from loopsmith.search.policy import Choice
from loopsmith.search.tree import View
from loopsmith.workflow.search import Search


class Epsilon:
    """With the chance `search.epsilon` a worker starts from another candidate, all alike; else from the baseline."""

    def __init__(self, search: Search):
        self.epsilon = search.epsilon

    def plan(self, view: View) -> Sequence[Choice]:
        rng = random.Random(view.seed)
        others = [node.commit for node in view.open if node.commit and node.commit != view.baseline]
        return [
            Choice(parents=(rng.choice(others),)) if others and rng.random() < self.epsilon else Choice()
            for _ in range(view.count)
        ]
