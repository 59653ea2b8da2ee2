"""The first lines of the report: the result in a sentence, and its figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from loopsmith.records import Campaign
from loopsmith.report.morning.belief import Belief
from loopsmith.report.morning.words import NO_SHARE, count, gain, setting
from loopsmith.report.progress.curve import Curve
from loopsmith.report.progress.scale import plain
from loopsmith.report.status import effect_of
from loopsmith.report.summary import tried
from loopsmith.workflow import format_duration, format_money
from loopsmith.workflow.quote import one_line


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the first screen."""

    name: str
    words: str
    note: str = ""


def headline(view: dict[str, Any], drawn: Curve) -> str:
    """The result in a sentence, for every way in which a campaign can stand."""
    state, reason, counts = view["campaign"]["status"], view["campaign"]["stop_reason"], view["counts"]
    going = "So far: " if state in ("running", "paused", "interrupted", "stopped") else ""
    found, metric = effect_of(view), one_line(drawn.metric, 60)
    decided = sum(number for name, number in counts.items() if name != "candidates")
    if found is not None and drawn.steps and view["best"]["value"] is not None:
        change = f"{metric} went from {plain(drawn.steps[0].value)} to {plain(view['best']['value'])}"
        kept = count(counts["kept"], "change was kept", "changes were kept")
        size = plain(abs(found.mean)) if found.own_unit else f"{short(abs(100 * found.mean))} %"
        better = f"{size} {'better' if found.mean >= 0 else 'worse'}"
        return f"{going}{change}, {better}; {kept}."
    if not drawn.steps:
        if reason == "baseline":
            return "The untouched source did not pass its own verifier, so nothing was tried."
        return f"{going}Nothing is measured yet, so nothing is known."
    level = f"{metric} is {plain(drawn.steps[0].value)} as it was"
    if reason == "noise":
        return f"The verifier is too noisy to find anything with, so nothing was tried; {level}."
    if not decided:
        return f"{going}No candidate is decided; {level}."
    scored = counts["discarded"] + counts["quarantined"]
    if not scored:
        return f"{going}None of {count(decided, 'candidate')} got a score, so nothing was kept; {level}."
    if counts["quarantined"]:
        wait = count(counts["quarantined"], "candidate waits", "candidates wait")
        return f"{going}Nothing is kept, but {wait} for your word; {level}."
    return f"{going}Nothing was kept: no candidate of {decided:,} was shown to be better; {level}."


def facts(campaign: Campaign, view: dict[str, Any], drawn: Curve) -> tuple[Fact, ...]:
    """The figures of the first screen."""
    best, counts, found = view["best"], view["counts"], effect_of(view)
    cost, calls, kept = view["usage"]["cost_usd"], view["usage"]["calls"], view["counts"]["kept"]
    if found is None:
        gained = Fact("gain", "none shown")
    else:
        mean, low, high = (gain(each, own_unit=found.own_unit) for each in (found.mean, found.low, found.high))
        exact = campaign.exact or found.low == found.high
        note = "the metric repeats exactly" if exact else f"95 % interval {low} to {high}"
        gained = Fact("gain", mean, f"{note}; {NO_SHARE}" if found.own_unit else note)
    start = plain(drawn.steps[0].value) if drawn.steps else "not measured"
    value = f"{start} to {plain(best['value'])}" if found is not None and best["value"] is not None else start
    factor = f"{short(best['ratio'])} times as good; " if best["ratio"] else ""
    better = "higher is better" if drawn.direction == "maximize" else "lower is better"
    per_keep = f"{format_money(cost / kept)} for each kept change" if kept else "nothing was kept for it"
    money = Fact("money", format_money(cost), f"{count(calls, 'model call')}; {per_keep}") if calls else None
    others = tried(view).partition(": ")[2]
    return (
        gained,
        Fact(one_line(drawn.metric, 40), value, factor + better),
        on_hidden(campaign, view),
        money or Fact("money", "nothing", "no model was called"),
        Fact(
            "time",
            format_duration(round(campaign.elapsed)),
            f"of running, since {campaign.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        ),
        Fact("candidates", f"{counts['candidates']:,}", others),
    )


def on_hidden(campaign: Campaign, view: dict[str, Any]) -> Fact:
    before, after = view["baseline"]["holdout"], view["best"]["holdout"]
    if not setting(campaign, "verify", "holdout"):
        return Fact("on hidden data", "not known", "the workflow has no verify.holdout")
    if before is None or after is None:
        return Fact("on hidden data", "not measured", "the holdout is measured when a change is kept")
    if not before:
        return Fact("on hidden data", f"{plain(before)} to {plain(after)}")
    sign = 1 if view["objective"]["direction"] == "maximize" else -1
    return Fact("on hidden data", gain(sign * (after - before) / abs(before)), f"{plain(before)} to {plain(after)}")


def short(value: float) -> str:
    """Three digits, and never a power of ten."""
    return plain(float(f"{value:.3g}"))


def verdict(believed: Sequence[Belief], kept: bool) -> str:
    """What the beliefs come to."""
    against = sum(item.tone == "warn" for item in believed)
    if not kept:
        return "There is no gain to believe or not; this is what the campaign rested on."
    if not against:
        return "Nothing that was looked at speaks against it."
    return f"{count(against, 'thing is', 'things are')} against it, or not known: marked below."
