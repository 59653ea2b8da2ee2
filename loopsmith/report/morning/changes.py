"""The kept changes of a campaign, in order: what each contributed, the evidence in words, and its patch."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from loopsmith.errors import LoopsmithError
from loopsmith.records import Campaign, Candidate, Decision, Phase
from loopsmith.report.morning.words import count, cut, effect, gain, setting
from loopsmith.report.progress.scale import plain
from loopsmith.report.status import holdout
from loopsmith.search.policy import MERGE
from loopsmith.tracker import Store
from loopsmith.workflow import Objective, format_money
from loopsmith.workflow.quote import one_line
from loopsmith.workspace import Repository

MOST = 100  # kept changes with all their words; of more the last are told
PATCH_LINES, PATCH_SIZE, ALL_PATCHES = 400, 40_000, 400_000  # lines and characters that are shown
LONG = 40  # lines from which on a patch is folded
WIDTH = 400  # characters of a line
TITLE = 110

LineKind = Literal["file", "hunk", "added", "removed", "context"]


MARKS: dict[str, LineKind] = {"@": "hunk", "+": "added", "-": "removed"}


@dataclass(frozen=True, slots=True)
class PatchLine:
    kind: LineKind
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A kept candidate.

    Attributes:
        title: its hypothesis on one line.
        hypothesis: all of it, unless that is what the title says; `hypothesis_note` tells what was cut.
        gain: over the baseline before it.
        share: of the whole campaign's gain, between 0 and 1; None where that makes no sense.
        values: `2.69 to 2.38`.
        evidence: sentences.
        facts: short pieces: category, agent, lines, cost.
        patch: against the baseline before it; `patch_note` says what is missing of it and how to see it.
    """

    number: int
    title: str
    hypothesis: str
    hypothesis_note: str
    gain: str
    share: float | None
    values: str
    evidence: tuple[str, ...]
    facts: tuple[str, ...]
    patch: tuple[PatchLine, ...]
    patch_note: str

    @property
    def long(self) -> bool:
        return len(self.patch) > LONG


def changes_of(
    store: Store,
    repository: Repository | None,
    campaign: Campaign,
    objective: Objective,
    kept: Sequence[tuple[Candidate, Decision]],
    where: str,
) -> tuple[Change, ...]:
    """The kept changes with all that is told of each; of very many only the last."""
    shares = shares_of(objective, [decision for _, decision in kept])
    room = ALL_PATCHES
    found = []
    for (candidate, decision), share in list(zip(kept, shares, strict=True))[-MOST:]:
        lines, note = patch_of(repository, candidate, room, where)
        room -= sum(len(line.text) for line in lines)
        text = candidate.hypothesis or candidate.summary
        title = one_line(text, TITLE) or "it says nothing of what it does"
        whole, cut_note = cut(text)
        found.append(
            Change(
                number=candidate.number,
                title=title,
                hypothesis="" if one_line(whole, len(whole) + 1) == title else whole,
                hypothesis_note=cut_note,
                gain=gain(decision.effect.mean, own_unit=decision.effect.own_unit)
                if decision.effect
                else "gain not known",
                share=share,
                values=values_of(decision),
                evidence=tuple(evidence(store, campaign, objective, candidate, decision)),
                facts=tuple(facts(store, candidate)),
                patch=lines,
                patch_note=note,
            )
        )
    return tuple(found)


def shares_of(objective: Objective, decisions: Sequence[Decision]) -> list[float | None]:
    """Each step's part of the whole gain: gains multiply, so the parts are of the sum of their logarithms."""
    sign = 1.0 if objective.direction == "maximize" else -1.0
    factors = [1 + sign * decision.effect.mean if decision.effect else math.nan for decision in decisions]
    if any(decision.baseline_value is not None and decision.baseline_value <= 0 for decision in decisions):
        return [None] * len(factors)
    if len(factors) < 2 or not all(factor > 0 and math.isfinite(factor) for factor in factors):
        return [None] * len(factors)
    parts = [sign * math.log(factor) for factor in factors]
    return [part / sum(parts) for part in parts] if sum(parts) > 0 and min(parts) >= 0 else [None] * len(parts)


def values_of(decision: Decision) -> str:
    if decision.value is None or decision.baseline_value is None:
        return "values not recorded"
    return f"{plain(decision.baseline_value)} to {plain(decision.value)}"


