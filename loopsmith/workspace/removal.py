"""Removing folders that a candidate controlled."""

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

from loopsmith.errors import HarnessError


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


def names(folder: Path) -> frozenset[str]:
    """The path of everything below a folder; links are not followed."""
    return frozenset(entry.path for entry in _below(os.fspath(folder)))


def remove_new(folder: Path, known: Collection[str]) -> None:
    """Remove what has come below a folder since its `names` were taken.

    Raises:
        HarnessError: something new cannot be removed.
    """
    for entry in [entry for entry in _below(os.fspath(folder), known) if entry.path not in known]:
        os.chmod(os.path.dirname(entry.path), 0o755)
        if entry.is_dir(follow_symlinks=False):
            remove_folder(Path(entry.path))
        else:
            os.unlink(entry.path)


def _below(folder: str, within: Collection[str] | None = None) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder; `within`: not what is in folders that are not named in it."""
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                found = list(entries)
        except OSError:  # no folder any more, or too deep
            continue
        yield from found
        waiting += [
            entry.path
            for entry in found
            if entry.is_dir(follow_symlinks=False) and (within is None or entry.path in within)
        ]
