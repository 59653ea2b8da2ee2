"""Islands, each with an archive of the best of every kind (MAP-Elites: Mouret and Clune 2015), and migration.

A candidate's island follows from its number, and so from the tracker alone. Each archive begins with the untouched
source, so that islands part at once and meet again only by migration: every `search.migrate` rounds an island's worker
starts from the best of the one before it (a ring; Whitley, Rana and Heckendorn 1999).
"""

import random
from collections.abc import Sequence

from loopsmith.search.policy import Choice
from loopsmith.search.tree import Node, View
from loopsmith.workflow.search import Search


class Islands:
    """A worker starts from the best of its island, or as often from the best of any cell of it, all alike."""

    def __init__(self, search: Search):
        self.count, self.migrate = search.islands, search.migrate

    def plan(self, view: View) -> Sequence[Choice]:
        rng = random.Random(view.seed)
        choices = []
        for number in range(view.first, view.first + view.count):
            island = number % self.count
            cells = self.archive(view, island - 1 if view.round % self.migrate == 0 else island)
            best = max(cells, key=lambda node: (node.worth, -node.number))
            node = best if view.round % self.migrate == 0 or rng.random() < 0.5 else rng.choice(cells)
            choices.append(Choice(parents=(node.commit,)) if node.commit else Choice())
        return choices

    def archive(self, view: View, island: int) -> list[Node]:
        """The best node of each cell of an island, by cell."""
        best: dict[tuple[str, ...], Node] = {}
        for node in view.nodes:
            if node.open and (node.number == 0 or node.number % self.count == island % self.count):
                known = best.get(node.cell)
                if known is None or node.worth > known.worth:
                    best[node.cell] = node
        return [best[cell] for cell in sorted(best)]
