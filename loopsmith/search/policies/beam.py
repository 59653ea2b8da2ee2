"""Beam: the best few parents that really differ from each other, in turn."""

from collections.abc import Sequence

from loopsmith.search.policy import Choice
from loopsmith.search.tree import Node, View, likeness
from loopsmith.workflow.search import Search

TRIES = 8  # children after which a parent other than the baseline leaves the beam
ALIKE = 0.75  # of their changed lines in common: two changes of which a beam needs one


class Beam:
    """The baseline first, then the best others that are not much like one before, and were not tried often."""

    def __init__(self, search: Search):
        self.width = search.beam

    def plan(self, view: View) -> Sequence[Choice]:
        beam: list[Node] = [view.start]
        for node in view.open:
            fresh = view.children(node) < TRIES
            if fresh and len(beam) < self.width and all(likeness(node, other) < ALIKE for other in beam):
                beam.append(node)
        chosen = (beam[(view.first + index) % len(beam)] for index in range(view.count))
        return [Choice(parents=(node.commit,)) if node.commit else Choice() for node in chosen]
