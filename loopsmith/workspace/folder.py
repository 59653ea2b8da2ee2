"""The folders that candidates are made and verified in, and their removal."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from loopsmith.errors import WorkflowError
from loopsmith.workspace.ignore import Ignore
from loopsmith.workspace.removal import remove_folder
from loopsmith.workspace.repository import IDENTITY, Repository
from loopsmith.workspace.sandbox import Sandbox
from loopsmith.workspace.scan import scan
from loopsmith.workspace.trees import Entry, guarded
from loopsmith.workspace.worker import WorkerWorkspace

EVERYTHING = Ignore(["/**"])
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


def make_worker_folder(
    repo: Repository,
    commit: str,
    path: Path,
    *,
    source: Path,
    links: Sequence[str],
    scratch: Path,
    sandbox: Sandbox,
    network: bool,
    mark: str,
) -> WorkerWorkspace:
    """Make the folder of a fresh worker: a commit's files and a real `.git` that holds this one commit.

    The `.git` has no history, no remote and no way to any other object. What stood at `path` before is removed.

    Args:
        source: the source folder, which `links` (paths of linked inputs) are relative to; each becomes a symbolic link.
        scratch: folder for the logs of its shell; made if need be, and kept.
        network: whether its shell has one, where there is a sandbox.
        mark: of its processes (see `process.run`).
    """
    targets = resolve_links(source, links)
    base = prepare_base(repo, commit)
    with guarded(f"making {path}"):
        workspace = WorkerWorkspace(path, scratch, sandbox, network, mark)
        workspace.remove()
        scratch.mkdir(parents=True, exist_ok=True)
        repo.checkout(commit, path)
        place_links(path, targets)
        copy_base(base, path / ".git")
        if targets:  # so that git does not show them as new
            (path / ".git/info").mkdir()
            (path / ".git/info/exclude").write_text("".join(f"/{link}\n" for link in targets))
    return workspace


def make_verification_folder(repo: Repository, commit: str, path: Path, *, source: Path, links: Sequence[str]) -> None:
    """Make a folder to verify in, without `.git`. What stood at `path` before is removed.

    A candidate's commit differs from its baseline in editable files alone (`collect` sees to it), so this holds the
    candidate's editable files and everything else as in the baseline.
    """
    targets = resolve_links(source, links)
    with guarded(f"making {path}"):
        remove_folder(path)
        repo.checkout(commit, path)
        place_links(path, targets)


def changed_files(repo: Repository, commit: str, path: Path, *, editable: Callable[[str], bool]) -> tuple[str, ...]:
    """The files of a commit that a folder no longer holds as they were, but for editable ones and new files.

    Called after a verification it tells whether the candidate's program reached for the verifier.
    """
    return altered(repo, {name: entry for name, entry in repo.entries(commit).items() if not editable(name)}, path)


def altered(repo: Repository, entries: Mapping[str, Entry], path: Path) -> tuple[str, ...]:
    """Those of some files that a folder no longer holds as they were; what else it holds does not matter."""
    found = scan(path, entries, ignore=EVERYTHING, size_of=repo.size_of, max_file_size=0)
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


def copy_base(base: Base, git: Path) -> None:
    """Write a `.git` that holds a packed commit as its branch main."""
    for folder in ("", "objects", "objects/pack", "refs"):
        os.mkdir(git / folder)
    for name in base.files:
        # Copied, not linked: a worker that overwrites its own must not harm its neighbours'.
        shutil.copyfile(base.folder / name, git / name if name == "index" else git / "objects/pack" / name)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"{base.commit} refs/heads/main\n")
    (git / "config").write_text(CONFIG)


def place_links(path: Path, links: Mapping[str, Path]) -> None:
    for name, target in links.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
