"""Functions that score a folder, of a module that no other process finds: for the tests of `loopsmith.improve`."""

import os
from pathlib import Path
from typing import Any

COMMAND = "sed -n 's/^X = /METRIC score=/p' program.py"
NAMED = {"metric": "score", "direction": "maximize"}


def x_of(folder: Path) -> float:
    """The score: what X is set to, read and not run."""
    return float((folder / "program.py").read_text().split("=")[1])


def with_keys(folder: Path) -> dict[str, Any]:
    return {"score": x_of(folder), "keys": sum("KEY" in name for name in os.environ)}
