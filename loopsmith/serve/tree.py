"""The search tree for a page: the kept chain as its trunk, and beside it what started elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loopsmith.records import Status
from loopsmith.serve.charts import Bar, stacked
from loopsmith.tracker.aggregates import Branch

HEAD, TAIL = 3, 9  # steps of a long trunk that are shown at once
SIDE = 3  # side branches of a node
DEEP = 3  # levels of them


@dataclass(slots=True)
class Node:
    """A candidate of the tree, or the untouched source, which has no branch.

    Attributes:
        tried: by status, the candidates that started from it.
        bars: the same as shares of 100.
        from_: the number that a kept one started from, where that is not the one before it; 0 is the source.
        more: side branches that are not shown.
    """

    branch: Branch | None
    tried: Mapping[str, int]
    bars: tuple[Bar, ...]
    from_: int | None = None
    sides: list["Node"] = field(default_factory=list)
    more: int = 0

    @property
    def count(self) -> int:
        return sum(self.tried.values())


@dataclass(frozen=True, slots=True)
class Tree:
    """The trunk in three parts: a long one hides its middle."""

    head: tuple[Node, ...]
    middle: tuple[Node, ...]
    tail: tuple[Node, ...]


def grow(origin: str, branches: Sequence[Branch], tried: Mapping[str, Mapping[str, int]]) -> Tree:
    """The tree from its branches, by number.

    Args:
        origin: the commit of the untouched source.
        tried: by the commit that they started from: how many candidates of each status.
    """
    numbers = {origin: 0} | {branch.commit: branch.number for branch in branches if branch.commit}
    trunk = [node(None, tried.get(origin, {}))]
    nodes = {origin: trunk[0]}
    for branch in branches:
        made = node(branch, tried.get(branch.commit or "", {}))
        if branch.status is Status.KEPT:
            if branch.parent != branch.baseline and branch.parent in numbers:
                made.from_ = numbers[branch.parent]
            trunk.append(made)
        if branch.commit:
            nodes[branch.commit] = made
    for branch in branches:
        if branch.status is not Status.KEPT and branch.commit:
            parent = nodes.get(branch.parent, trunk[0])
            if parent is not nodes[branch.commit]:
                parent.sides.append(nodes[branch.commit])
    for each in trunk:
        trim(each, DEEP)
    if len(trunk) <= HEAD + TAIL + 2:
        return Tree(tuple(trunk), (), ())
    return Tree(tuple(trunk[:HEAD]), tuple(trunk[HEAD:-TAIL]), tuple(trunk[-TAIL:]))


def node(branch: Branch | None, tried: Mapping[str, int]) -> Node:
    return Node(branch, tried, stacked(tried))


def trim(each: Node, depth: int) -> None:
    """Keep a node's best side branches, down to a depth."""
    each.sides.sort(key=worth, reverse=True)
    most = SIDE if depth else 0
    each.more = len(each.sides) - len(each.sides[:most])
    each.sides = each.sides[:most]
    for side in each.sides:
        trim(side, depth - 1)


def worth(each: Node) -> tuple[int, float]:
    """Those that others started from first, then by what they gained."""
    effect = each.branch.effect if each.branch else None
    return each.count, float("-inf") if effect is None else effect
