"""What is said of each occasion: short enough for a phone, with the command that shows more."""

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loopsmith.log import mask
from loopsmith.records import Campaign, CampaignStatus, Effect, Spent, Verdict
from loopsmith.search.memory import effect_words
from loopsmith.search.memory import gain_words as words_of
from loopsmith.workflow import Objective, format_count, format_duration, format_money
from loopsmith.workflow.notify import Occasion
from loopsmith.workflow.quote import one_line

HYPOTHESIS = 140  # characters of what a worker said
REASON = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One thing to tell.

    Attributes:
        key: the same for the same thing, in whichever run of the campaign.
        title: one line.
        lines: what else there is to say.
        record: the same for programs, as JSON can say it.
    """

    occasion: Occasion
    key: str
    title: str
    lines: tuple[str, ...]
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where the campaign stands when something is told of it.

    Attributes:
        baseline: the metric of the untouched source.
        best: that of the present baseline.
        gained: from the one to the other, as the result says it.
        where: the options that make a command find the campaign.
    """

    campaign: Campaign
    objective: Objective
    baseline: float | None
    best: float | None
    gained: Effect | None
    counts: dict[str, int]
    spent: Spent
    where: str

    def message(
        self,
        occasion: Occasion,
        key: str,
        said: str,
        *lines: str,
        candidate: dict[str, Any] | None = None,
        look: str,
        **more: Any,
    ) -> Message:
        """A message of this campaign.

        Args:
            said: the title, without the campaign's name.
            lines: between the title and what was spent; empty ones are left out.
            candidate: its record.
            look: the command that shows more, without the options that find the campaign.
            more: what else its record says.
        """
        command = f"loopsmith {look} {self.where}".strip()
        name = one_line(self.campaign.name, 60)
        every = [line for line in (*lines, self.words_spent(), command) if line]
        campaign = self.campaign
        record = {
            "event": occasion,
            "key": key,
            "campaign": {
                "id": campaign.id,
                "name": campaign.name,
                "status": str(campaign.status),
                "stop_reason": campaign.stop_reason,
                "message": campaign.message,
                "workflow": campaign.workflow_path,
            },
            "candidate": candidate,
            "metric": self.objective.metric,
            "baseline": self.baseline,
            "best": self.best,
            "counts": self.counts,
            "spent": {"seconds": campaign.elapsed, "cost_usd": self.spent.cost_usd, "tokens": self.spent.tokens},
            "look": command,
            **more,
        }
        return Message(
            occasion=occasion,
            key=key,
            title=mask(f"{name}: {said}"),
            lines=tuple(mask(line) for line in every),
            record=record,
        )

    def of_candidate(self, record: dict[str, Any]) -> Message:
        """A candidate that was kept, or is in quarantine."""
        number, metric = record["candidate"], self.objective.metric
        step = f"{metric} {figure(record['baseline_value'])} → {figure(record['value'])}"
        idea = one_line(record["hypothesis"] or record["summary"], HYPOTHESIS)
        if record["status"] == Verdict.KEPT:
            said = f"c{number} kept, {gain_words(record)}" if record["effect"] is not None else f"c{number} kept"
            so_far = self.words_gained() if self.counts[Verdict.KEPT] > 1 else ""
            return self.message(
                "kept", f"kept:{number}", said, step, so_far, idea, candidate=record, look=f"show {number}"
            )
        said = f"c{number} waits for you, {gain_words(record)}" if record["effect"] is not None else f"c{number} waits"
        why = one_line(record["reason"], REASON)
        review = f"loopsmith approve {number} {self.where}".strip()
        return self.message(
            "quarantined",
            f"quarantined:{number}",
            said,
            step,
            why,
            idea,
            f"{review}  (or reject)",
            candidate=record,
            look=f"show {number}",
        )

    def of_rounds(self, rounds: int, limit: int | None, key: str) -> Message:
        """Many rounds without a keep."""
        end = f"; it ends after {limit} (budget.stall_rounds)" if limit else ""
        said = f"stalled, {rounds} rounds without a keep"
        return self.message(
            "stalled",
            f"stalled:{key}",
            said,
            f"the last {rounds} rounds kept nothing{end}",
            self.words_gained(),
            look="status",
            rounds=rounds,
        )

    def of_silence(self, seconds: float, last: str, waiting: str, key: str) -> Message:
        """Nothing happened for long."""
        long = format_duration(round(seconds))
        said = f"silent for {long}"
        why = waiting or (f"the last that happened was {last}" if last else "")
        return self.message("stalled", f"silent:{key}", said, why, look="status", silent_seconds=seconds)

    def of_budget(self, limit: str, used: float, bound: float) -> Message:
        """A limit of the campaign that is nearly used."""
        share = f"{100 * used / bound:.0f} %"
        words = f"{amount(limit, used)} of {amount(limit, bound)} ({limit})"
        return self.message(
            "budget",
            f"budget:{limit}:{bound:g}",
            f"{share} of budget.{limit} used",
            words,
            self.words_gained(),
            look="status",
            limit=limit,
            used=used,
            bound=bound,
        )

    def of_end(self, run: int) -> Message:
        """The campaign ended, well or not."""
        campaign, counts = self.campaign, self.counts
        reason = one_line((campaign.message or "").partition("\n")[0], REASON)
        tried = f"{counts['candidates']} candidates, {counts[Verdict.KEPT]} kept"
        waiting = counts[Verdict.QUARANTINED]
        if waiting:
            tried += f", {waiting} {'waits' if waiting == 1 else 'wait'} for you"
        if campaign.status is CampaignStatus.FAILED:
            path = shlex.quote(campaign.workflow_path)
            again = f"loopsmith run {path} {self.where.removeprefix(f'-w {path}').strip()}".strip() + "  (goes on)"
            said = f"failed ({campaign.stop_reason})"
            return self.message("failed", f"failed:{run}", said, reason, tried, again, look="status")
        key = f"finished:{campaign.stop_reason}:{counts['candidates']}"
        word = "stopped" if campaign.status is CampaignStatus.STOPPED else "finished"
        gained = self.words_gained() or "nothing was shown to be better"
        look = "apply" if counts[Verdict.KEPT] else "status"
        said = f"{word}, {self.total() or 'no gain'}"
        return self.message("finished", key, said, reason, gained, tried, look=look)

    def total(self) -> str:
        """The gain so far as a share, such as `+50.0 %`; empty without one."""
        return effect_words(replace(self.gained, samples=0)) if self.gained else ""

    def words_gained(self) -> str:
        total = self.total()
        return total and f"so far {self.objective.metric} {figure(self.baseline)} → {figure(self.best)}, {total}"

    def words_spent(self) -> str:
        calls = self.spent.calls
        money = f", {format_money(self.spent.cost_usd)} for {format_count(calls)} model calls" if calls else ""
        return f"spent {format_duration(round(self.campaign.elapsed))}{money}"


def where(campaign: Campaign, state: Path, usual: Path, tracker: str) -> str:
    """The options that make a command find a campaign.

    Args:
        state: its state folder.
        usual: the one that its workflow names.
        tracker: the file or the address of its tracker.
    """
    shared = tracker != str(state / "tracker.db")
    words = ["-w", campaign.workflow_path] if shared or state == usual else []
    words += ["--state", str(state)] if state != usual else []
    return shlex.join([*words, "--tracker", tracker] if shared else words)


def gain_words(record: dict[str, Any]) -> str:
    """`+12.3 % (+10.1 % to +14.5 %)`."""
    parts = (words_of(record[name], record["baseline_value"]) for name in ("effect", "effect_low", "effect_high"))
    mean, low, high = parts
    return f"{mean} ({low} to {high})" if record["pairs"] else mean


def figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.5g}"


def amount(limit: str, value: float) -> str:
    """A limit's value as people write it."""
    if limit == "cost_usd":
        return format_money(value)
    return format_duration(round(value)) if limit == "wall_clock" else format_count(int(value))
