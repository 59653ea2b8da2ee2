"""What Datasette should know of a tracker: what its tables and columns hold, how to sort them, and useful questions."""

import json
from pathlib import Path
from typing import Any

import yaml

SHIPPED = Path(__file__).with_name("datasette.yaml")


def metadata(tracker: Path) -> dict[str, Any]:
    """The metadata of Datasette for a tracker; it knows a database by the name of its file."""
    shipped: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    return {**shipped, "databases": {tracker.stem: shipped["databases"]["tracker"]}}


def metadata_text(tracker: Path) -> str:
    return json.dumps(metadata(tracker), indent=2) + "\n"
