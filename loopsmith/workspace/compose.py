"""Kept changes in another order than they were kept in: without those before them, or without those after.

Everything is git's three-way merge, on trees of loopsmith's own repository.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loopsmith.errors import HarnessError
from loopsmith.workspace.repository import Repository
from loopsmith.workspace.trees import guarded


@dataclass(frozen=True, slots=True)
class Composed:
    """What came of it: a tree, or the files in which the changes conflict."""

    tree: str | None
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Without:
    """A state without a change.

    Attributes:
        tree: of it.
        others: the places in the chain, from 0, of the later changes that had to go with it, as they build on it.
    """

    tree: str
    others: tuple[int, ...] = ()


def put_on(repo: Repository, commit: str, onto: str) -> Composed:
    """A kept change, against its own baseline, on another tree or commit."""
    return merged(repo, parent_of(repo, commit), onto, commit)


def put_together(repo: Repository, start: str, commits: Sequence[str]) -> tuple[Composed, str | None]:
    """Kept changes on one another, from `start` on; and the commit that conflicts, where one does."""
    state = Composed(repo.tree_id(start))
    for commit in commits:
        assert state.tree is not None
        state = put_on(repo, commit, state.tree)
        if state.tree is None:
            return state, commit
    return state, None


def without(repo: Repository, origin: str, chain: Sequence[str], place: int) -> Without:
    """The end of a chain of kept changes without one of them: its change taken back by a three-way merge.

    Where later changes conflict with that, they build on it, and are taken out too.

    Args:
        chain: commits of the kept changes, oldest first, each on the one before it, the first on `origin`.
        place: of the one to take out.
    """
    commit = chain[place]
    back = merged(repo, commit, chain[-1], parent_of(repo, commit))
    if back.tree is not None:
        return Without(back.tree)
    state, others = repo.tree_id(chain[place - 1] if place else origin), []
    for index in range(place + 1, len(chain)):
        found = put_on(repo, chain[index], state)
        if found.tree is None:
            others.append(index)
        else:
            state = found.tree
    return Without(state, tuple(others))


def needed(repo: Repository, origin: str, chain: Sequence[str], before: Sequence[int], place: int) -> tuple[int, ...]:
    """The places of the earlier kept changes that one needs to be put on: the fewest that will do, the latest first.

    Args:
        before: the places of those that it is to be put on in any case.
    """
    base = put_together(repo, origin, [chain[index] for index in before])[0].tree or origin
    missing = [index for index in range(place) if index not in before]
    for index in reversed(missing):
        state = put_on(repo, chain[index], base)
        if state.tree is not None and put_on(repo, chain[place], state.tree).tree is not None:
            return (index,)
    wanted = list(missing)
    for index in missing:  # from the oldest: what the rest can do without is left out
        fewer = [each for each in wanted if each != index]
        both = sorted({*before, *fewer})
        if put_together(repo, origin, [chain[each] for each in (*both, place)])[1] is None:
            wanted = fewer
    return tuple(wanted)


def merged(repo: Repository, ancestor: str, ours: str, theirs: str) -> Composed:
    with guarded("merging kept changes"):
        index = repo.git.merge_trees(repo.tree(ancestor), repo.tree(ours), repo.tree(theirs))
        if index.conflicts is None:
            return Composed(str(index.write_tree(repo.git)))
        paths = {side.path for sides in index.conflicts for side in sides if side is not None}
    return Composed(None, tuple(sorted(paths)))


def parent_of(repo: Repository, commit: str) -> str:
    parent = repo.parent(commit)
    if parent is None:
        raise HarnessError(f"commit {commit[:12]} has no parent, so it is no candidate's change")
    return parent