def evidence(
    store: Store, campaign: Campaign, objective: Objective, candidate: Candidate, decision: Decision
) -> Iterator[str]:
    """Why it was kept, in sentences."""
    found = decision.effect
    if found is None:
        yield "The tracker holds no effect of it."
    elif found.samples == 0:
        yield f"The metric repeats exactly: {effect(found)}; a second run gave the same values."
    else:
        e_value, level = decision.evidence.get("e_value"), decision.evidence.get("level")
        tested = f"; e-value {plain(float(e_value))}, {1 / level:.0f} needed" if e_value and level else ""
        yield f"Confirmed in {count(found.samples, 'pair')} of runs with its baseline: {effect(found)}{tested}."
    firsts = store.measurements(campaign.id, candidate_id=candidate.id, phase=Phase.SCREEN)
    first = next((item.value for item in firsts if item.metric == objective.metric and item.pair == 0), None)
    if found is not None and found.samples and first is not None and decision.baseline_value:
        yield f"Its first run alone had shown {gain(objective.gain(decision.baseline_value, first))}."
    if decision.evidence.get("simplification"):
        yield "It is a simplification: kept for removing lines while it is not worse."
    if decision.rule == "approved":
        yield f"It was quarantined, and a person approved it: {one_line(decision.reason, 300)}."
    for warning in decision.evidence.get("warnings", ()):
        yield f"Note: {one_line(str(warning), 200)}."
    if setting(campaign, "verify", "holdout") and candidate.commit:
        hidden = holdout(store, campaign, objective, candidate.commit)
        before = holdout(store, campaign, objective, store.round(candidate.round_id).baseline_commit)
        if hidden is None or not before:
            yield "On hidden data it was not measured."
        else:
            yield f"On hidden data {plain(before)} to {plain(hidden)}, {gain(objective.gain(before, hidden))}."


def facts(store: Store, candidate: Candidate) -> Iterator[str]:
    if category := candidate.plan.get("category"):
        yield one_line(str(category), 40).replace("_", " ")
    if candidate.retry_of:
        yield f"the patch of candidate {candidate.retry_of.rpartition('.')[2]}, again"
    elif candidate.agent == MERGE:
        yield "a merge of two others"
    else:
        yield f"by {one_line(candidate.agent, 60)}"
    yield f"+{candidate.lines_added} -{candidate.lines_removed} lines against its round's baseline"
    spent = store.spent(candidate.campaign_id, candidate_id=candidate.id)
    if spent.calls:
        yield f"{format_money(spent.cost_usd)} for {count(spent.calls, 'call')}"


def patch_of(
    repository: Repository | None, candidate: Candidate, room: int, where: str
) -> tuple[tuple[PatchLine, ...], str]:
    """The patch against the baseline before it, as far as there is room, and a note on the rest."""
    command = f"`loopsmith show {candidate.number} {where}`"
    if repository is None or not candidate.commit:
        return (), f"Its patch cannot be read here; {command} prints it."
    try:
        parent = repository.parent(candidate.commit)
        text = repository.diff(parent, candidate.commit) if parent else ""
    except LoopsmithError as error:
        return (), f"Its patch cannot be read: {one_line(str(error), 200)}."
    # Not splitlines: a form feed, or a line separator within a string, ends no line of a patch.
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    shown: list[str] = []
    left, whole = min(PATCH_SIZE, room), True
    for line in lines[:PATCH_LINES]:
        short = clean(line)
        left -= len(short) + 1
        if left < 0:
            break
        whole = whole and len(line) <= WIDTH
        shown.append(short)
    if whole and len(shown) == len(lines):
        return classed(shown), ""
    size = len(text.encode("utf-8", "replace"))
    shown_of = f"{len(shown):,} of {len(lines):,} lines, each to {WIDTH} characters,"
    return classed(shown), f"Shown are {shown_of} of {size:,} bytes; {command} prints the patch whole."


def clean(line: str) -> str:
    """A line of a patch without what cannot be seen, and not too long."""
    seen = "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in line[:WIDTH])
    return seen if len(line) <= WIDTH else seen + "…"


def classed(lines: Sequence[str]) -> tuple[PatchLine, ...]:
    """What each line of a unified diff is."""
    found, inside = [], False
    for line in lines:
        inside = line.startswith("@@") or (inside and not line.startswith("diff "))
        kind = MARKS.get(line[:1], "context") if inside else "file"
        found.append(PatchLine(kind, line))
    return tuple(found)
