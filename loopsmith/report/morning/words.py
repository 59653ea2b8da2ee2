"""How a report says numbers, texts of others and commands."""

import shlex
from pathlib import Path
from typing import Any

from loopsmith.records import Campaign, Effect
from loopsmith.search.memory import gain_words

TEXT = 2000  # characters of a text that a report shows
NO_SHARE = "in the metric's own unit, as a baseline at zero has no share"


def gain(share: float, *, own_unit: bool = False) -> str:
    """`+12.3 %`, `+0.042 %`; in the metric's own unit `+5`."""
    return gain_words(share, 0.0 if own_unit else None)


def effect(found: Effect) -> str:
    """`+12.3 % (95 % interval +10.1 % to +14.5 %)`; of a metric that repeats exactly without an interval."""
    mean, low, high = (gain(each, own_unit=found.own_unit) for each in (found.mean, found.low, found.high))
    return f"{mean} (95 % interval {low} to {high})" if found.samples else mean


def count(number: int, one: str, many: str = "") -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def cut(text: str, limit: int = TEXT) -> tuple[str, str]:
    """The beginning of a text, and what was left out in words; empty when it is whole."""
    if len(text) <= limit:
        return text, ""
    size = len(text.encode("utf-8", "replace"))
    return text[:limit].rstrip(), f"cut here; it has {size:,} bytes"


def listed(words: list[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def setting(campaign: Campaign, *path: str) -> Any:
    """A setting of the workflow as it was resolved; None where an older tracker does not have it."""
    value: Any = campaign.settings
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def options(state: Path, campaign: Campaign, tracker: str | None = None) -> str:
    """The options by which a command finds a campaign from any folder.

    Args:
        tracker: its address, without a password, where it is not in the state folder.
    """
    parts = ["--state", str(state), *(["--tracker", tracker] if tracker else []), "--campaign", campaign.id]
    return shlex.join(parts)
