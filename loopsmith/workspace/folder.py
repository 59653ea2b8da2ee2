"""The folders that candidates are made and verified in, and their removal."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from loopsmith.errors import HarnessError, WorkflowError
from loopsmith.workspace.ignore import CACHES, Ignore
from loopsmith.workspace.repository import IDENTITY, Repository
from loopsmith.workspace.scan import scan
from loopsmith.workspace.trees import guarded, tree_diff

CONFIG = f"""[core]
	repositoryformatversion = 0
	filemode = true
	bare = false
	logallrefupdates = true
[user]
	name = {IDENTITY[0]}
	email = {IDENTITY[1]}
[gc]
	auto = 0
"""


def resolve_links(source: Path, links: Sequence[str]) -> dict[str, Path]:
    """Where each linked input stands in a workspace, and the real path that it leads to.

    Raises:
        WorkflowError: an input does not exist or is not given as a path inside the source; one line each.
    """
    found, problems = {}, []
    for link in links:
        path = os.path.normpath(link)
        if os.path.isabs(path) or path.split("/")[0] in ("..", ".", ".git"):
            problems.append(f"workspace.link: {link} is not a path inside the source folder")
        elif not (source / path).exists():
            problems.append(f"workspace.link: {source / path} does not exist")
        else:
            found[path] = (source / path).resolve()
    if problems:
        raise WorkflowError(*problems)
    return found


def make_worker_folder(repo: Repository, commit: str, path: Path, *, links: Mapping[str, Path]) -> None:
    """Make the folder of a fresh worker: a commit's files and a real `.git` that holds this one commit.

    The `.git` has no history, no remote and no way to any other object. What stood at `path` before is removed.

    Args:
        links: as `resolve_links` returns them; each becomes a symbolic link.
    """
    base = prepare_base(repo, commit)
    with guarded(f"making {path}"):
        fresh(path)
        repo.checkout(commit, path)
        git = path / ".git"
        for folder in (git, git / "objects", git / "objects/pack", git / "refs", git / "refs/heads", git / "info"):
            os.mkdir(folder)
        for name in base.files:
            # Copied, not linked: a worker that overwrites its own must not harm its neighbours'.
            shutil.copyfile(base.folder / name, git / "objects/pack" / name if name != "index" else git / name)
        (git / "HEAD").write_text("ref: refs/heads/main\n")
        (git / "refs/heads/main").write_text(base.commit + "\n")
        (git / "config").write_text(CONFIG)
        (git / "info/exclude").write_text("".join(f"{line}\n" for line in (*CACHES, *(f"/{link}" for link in links))))
        place_links(path, links)


def make_verification_folder(
    repo: Repository,
    baseline: str,
    candidate: str,
    path: Path,
    *,
    links: Mapping[str, Path],
    editable: Callable[[str], bool],
) -> None:
    """Make a folder to verify in: the candidate's editable files, everything else as in the baseline, no `.git`.

    For the baseline itself give its commit twice. What stood at `path` before is removed.
    """
    entries = dict(repo.entries(baseline))
    if candidate != baseline:
        theirs = repo.entries(candidate)
        with guarded("comparing with the baseline"):
            deltas = tree_diff(repo.tree(baseline), repo.tree(candidate)).deltas
            differing = {name for delta in deltas for name in (delta.old_file.path, delta.new_file.path)}
        for name in filter(editable, differing):
            if name in theirs:
                entries[name] = theirs[name]
            else:
                entries.pop(name, None)
    with guarded(f"making {path}"):
        fresh(path)
        repo.write(entries, path)
        place_links(path, links)


def changed_files(repo: Repository, commit: str, path: Path, *, editable: Callable[[str], bool]) -> tuple[str, ...]:
    """The files of a commit that a folder no longer holds as they were, but for editable ones and new files.

    Called after a verification it tells whether the candidate's program reached for the verifier.
    """
    entries = {name: entry for name, entry in repo.entries(commit).items() if not editable(name)}
    found = scan(path, entries, ignore=Ignore(["/**"]), size_of=repo.size_of, max_file_size=0)
    if found.stopped:
        return (found.problems[-1],)
    return tuple(sorted({*found.deleted, *found.unread, *found.written}))


@dataclass(frozen=True, slots=True)
class Base:
    """A commit packed on its own, ready to be copied into workers' folders."""

    commit: str
    folder: Path
    files: tuple[str, ...]  # a pack, its index, and git's index of the files


def prepare_base(repo: Repository, commit: str) -> Base:
    """Pack a commit's files under a commit without parent, once for each baseline; older packs are removed."""
    alone = repo.orphan(commit)
    bases = repo.state / "bases"
    folder = bases / alone
    if not folder.exists():
        with guarded("packing the baseline"):
            if bases.exists():
                remove_folder(bases)
            new = bases / "new"
            new.mkdir(parents=True)
            pack = pygit2.PackBuilder(repo.git)
            pack.add(pygit2.Oid(hex=alone))
            pack.add_recur(repo.tree(alone).id)
            pack.write(str(new))
            index = pygit2.Index(str(new / "index"))
            for name, entry in repo.entries(alone).items():
                index.add(pygit2.IndexEntry(name, pygit2.Oid(hex=entry.oid), FileMode(entry.mode)))
            index.write()
            new.rename(folder)
    return Base(alone, folder, tuple(os.listdir(folder)))


def place_links(path: Path, links: Mapping[str, Path]) -> None:
    for name, target in links.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)


def fresh(path: Path) -> None:
    """Remove what a killed run left at `path`, and make sure that its parent exists."""
    if os.path.lexists(path):
        remove_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a folder that a candidate controlled, with read-only or very deep folders in it. Gone already is fine.

    Raises:
        HarnessError: something in it cannot be removed.
    """
    try:
        shutil.rmtree(path)
        return
    except FileNotFoundError:
        if not os.path.lexists(path):
            return
    except (OSError, RecursionError):
        pass  # a read-only folder, one too deep for Python, or no folder at all
    if not path.is_symlink():
        # Both tools walk any depth and follow no link below the folder itself.
        subprocess.run(["chmod", "-R", "u+rwX", "--", path], capture_output=True)
    removed = subprocess.run(["rm", "-rf", "--", path], capture_output=True, text=True, errors="replace")
    if os.path.lexists(path):
        raise HarnessError(f"cannot remove {path}: {removed.stderr.strip().splitlines()[-1]}")
