"""The person's own git repository around a source folder, if there is one. Only ever read here."""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pygit2

from loopsmith.workspace.ignore import Ignore


@dataclass(frozen=True, slots=True)
class Origin:
    """What git says about a source folder; empty where there is no git."""

    tracked: frozenset[str] = frozenset()  # relative to the source
    ignore: Ignore = field(default_factory=Ignore)  # the rules from above the source; its own are not in yet


def find_git(source: Path) -> tuple[pygit2.Repository, str] | None:
    """The git repository whose work tree holds a source folder, and its path in it ("" or with a slash at its end)."""
    try:
        found = pygit2.discover_repository(str(source))
        # Libgit2 runs nothing that a configuration names, so another owner's repository can be read.
        pygit2.settings.owner_validation = False
        git = pygit2.Repository(found) if found else None
    except (pygit2.GitError, KeyError):
        return None
    if git is None or git.workdir is None:
        return None
    inside = os.path.relpath(source.resolve(), Path(git.workdir).resolve())
    return git, "" if inside == "." else inside + "/"


def read_origin(source: Path) -> Origin:
    """Read the index, and the ignore rules that hold from above the source folder."""
    found = find_git(source)
    if found is None:
        return Origin()
    git, prefix = found
    try:
        tracked = frozenset(entry.path.removeprefix(prefix) for entry in git.index if entry.path.startswith(prefix))
    except (pygit2.GitError, UnicodeDecodeError):
        return Origin()  # an index that libgit2 cannot read: the ignore files alone decide
    exclude = Path(git.path, "info/exclude")
    lines = exclude.read_text("utf-8", "surrogateescape").splitlines() if exclude.is_file() else []
    ignore = Ignore(lines)
    above = ""
    for part in prefix.split("/")[:-1]:
        rules = Path(git.workdir, above, ".gitignore")
        if rules.is_file():
            ignore.add_above(above, rules.read_bytes())
        if not tracked and ignore.matches(above + part, folder=True):
            return Origin()  # a scratch folder that the repository around it ignores stands for itself
        above += part + "/"
    ignore.prefix = prefix
    return Origin(tracked, ignore)


@lru_cache(maxsize=8)
def rules_above(source: Path) -> Ignore:
    """The ignore rules that hold from above a source folder, as they were when first asked for."""
    return read_origin(source).ignore


def hidden_paths(state: Path | None, source: Path | None) -> tuple[Path, ...]:
    """What a sandboxed command must not read: loopsmith's state, and the history of the source."""
    paths = [state] if state else []
    found = find_git(source) if source else None
    if found is not None:
        git = found[0]
        paths += [Path(git.workdir, ".git"), Path(git.path)]
        common = Path(git.path, "commondir")  # a linked work tree keeps its objects elsewhere
        if common.is_file():
            paths.append(Path(git.path, common.read_text().strip()))
    return tuple(dict.fromkeys(path.resolve() for path in paths))
