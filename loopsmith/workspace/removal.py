"""Removing folders that a candidate controlled."""

import os
import shutil
import subprocess
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
