"""How a campaign ended, and the commands that go on from there: take the result, review what waits, run on."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopsmith.errors import LoopsmithError
from loopsmith.records import Campaign, Candidate, Decision
from loopsmith.report.morning.learned import Learned
from loopsmith.report.morning.words import count
from loopsmith.report.summary import again
from loopsmith.search.policy import MERGE
from loopsmith.tracker import Store
from loopsmith.workflow import format_duration, format_money
from loopsmith.workflow.quote import one_line
from loopsmith.workspace.source import find_git

ENDED = {
    "target": "It reached its target.",
    "rounds": "It had all the rounds of its budget.",
    "candidates": "It had all the candidates of its budget.",
    "wall_clock": "Its time was over.",
    "cost_usd": "Its money was spent.",
    "tokens": "Its tokens were spent.",
    "stall_rounds": "Nothing was kept for as many rounds as the budget allows.",
    "stopped": "A person stopped it.",
    "baseline": "It ended because the untouched source, or the baseline, did not pass its own verifier.",
    "verifier": "It ended because the verifier lets through what must not be kept.",
    "noise": "It ended because the verifier is too noisy to find anything.",
    "provider": "It ended because a model's provider failed.",
    "harness": "It ended because loopsmith, or the machine under it, failed.",
}
NO_WORKER = {MERGE: "merges of two others", "retry": "runners-up, tried again"}
LIMITS = ("wall_clock", "rounds", "candidates", "cost_usd", "tokens", "stall_rounds")


@dataclass(frozen=True, slots=True)
class Command:
    """A line for the shell, and what it does."""

    line: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a small table."""

    name: str
    words: str


def take(
    campaign: Campaign, kept: Sequence[tuple[Candidate, Decision]], state: Path, where: str
) -> tuple[Command, ...]:
    """The commands that bring the kept changes into the source, from any folder."""
    if not kept:
        return ()
    branch, source = f"loopsmith/{campaign.id}", shlex.quote(campaign.source)
    try:
        found = find_git(Path(campaign.source))
    except LoopsmithError:
        found = None
    if found is not None and not found[0].head_is_unborn:
        return (
            Command(f"loopsmith apply {where}", f"writes the branch {branch}, a commit for each; your files stay"),
            Command(f"git -C {source} merge {branch}", "when you have looked at it"),
        )
    patch = shlex.quote(str(state / "reports" / campaign.id / "kept.patch"))
    return (
        Command(f"loopsmith apply --patch {patch} {where}", "one patch, as the source is in no git repository"),
        Command(f"git -C {source} apply {patch}", "when you have looked at it"),
    )


def ending(campaign: Campaign, view: dict[str, Any]) -> tuple[str, ...]:
    """Why it ended, or how it stands, in sentences."""
    state, process = view["campaign"]["status"], view["campaign"]["process"]
    if state == "running":
        return (f"It is running now, in process {process}; this is how it stands.",)
    if state == "paused":
        return (f"A person paused it, in process {process}; this is how it stands.",)
    if state == "interrupted":
        return ("Its process is gone without an end; nothing that was recorded is lost.",)
    words = ENDED.get(campaign.stop_reason or "", "Why it ended is not recorded.")
    if state == "failed":
        return (words,)  # its message is shown whole
    said = one_line((campaign.message or "").partition("\n")[0], 400)
    return (words, f"In its own words: {said}.") if said else (words,)


def goes_on(campaign: Campaign, view: dict[str, Any], learned: Learned, where: str) -> tuple[Command, ...]:
    """What a person can do next, beside taking it."""
    state, reason = view["campaign"]["status"], campaign.stop_reason or ""
    run = again(campaign.workflow_path, where)
    found = []
    if state == "running":
        found.append(Command(f"loopsmith status {where}", "how it stands now"))
    elif state == "paused":
        found.append(Command(f"loopsmith resume {where}", "ends the pause"))
    elif state in ("interrupted", "stopped"):
        found.append(Command(run, "goes on where it stood"))
    elif state == "failed":
        found.append(Command(run, "goes on, once that is mended"))
    elif reason in LIMITS:
        limit = view["budget"][reason]["limit"]
        more = budget_words(reason, limit * 2).replace(" ", "").removeprefix("$").replace(",", "") if limit else "..."
        found.append(Command(f"{run} --set budget.{reason}={more}", "goes on with more"))
    for item in learned.waiting[:3]:
        found.append(Command(f"loopsmith show {item.number} {where}", "what waits, with its evidence"))
        found.append(Command(f"loopsmith approve {item.number} {where}", "keep it; `loopsmith reject` discards it"))
    if view["counts"]["candidates"]:
        found.append(Command(f"loopsmith memory {where}", "all that was learned"))
    return tuple(found)


def budget(view: dict[str, Any]) -> tuple[Row, ...]:
    """Each limit with what was used of it."""
    rows = []
    for name in LIMITS:
        used, limit = view["budget"][name]["used"], view["budget"][name]["limit"]
        words = f"{budget_words(name, used)} of {budget_words(name, limit)}" if limit is not None else None
        rows.append(Row(name.replace("_", " "), words or f"{budget_words(name, used)}, without a limit"))
    return tuple(rows)


def budget_words(name: str, value: float) -> str:
    if name == "wall_clock":
        return format_duration(round(value))
    return format_money(value) if name == "cost_usd" else f"{int(value):,}"


def spent(store: Store, campaign: Campaign, view: dict[str, Any]) -> tuple[Row, ...]:
    """Who made the candidates, and what each model cost."""
    made = [
        Row(NO_WORKER.get(name, f"by {one_line(name, 60)}"), count(number, "candidate"))
        for name, number in store.agents(campaign.id).items()
    ]
    models = [
        Row(
            f"{item['role']}, {one_line(item['model'], 60)}",
            f"{format_money(item['cost_usd'])}, {item['input_tokens']:,} tokens in, {item['output_tokens']:,} out",
        )
        for item in view["usage"]["by_model"]
    ]
    return (*made, *models)
