"""All that is known of one candidate, as lines for the screen."""

from dataclasses import dataclass
from datetime import UTC, datetime

from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from loopsmith.errors import LoopsmithError
from loopsmith.live import RequestKind
from loopsmith.records import Candidate, Decision
from loopsmith.report import patch_of, transcript
from loopsmith.report.show import hint_rows, lessons_of, measurement_row, plan_words, review_rows
from loopsmith.search.memory import effect_words
from loopsmith.tracker import Store
from loopsmith.watch.text import clock, number, plain, plain_lines, status_style, status_words
from loopsmith.workflow import format_count, format_money
from loopsmith.workspace import Repository

HYPOTHESIS = 4_000  # characters of a text that an agent wrote
PATCH = 200_000
TRANSCRIPT = 400_000
RUNS = 500  # measurements that are shown
NAME = 11  # columns for the name of what is said
ASKED = (RequestKind.APPROVE, RequestKind.REJECT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dossier:
    """Four pages of lines, and the candidate before and after by number; 0 where there is none."""

    candidate: Candidate
    about: list[Text]
    patch: list[Text]
    runs: list[Text]
    transcript: list[Text]


def dossier(store: Store, repository: Repository | None, candidate_id: str) -> Dossier:
    """Read it all.

    Args:
        repository: where patches are; None where it cannot be opened.
    """
    candidate = store.candidate(candidate_id)
    decision = store.decision(candidate_id)
    return Dossier(
        candidate=candidate,
        about=about(store, candidate, decision),
        patch=patch_lines(repository, candidate),
        runs=runs(store, candidate, decision),
        transcript=transcript_lines(store, candidate),
    )


def about(store: Store, candidate: Candidate, decision: Decision | None) -> list[Text]:
    """What was tried and why it was decided so."""
    lines = [Text(status_words(candidate.status), style=status_style(candidate.status))]
    if decision is not None:
        lines[0].append(f": {plain(decision.reason, HYPOTHESIS)}", style="not bold")
        if decision.effect is not None:
            pairs = f"{decision.effect.samples} pairs" if decision.effect.samples else "a metric that repeats exactly"
            lines += row("effect", f"{effect_words(decision.effect)}, {pairs}, rule {decision.rule}")
        if decision.value is not None and decision.baseline_value is not None:
            lines += row("values", f"{number(decision.value)}, the baseline {number(decision.baseline_value)}")
    lines.append(Text(""))
    lines += row("hypothesis", candidate.hypothesis or "none given")
    lines += row("planned", plan_words(candidate)) + row("emphasis", candidate.emphasis)
    lines += row("summary", candidate.summary)
    lines += row("constants", ", ".join(f"{name} = {value}" for name, value in candidate.params.items()))
    reflection = row("tried", candidate.tried) + row("learned", candidate.lesson) + row("next", candidate.try_next)
    for said in review_rows(store, candidate):
        reflection += row("reviewer", said.removeprefix("reviewer").strip())
    for lesson in lessons_of(store, candidate):
        reflection += row("lesson", lesson)
    for taken in hint_rows(store, candidate):
        reflection += row("takes up", taken.removeprefix("takes up").strip())
    lines += ([Text("")] if reflection else []) + reflection
    for request in store.requests(candidate.campaign_id, kinds=ASKED):
        if request.data.get("candidate") == candidate.id:
            answer = f": {request.answer}" if request.answer else ""
            lines += row("a person", f"{request.kind}, {request.status}{answer}")
    lines.append(Text(""))
    ended = candidate.finish_reason or "not yet"
    lines += row("agent", f"{candidate.agent}, ended: {ended}, attempt {candidate.attempt}")
    usage = store.spent(candidate.campaign_id, candidate_id=candidate.id)
    if usage.calls:
        lines += row(
            "spent", f"{usage.calls} calls, {format_count(usage.tokens)} tokens, {format_money(usage.cost_usd)}"
        )
    if candidate.commit:
        lines += row("lines", f"+{candidate.lines_added} -{candidate.lines_removed}")
        lines += row("commit", f"{candidate.commit[:12]} on {candidate.parent_commit[:12]}")
    today = datetime.now(UTC)
    lines += row("made", f"{clock(candidate.created_at, today)}, last changed {clock(candidate.updated_at, today)}")
    return lines


def row(name: str, text: str) -> list[Text]:
    """A name and what belongs to it, on as many lines as it has; nothing of an empty text."""
    parts = [part for part in plain_lines(text.strip(), limit=HYPOTHESIS) if part.strip()]
    return [Text.assemble((f"{name if index == 0 else '':<{NAME}}", "dim"), part) for index, part in enumerate(parts)]


def patch_lines(repository: Repository | None, candidate: Candidate) -> list[Text]:
    """The patch, coloured as a diff."""
    if not candidate.commit:
        return [Text("no patch: it made no change that could be tried, or is still at work", style="dim")]
    if repository is None:
        return [Text("its patch cannot be read: loopsmith's repository is not in the state folder", style="dim")]
    try:
        text = patch_of(repository, candidate)
    except LoopsmithError as error:
        return [Text(plain(error), style="dim")]
    code = "\n".join(plain_lines(text, limit=PATCH, lines=4_000))
    colours = Syntax(code, "diff", theme="ansi_dark", background_color="default").highlight(code)
    colours.stylize(Style(bgcolor="default"))
    return list(colours.split("\n", allow_blank=True))


def runs(store: Store, candidate: Candidate, decision: Decision | None) -> list[Text]:
    """The samples behind the decision, and what programs printed."""
    found = store.measurements(candidate.campaign_id, candidate_id=candidate.id)
    lines = [Text(plain(measurement_row(item, candidate))) for item in found[:RUNS]]
    if len(found) > RUNS:
        lines.append(Text(f"… {len(found) - RUNS} more, which `loopsmith show` prints", style="dim"))
    if not found:
        lines.append(Text("not measured", style="dim"))
    tail = str(decision.evidence.get("tail", "")).strip() if decision else ""
    lines += section("the end of what it printed", tail)
    events = store.events(candidate.campaign_id, candidate_id=candidate.id, name="verifier.feedback")
    return lines + section("feedback", str(events[-1].data.get("text", "")) if events else "")


def section(title: str, text: str) -> list[Text]:
    if not text.strip():
        return []
    return [Text(""), Text(title, style="bold"), *(Text(f"  {line}") for line in plain_lines(text))]


def transcript_lines(store: Store, candidate: Candidate) -> list[Text]:
    try:
        text = transcript(store, candidate)
    except LoopsmithError as error:
        return [Text(plain(error), style="dim")]
    shown = plain_lines(text, limit=TRANSCRIPT, lines=8_000)
    return [Text(line, style="bold" if line.startswith("--- ") else "") for line in shown]
