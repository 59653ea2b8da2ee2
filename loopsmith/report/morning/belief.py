"""Whether to believe a campaign's result, in sentences: each says what was done, found or left undone."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from loopsmith.records import Campaign, Candidate, Decision
from loopsmith.report.morning.words import count, gain, listed, setting
from loopsmith.report.progress.curve import TWO_SIDED, Curve
from loopsmith.report.progress.scale import plain
from loopsmith.tracker import Store
from loopsmith.verify.noise import PROMISE

Tone = Literal["good", "plain", "warn"]
Kept = Sequence[tuple[Candidate, Decision]]
GAP = 0.5  # of the open gain; a gain on hidden data below that is said to be a gap
NAMED = 8  # candidates that a sentence names


@dataclass(frozen=True, slots=True)
class Belief:
    """A sentence, and whether it speaks for the result (good), against it (warn), or neither."""

    words: str
    tone: Tone = "plain"


def beliefs(store: Store, campaign: Campaign, curve: Curve, view: dict[str, Any], kept: Kept) -> tuple[Belief, ...]:
    """What speaks for and against the result, the most telling first."""
    if not curve.steps:
        return (Belief("The untouched source has no measured value, so there is nothing to compare with yet.", "warn"),)
    return (
        *noise(store, campaign, curve, kept),
        *luck(campaign, curve),
        *people(curve, kept),
        *hidden(campaign, view),
        *flakes(store, campaign, view),
        *canaries(store, campaign),
        *protections(store, campaign),
        *changes(store, campaign),
    )


def noise(store: Store, campaign: Campaign, curve: Curve, kept: Kept) -> Iterator[Belief]:
    """Exact, or how noisy, and what follows for what was kept and what could be found."""
    metric = curve.metric
    if campaign.exact:
        repeated = "; each kept change repeated its value in another run" if kept else ""
        yield Belief(f"{metric} repeats exactly from run to run, so one run decides{repeated}.", "good")
        return
    if campaign.exact is None or curve.band is None:
        yield Belief(f"How noisy {metric} is was not measured, so nothing is known of its noise.", "warn")
        return
    spread = curve.band.share / TWO_SIDED
    zero = curve.steps[-1].value == 0
    size = plain(spread) if zero else f"{100 * spread:.2g} %"
    yield Belief(f"One run of {metric} scatters by {size} (standard deviation), so nothing was kept on a single run.")
    pairs = [decision.effect.samples for _, decision in kept if decision.effect and decision.effect.samples]
    if pairs:
        runs = f"{min(pairs)} to {max(pairs)}" if min(pairs) < max(pairs) else str(pairs[0])
        yield Belief(
            f"What was kept was confirmed in {runs} pairs of runs with its baseline, on fresh seeds, in random order.",
            "good",
        )
    if alpha := setting(campaign, "decide", "alpha"):
        yield Belief(
            f"Had no candidate been better, the chance of keeping any would have been {100 * alpha:g} % at most, over "
            "all of them."
        )
    confirm = setting(campaign, "repeats", "confirm")
    if confirm:
        found = math.sqrt(PROMISE / confirm) * spread
        least = plain(found) if zero else gain(found).lstrip("+")
        yield Belief(
            f"A gain of {least} is found four times in five within {confirm} pairs (repeats.confirm); of smaller ones "
            "many were missed."
        )
    events = store.events(campaign.id, name="noise.measured", limit=1, newest_first=True)
    for warning in events[0].data.get("warnings", ()) if events else ():
        yield Belief(f"Of the noise: {warning}.", "warn")
    if store.events(campaign.id, name="noise.accepted", limit=1):
        yield Belief("The baseline's runs differ so much that a person had to agree to go on (--accept-noise).", "warn")


def luck(campaign: Campaign, curve: Curve) -> Iterator[Belief]:
    """What a loop without statistics would have kept."""
    if curve.refused:
        they = "1 candidate looked" if curve.refused == 1 else f"{curve.refused:,} candidates looked"
        would = "would have kept it" if curve.refused == 1 else "would have kept them"
        if campaign.exact:
            why = f"but by less than min_effect ({setting(campaign, 'objective', 'min_effect')})"
            why += ", or with a loss on hidden data" if setting(campaign, "verify", "holdout", "gate") else ""
            yield Belief(f"{they} better, {why}; a loop that keeps whatever is better {would}.")
        else:
            why = "was refused after more runs" if curve.refused == 1 else "were refused after more runs"
            yield Belief(f"{they} better in a first run and {why}; a loop that keeps the better run {would}.", "good")
    elif curve.points:
        yield Belief("No candidate looked better in a first run and was refused.")
    if curve.overtaken:
        yield Belief(
            f"{count(curve.overtaken, 'other')} looked better too, but another of the same round came first; the best "
            "of those is tried again on the new baseline."
        )


def people(curve: Curve, kept: Kept) -> Iterator[Belief]:
    """What waits for a person, and what a person let pass."""
    if waiting := curve.counts.get("quarantined", 0):
        verb = "waits" if waiting == 1 else "wait"
        yield Belief(
            f"{count(waiting, 'candidate')} {verb} in quarantine for a person; they are not part of this.", "warn"
        )
    approved = [candidate.number for candidate, decision in kept if decision.rule == "approved"]
    if approved:
        yield Belief(f"{named(approved)} had been quarantined, and a person approved.", "warn")
    simple = [candidate.number for candidate, decision in kept if decision.evidence.get("simplification")]
    if simple:
        yield Belief(f"{named(simple)} was kept for removing lines without a loss, not for a gain.")


def hidden(campaign: Campaign, view: dict[str, Any]) -> Iterator[Belief]:
    """The gap between the data that was optimised on and the data that nobody saw."""
    before, after = view["baseline"]["holdout"], view["best"]["holdout"]
    if not setting(campaign, "verify", "holdout"):
        if view["best"]["candidate"] is not None:
            yield Belief("There is no holdout (verify.holdout): whether the gain holds on other data is not known.")
        return
    if view["best"]["candidate"] is None:
        return
    if before is None or after is None:
        yield Belief("The holdout was not measured on both ends, so the gain on hidden data is not known.", "warn")
        return
    if not before or not view["baseline"]["value"]:
        yield Belief(f"On hidden data {view['objective']['metric']} went from {plain(before)} to {plain(after)}.")
        return
    sign = 1 if view["objective"]["direction"] == "maximize" else -1
    there, open_ = sign * (after - before) / abs(before), view["best"]["effect"] or 0.0
    words = f"On hidden data the gain is {gain(there)} ({plain(before)} to {plain(after)}), in the open {gain(open_)}"
    if there < GAP * open_:
        yield Belief(f"{words}: much of it may be fitted to the open data.", "warn")
    else:
        yield Belief(f"{words}.", "good")


def flakes(store: Store, campaign: Campaign, view: dict[str, Any]) -> Iterator[Belief]:
    if number := view["campaign"]["flakes"]:
        yield Belief(f"{count(number, 'run')} of the verifier failed and then passed: it is not reliable.", "warn")
    if noticed := store.events(campaign.id, name="verifier.noticed"):
        kinds = sorted({key for event in noticed for key in event.data if key not in ("phase", "pair", "side")})
        what = listed([kind.replace("_", " ") for kind in kinds[:6]])
        yield Belief(f"{count(len(noticed), 'run')} of the verifier left something to notice: {what}.", "warn")


def canaries(store: Store, campaign: Campaign) -> Iterator[Belief]:
    events = store.events(campaign.id, name="verifier.tested", limit=1, newest_first=True)
    tried = [str(name) for name in events[0].data.get("canaries", ())] if events else []
    if tried:
        yield Belief(
            f"Before the first round the verifier refused what must not be kept: {listed(tried[:NAMED])}.", "good"
        )
    else:
        yield Belief(
            "The verifier was not tried on programs that must not be kept (verify.canaries, self_check).", "warn"
        )


def protections(store: Store, campaign: Campaign) -> Iterator[Belief]:
    events = store.events(campaign.id, name="sandbox.missing", limit=1, newest_first=True)
    if not events:
        yield Belief("Candidates ran in a sandbox with nothing missing.", "good")
        return
    missing, reason = events[0].data.get("not_protected", ()), events[0].data.get("reason")
    why = f" ({reason})" if reason else ""
    yield Belief(f"The sandbox was incomplete{why}: {'; '.join(map(str, missing))}.", "warn")


def changes(store: Store, campaign: Campaign) -> Iterator[Belief]:
    if store.events(campaign.id, name="source.changed", limit=1):
        yield Belief("Your source has changed since the campaign's snapshot; all figures are of the snapshot.", "warn")
    if edits := store.events(campaign.id, name="workflow.changed"):
        yield Belief(f"The workflow was edited {'once' if len(edits) == 1 else f'{len(edits)} times'} on the way.")


def named(numbers: list[int]) -> str:
    """`Candidate 3`, `Candidates 3, 5 and 7`."""
    shown = [str(number) for number in numbers[:NAMED]]
    more = [f"{len(numbers) - NAMED} more"] if len(numbers) > NAMED else []
    return f"Candidate{'s' if len(numbers) > 1 else ''} {listed(shown + more)}"
