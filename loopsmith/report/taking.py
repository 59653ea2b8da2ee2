"""What verifying, ablating and minimizing found, in words."""

from loopsmith.campaign.ablation import Ablation, Part
from loopsmith.campaign.comparing import Finding
from loopsmith.campaign.minimizing import Minimized
from loopsmith.campaign.taking import Taken
from loopsmith.campaign.verifying import Hidden, Verification
from loopsmith.records import Effect
from loopsmith.search.memory import effect_words
from loopsmith.verify.comparison import Standing
from loopsmith.workflow import format_duration
from loopsmith.workflow.quote import one_line

WORDS = {
    Standing.BETTER: "better",
    Standing.SAME: "not worse",
    Standing.WORSE: "worse",
    Standing.FAILED: "failed",
}
SHOWN = 6  # files that are named
TAIL = 10  # lines of a failed run's output


def verification(found: Verification) -> str:
    """A few lines: the decision, every metric, checks, constraints, the holdout, and what was not taken."""
    finding = found.finding
    rows = [
        ("verified", f"{finding.state.name} against {finding.reference.name}"),
        ("decision", f"{decided(found)}: {one_line(finding.reason, 600)}"),
        *(("", note) for note in (*finding.notes, *found.notes)),
    ]
    rows += [("metric" if index == 0 else "", line) for index, line in enumerate(metric_lines(finding))]
    if found.checks and finding.runs:
        passed = "did not all pass" if "check `" in finding.problem else "passed"
        rows.append(("checks", f"{found.checks} {passed}"))
    if found.constraints and finding.runs:
        met = "not met" if finding.problem.startswith("constraint") else "met" if finding.holds else "not looked at"
        rows.append(("limits", f"{'; '.join(found.constraints)}: {met}"))
    if found.hidden is not None:
        rows.append(("holdout", hidden_words(found.hidden)))
    if found.target.ignored:
        rows.append(("ignored", f"not editable, so taken as the campaign has it: {few(found.target.ignored)}"))
    rows.append(("measured", spent_words(finding, found.seconds)))
    rows += [("log", finding.log)] if finding.log else []
    rows += [("", f"| {one_line(line)}") for line in finding.tail.strip().splitlines()[-TAIL:]]
    return "\n".join(f"{name:<9} {text}" for name, text in rows)


def decided(found: Verification) -> str:
    if found.hidden and found.hidden.fails:
        return f"{WORDS[found.finding.standing]}, but the holdout shows a loss"
    return WORDS[found.finding.standing]


def metric_lines(finding: Finding) -> list[str]:
    """Each metric beside the reference's, as means."""
    width = max((len(name) for name in finding.metrics), default=0)
    return [
        f"{name:<{width}}  {value(one)} -> {value(other)}{moved(one, other)}"
        for name, (one, other) in finding.metrics.items()
    ]


def value(number: float | None) -> str:
    return "none" if number is None else f"{number:.6g}"


def moved(one: float | None, other: float | None) -> str:
    """By how much a metric went up or down."""
    return f"  ({100 * (other - one) / abs(one):+.2f} %)" if one and other is not None else ""


def hidden_words(hidden: Hidden) -> str:
    sides = (", ".join(map(value, values)) for values in (hidden.reference, hidden.own))
    loses = "a loss" if hidden.loses else "no loss is shown"
    return f"{' -> '.join(sides)}: {loses}" + ("" if hidden.gate or not hidden.loses else " (it is no gate)")


def spent_words(finding: Finding, seconds: float) -> str:
    reused = f", {finding.reused} that were measured before" if finding.reused else ""
    return f"{runs_words(finding.runs)} in {format_duration(seconds)}{reused}"


def runs_words(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def few(items: tuple[str, ...]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def ablation(found: Ablation) -> str:
    """A table: each kept change, what it contributes in the final state, what it had measured, and its lines."""
    head = ("change", "contributes", "when kept", "lines", "what")
    rows = [
        (names(part), contribution(part), effect_words(part.kept), lines(part), about(part)) for part in found.parts
    ]
    added = sum(part.candidate.lines_added for part in found.parts)
    removed = sum(part.candidate.lines_removed for part in found.parts)
    whole = found.whole
    rows.append(("all", shown(whole.effect, whole), "", f"+{added} -{removed}", f"over {whole.reference.name}"))
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    table = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
    text = [*table, "", f"measured in {runs_words(found.runs)}, {format_duration(found.seconds)}"]
    text += found.notes
    text += [f"note: {note}" for part in found.parts if part.finding for note in part.finding.notes]
    if found.idle:
        idle = ", ".join(f"c{part.candidate.number}" for part in found.idle)
        text.append(f"not shown to contribute: {idle}; `loopsmith apply --minimize` drops what is shown not to")
    return "\n".join(text)


def names(part: Part) -> str:
    """`c3`, and those that build on it."""
    return "+".join(f"c{each.number}" for each in (part.candidate, *part.others))


def contribution(part: Part) -> str:
    return "0" if part.finding is None else shown(part.finding.effect, part.finding)


def shown(effect: Effect | None, finding: Finding) -> str:
    if effect is None:
        return "all of it" if finding.standing is Standing.FAILED else "not measured"
    return effect_words(effect)


def lines(part: Part) -> str:
    return f"+{part.candidate.lines_added} -{part.candidate.lines_removed}"


def about(part: Part) -> str:
    """A note where there is one, and what the change was about."""
    builds = " and ".join(f"c{each.number}" for each in part.others)
    notes = [part.note, f"{builds} {'build' if len(part.others) > 1 else 'builds'} on it" if builds else ""]
    words = "; ".join(note for note in notes if note)
    title = one_line(part.candidate.hypothesis or part.candidate.summary, 60)
    return f"{one_line(words, 200)} ({title})" if words and title else one_line(words, 200) or title


def taken(found: Taken) -> str:
    """What was dropped, and what was measured of the rest as a whole."""
    finding = found.finding
    text = [minimized(found.smaller)] if found.smaller else []
    text.append(f"{finding.state.name}: {WORDS[finding.standing]}: {one_line(finding.reason, 600)}")
    text += [f"holdout: {hidden_words(found.hidden)}"] if found.hidden else []
    return "\n".join([*text, *finding.notes])


def dropped(found: Minimized | None) -> str:
    """`dropped 2 of 4 hunks, shown to lose nothing`; empty where nothing was."""
    if found is None or not found.dropped:
        return ""
    total = len(found.kept) + len(found.dropped)
    lost = found.margin if found.margin == "nothing" else f"less than {found.margin}"
    return f"dropped {len(found.dropped)} of {total} hunks, shown to lose {lost}"


def minimized(found: Minimized) -> str:
    """What was taken out, what each removal measured, and what it cost."""
    text = [dropped(found) or "nothing could be dropped"]
    for trial in found.trials:
        places = few(tuple(hunk.place for hunk in trial.hunks))
        text.append(f"  {'dropped' if trial.dropped else 'stays  '}  {places}: {one_line(trial.reason, 300)}")
    left = [f"{hunk.place} ({hunk.lines})" for hunk in found.kept]
    text.append(f"left: {few(tuple(left))}")
    tries = "1 removal" if len(found.trials) == 1 else f"{len(found.trials)} removals"
    text.append(f"cost: {tries} tried in {runs_words(found.runs)} of the verifier, {format_duration(found.seconds)}")
    return "\n".join(text)
