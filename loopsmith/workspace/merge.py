"""Crossover: two candidates' changes put together on the baseline, by three-way merge."""

from dataclasses import dataclass

import pygit2
from pygit2.enums import FileMode

from loopsmith.workspace.repository import Repository
from loopsmith.workspace.trees import guarded

MARKERS = ("<<<<<<< ", ">>>>>>> ")  # begin the first and the last line of a conflict
PLAIN = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE)


@dataclass(frozen=True, slots=True)
class Merge:
    """A stored merge. Its commit's parents are the two and the baseline, and its id is the same each time."""

    commit: str
    conflicts: tuple[str, ...] = ()  # the files that hold conflict markers


def merge_candidates(repo: Repository, baseline: str, one: str, other: str, *, markers: bool) -> Merge | None:
    """Both candidates' changes on top of a baseline; one of them may be the baseline itself.

    Args:
        markers: where the two conflict, leave conflict markers in the files for a worker to resolve.

    Returns:
        None when nothing comes of it: they conflict and no markers are wanted or possible, the first conflicts with
        the baseline, or one of them adds nothing.

    Raises:
        HarnessError: the repository cannot be read or written.
    """
    with guarded(f"merging {one[:12]} and {other[:12]}"):
        alone = [_merged(repo, repo.tree(baseline), baseline, commit, markers=False) for commit in (one, other)]
        if alone[0] is None:
            return None
        both = _merged(repo, repo.tree(alone[0][0]), baseline, other, markers=markers)
        if both is None:
            return None
        useless = {repo.tree_id(baseline)} if baseline in (one, other) else {repo.tree_id(baseline), alone[0][0]}
        if alone[1] is not None and baseline != one:
            useless.add(alone[1][0])
        if both[0] in useless:
            return None
        time = max(repo.git[commit].peel(pygit2.Commit).commit_time for commit in (one, other))
        message = f"crossover of {one[:12]} and {other[:12]}\n"
        return Merge(repo.commit(both[0], [one, other, baseline], message, time=time), both[1])


def merged_from(repo: Repository, commit: str) -> tuple[str, str] | None:
    """The two that a merge was made of; None for a commit that is no merge of `merge_candidates`."""
    parents = repo.parents(commit)
    return (parents[0], parents[1]) if len(parents) == 3 else None


def lineage(repo: Repository, commit: str) -> list[str]:
    """The commits whose changes a commit's content holds, itself first, the nearest before those further away.

    A candidate's first parent is the baseline that it is compared with; its last one is what its worker started from.
    """
    found = {commit: None}
    queue = [commit]
    while queue:
        parents = repo.parents(queue.pop(0))
        for parent in parents if len(parents) == 3 else parents[-1:]:
            if parent not in found:
                found[parent] = None
                queue.append(parent)
    return list(found)


def conflicted(repo: Repository, commit: str, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a commit's files that hold conflict markers."""
    first = MARKERS[0].encode()
    return tuple(path for path in paths if any(line.startswith(first) for line in repo.read(commit, path).split(b"\n")))


def _merged(
    repo: Repository, ours: pygit2.Tree, baseline: str, commit: str, *, markers: bool
) -> tuple[str, tuple[str, ...]] | None:
    """The tree with a commit's change since it parted from the baseline, and the files with markers."""
    held = set(lineage(repo, baseline))
    ancestor = next((each for each in lineage(repo, commit) if each in held), None)
    if ancestor is None:
        return None
    index = repo.git.merge_trees(repo.tree(ancestor), ours, repo.tree(commit))
    if index.conflicts is None:
        return str(index.write_tree(repo.git)), ()
    if not markers:
        return None
    marked = []
    for sides in list(index.conflicts):
        entry = _with_markers(repo, *sides)
        if entry is None:
            return None
        del index.conflicts[entry.path]
        index.add(entry)
        marked.append(str(entry.path))
    return str(index.write_tree(repo.git)), tuple(sorted(marked))


def _with_markers(
    repo: Repository,
    ancestor: pygit2.IndexEntry | None,
    ours: pygit2.IndexEntry | None,
    theirs: pygit2.IndexEntry | None,
) -> pygit2.IndexEntry | None:
    """A text file that both changed, as git leaves it; None for anything else."""
    if ancestor is None or ours is None or theirs is None:
        return None
    sides = (ancestor, ours, theirs)
    if any(side.mode not in PLAIN for side in sides) or len({side.path for side in sides}) > 1:
        return None
    try:
        if any("\0" in repo.blob(str(side.id)).decode() for side in sides):
            return None
    except UnicodeDecodeError:
        return None
    found = repo.git.merge_file_from_index(ancestor, ours, theirs, use_deprecated=False)
    text = found if isinstance(found, str) else found.contents
    return pygit2.IndexEntry(ours.path, repo.git.create_blob((text or "").encode()), ours.mode)
