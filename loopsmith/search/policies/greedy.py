"""Greedy: every worker starts from the baseline."""

from collections.abc import Sequence

from loopsmith.search.policy import Choice
from loopsmith.search.tree import View
from loopsmith.workflow.search import Search


class Greedy:
    """The default."""

    def __init__(self, search: Search):
        pass

    def plan(self, view: View) -> Sequence[Choice]:
        return [Choice()] * view.count
