"""When a campaign will end: which limit is met first at the rate so far. An estimate, and said as one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EARLY = 0.01  # of a limit; below, its rate says nothing
RATED = ("candidates", "rounds", "cost_usd", "tokens")


@dataclass(frozen=True, slots=True)
class Forecast:
    """The limit that is met first.

    Attributes:
        limit: its name, as in `budget`.
        seconds: of running time until then; 0 when it is met.
        certain: whether it comes at that time whatever happens before, as the wall clock does.
    """

    limit: str
    seconds: float
    certain: bool = False


def forecast(budget: Mapping[str, Mapping[str, Any]]) -> Forecast | None:
    """The first limit to be met; None where there is no limit, or too little is used to tell.

    Args:
        budget: for each limit what is `used` and the `limit`, as `report.status` has them.
    """
    elapsed = budget["wall_clock"]["used"]
    found = []
    for name in RATED:
        used, limit = budget[name]["used"], budget[name]["limit"]
        if limit is not None and used >= limit:
            found.append(Forecast(name, 0.0))
        elif limit and elapsed > 0 and used / limit >= EARLY:
            found.append(Forecast(name, elapsed * (limit - used) / used))
    stall, rounds = budget["stall_rounds"], budget["rounds"]["used"]
    if stall["limit"] is not None and rounds and elapsed > 0 and stall["used"]:
        found.append(Forecast("stall_rounds", elapsed / rounds * max(0, stall["limit"] - stall["used"])))
    if (limit := budget["wall_clock"]["limit"]) is not None:
        found.append(Forecast("wall_clock", max(0.0, limit - elapsed), certain=True))
    return min(found, key=lambda each: each.seconds, default=None)
