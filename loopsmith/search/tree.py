"""The tree of a campaign's candidates, as a search policy sees it. Plain values: no database, no git."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from loopsmith.records import Verdict

OPEN = (Verdict.KEPT, Verdict.DISCARDED)  # what was verified; a quarantined one waits for a person


@dataclass(frozen=True, kw_only=True)
class Node:
    """A decided candidate, or the untouched source, which has the number 0.

    Attributes:
        commit: None where it left no change.
        parents: the commits that it started from; two for a crossover.
        score: in the metric's unit, more is better, over the untouched source. Each step of it was measured against
            the baseline of its time, so that a machine that drifts does not show. None: not measured.
        gain: likewise, over its own baseline.
        cell: where it stands among different kinds of change; islands keep the best of each.
        lines: what differs from the untouched source, as hashes of changed lines.
    """

    number: int
    commit: str | None
    parents: tuple[str, ...]
    verdict: Verdict
    score: float | None
    gain: float = 0.0
    cell: tuple[str, ...] = ()
    lines: frozenset[int] = frozenset()

    @property
    def open(self) -> bool:
        """Whether a worker may start from it."""
        return self.commit is not None and self.score is not None and self.verdict in OPEN

    @property
    def worth(self) -> float:
        """The score, for an order."""
        return float("-inf") if self.score is None else self.score


@dataclass(frozen=True, kw_only=True)
class View:
    """All that a policy knows when it plans a round.

    Attributes:
        nodes: the untouched source and every decided candidate, by number.
        first: the number of the first of the round's workers that the policy places; the others follow it.
        count: how many workers it places.
        seed: of this round; the same when a killed campaign plans it again.
    """

    baseline: str
    nodes: Sequence[Node]
    round: int
    first: int
    count: int
    seed: int

    @cached_property
    def start(self) -> Node:
        """The baseline's own node."""
        return next(node for node in self.nodes if node.commit == self.baseline)

    @cached_property
    def open(self) -> tuple[Node, ...]:
        """The nodes that a worker may start from, the best first, each content once."""
        found: dict[frozenset[int], Node] = {self.start.lines: self.start}
        for node in sorted((node for node in self.nodes if node.open), key=lambda node: (-node.worth, node.number)):
            found.setdefault(node.lines, node)
        return tuple(sorted(found.values(), key=lambda node: (-node.worth, node.number)))

    def children(self, node: Node) -> int:
        """How many decided candidates started from a node."""
        return self._children.get(node.commit or "", 0)

    @cached_property
    def _children(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for node in self.nodes:
            for parent in node.parents:
                found[parent] = found.get(parent, 0) + 1
        return found


def likeness(one: Node, other: Node) -> float:
    """How much of two changes is the same: shared lines over all lines (Jaccard), from 0 to 1."""
    union = one.lines | other.lines
    return len(one.lines & other.lines) / len(union) if union else 1.0
