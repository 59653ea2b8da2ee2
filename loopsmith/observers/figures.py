"""What the tools that draw curves are given of a campaign: numbers by candidate, and the settings that matter."""

from collections.abc import Callable
from typing import Any

from loopsmith.log import mask
from loopsmith.protocols import Happening, Watched
from loopsmith.records import Campaign, Verdict
from loopsmith.workflow.quote import one_line

SECTIONS = ("objective", "agent", "search", "budget", "decide", "repeats", "verify")
LEFT_OUT = ("verify.env", "verify.limits")
NUMBERS = ("value", "effect", "effect_low", "effect_high", "cost_usd", "seconds", "verify_seconds")
DECIDED = ("candidate.decided", "candidate.reviewed")
LONGEST = 500  # characters of a setting


class Figures:
    """The numbers of one candidate after another, with the best value and the cost so far.

    Args:
        baseline: of the untouched source; None: not measured yet.
    """

    def __init__(self, baseline: float | None):
        self.best, self.cost, self.kept, self.seen = baseline, 0.0, set[int](), set[int]()

    def of(self, record: dict[str, Any], beside: float = 0.0) -> dict[str, float]:
        """The numbers of a decided candidate by name, without those that it has not.

        Args:
            beside: the dollars so far of the calls that are no candidate's, such as a planner's.

        `value`, `best` (so far), `effect` (share of its baseline) with its interval, `cost_usd`, `cost_usd_total`,
        `tokens`, `seconds`, `verify_seconds`, `kept` (how many so far), and `metrics/NAME`.
        """
        if record["status"] == Verdict.KEPT and record["value"] is not None:
            self.best = record["value"]
            self.kept.add(record["candidate"])
        if record["candidate"] not in self.seen:
            self.cost += record["cost_usd"]
            self.seen.add(record["candidate"])
        found = {name: record[name] for name in NUMBERS}
        found |= {"best": self.best, "cost_usd_total": self.cost + beside, "kept": len(self.kept)}
        found["tokens"] = record["input_tokens"] + record["output_tokens"]
        found |= {f"metrics/{name}": value for name, value in record["metrics"].items()}
        return {name: float(value) for name, value in found.items() if value is not None}


class Curves:
    """What the observers share that draw curves over the candidates' numbers."""

    campaign: Watched

    def draw(self, number: int, numbers: dict[str, float], record: dict[str, Any] | None) -> None:
        """Show the numbers of a candidate; 0, without a record, is the untouched source."""
        raise NotImplementedError

    def catch_up(self, known: Callable[[int], bool]) -> None:
        """Draw the decided candidates that are not known yet, such as of a campaign that goes on."""
        self.figures: Figures | None = None
        for record in self.campaign.decided():
            self._take(record, new=not known(record["candidate"]))

    def observe(self, happening: Happening) -> None:
        if happening.name in DECIDED and happening.candidate is not None:
            self._take(self.campaign.record(happening.candidate))

    def _take(self, record: dict[str, Any], *, new: bool = True) -> None:
        if self.figures is None:
            self.figures, self.rounds, self.last = Figures(self.campaign.baseline), dict[int, float](), 1
            if new and self.figures.best is not None:
                self.draw(0, {"best": self.figures.best}, None)
        numbers = self.figures.of(record, self._beside(record["round"]))
        if new:
            self.draw(record["candidate"], numbers, record)

    def _beside(self, newest: int) -> float:
        """The dollars of the rounds' calls that are no candidate's; a round before may have made more since."""
        for number in range(self.last, newest + 1):
            self.rounds[number] = sum(call.usage.cost_usd for call in self.campaign.calls(round=number))
        self.last = max(self.last, newest)
        return sum(self.rounds.values())


def params(campaign: Campaign) -> dict[str, str | int | float | bool]:
    """The settings that matter, under dotted names."""
    found: dict[str, Any] = {}
    for section in SECTIONS:
        flatten(section, campaign.settings.get(section), found)
    return found


def flatten(name: str, value: Any, found: dict[str, Any]) -> None:
    if name in LEFT_OUT:
        return
    if isinstance(value, dict):
        for key, each in value.items():
            flatten(f"{name}.{key}", each, found)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for index, each in enumerate(value):
            flatten(f"{name}.{index}", each, found)
    elif isinstance(value, list):
        if value:
            found[name] = one_line(mask(", ".join(map(str, value))), LONGEST)
    elif isinstance(value, str):
        found[name] = one_line(mask(value), LONGEST)
    elif value is not None:
        found[name] = value
