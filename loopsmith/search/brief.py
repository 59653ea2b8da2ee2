"""The brief: what a fresh worker is told about the campaign, within a budget of tokens.

Text that came from programs is fenced as data, with a notice, and cannot close its fence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopsmith.lessons import Lesson, LessonKind
from loopsmith.live import Hint
from loopsmith.records import Candidate, Decision, Reflection, Verdict
from loopsmith.search.memory import effect_words, fits, lesson_line, lesson_words, useful
from loopsmith.search.similar import overlap
from loopsmith.workflow.quote import NOTICE, fence, one_line
from loopsmith.workflow.schema import Settings

HYPOTHESIS_LIMIT = 600  # characters; a planner's are no longer
HINT_LIMIT = 1000  # characters
FROM_A_PERSON = (
    "The person who runs this campaign asks for these. Take one up where you can, as far as the rules and your own "
    "hypothesis allow. A hypothesis that takes one up begins with its mark, such as `(steer 1)`, wherever you write it "
    "down: so the person learns what came of it."
)
DEAD = (Verdict.DISCARDED, Verdict.FAILED, Verdict.REJECTED, Verdict.CRASHED, Verdict.TIMED_OUT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """Where the campaign stands when a round begins; the same for all its workers."""

    round: int
    baseline_value: float | None
    origin_value: float | None
    kept: Sequence[tuple[Candidate, Decision]]
    recent: Sequence[Candidate]  # newest first
    lessons: Sequence[Reflection]  # newest first
    budget_left: str
    files: Sequence[str]
    learned: Sequence[Lesson] = ()  # what a reflector made of it and still stands, oldest first
    profile: str = ""  # of the baseline, as a program printed it
    feedback: str = ""  # what the verifier said of the files that the worker starts from
    remarks: Sequence[tuple[Candidate, str]] = ()  # what it said of the last candidates, newest first
    hints: Sequence[Hint] = ()  # what a person asked the workers to try, oldest first


def objective_words(settings: Settings) -> str:
    objective = settings.objective
    words = f"{objective.direction} `{objective.metric}`"
    if objective.min_effect.value:
        words += f"; a change counts only if it is better by at least {objective.min_effect}"
    if objective.target is not None:
        words += f"; the target is {objective.target:.12g}"
    return words


def kept_lines(kept: Sequence[tuple[Candidate, Decision]]) -> list[str]:
    return [
        f"{index}. c{candidate.number} {effect_words(decision.effect)}: {one_line(candidate.hypothesis)}"
        for index, (candidate, decision) in enumerate(kept, 1)
    ]


def history_lines(recent: Sequence[Candidate]) -> list[str]:
    lines = []
    for candidate in recent:
        value = "" if candidate.value is None else f" {candidate.value:.6g}"
        lines.append(f"- c{candidate.number} {candidate.status}{value}: {one_line(candidate.hypothesis, 160)}")
    return lines


def taught(learned: Sequence[Lesson]) -> set[str]:
    """The candidates whose results stand in a lesson already."""
    return {candidate for lesson in learned for candidate in lesson.evidence}


def rules(settings: Settings) -> list[str]:
    """What the verifier and the guardrails will hold the change to."""
    verify, guardrails = settings.verify, settings.guardrails
    lines = [
        f"- Change only these files: {', '.join(f'`{glob}`' for glob in settings.workspace.editable)}. "
        "A change of any other file rejects the whole candidate.",
        f"- At most {guardrails.max_changed_lines} changed lines; no symlinks, binaries or mode changes.",
        f"- The verifier runs `{one_line(verify.command)}` elsewhere, on your editable files alone, with seeds that "
        "you do not know. What you print or measure yourself does not count.",
    ]
    lines += [f"- This must pass first: `{one_line(check)}`" for check in verify.checks]
    lines += [f"- Constraint: `{metric}` {constraint}" for metric, constraint in verify.constraints.items()]
    lines += [f"- No added line may match `{pattern.pattern}`" for pattern in guardrails.forbid]
    if guardrails.new_files == "none":
        lines.append("- No new files.")
    if not guardrails.deletions:
        lines.append("- No file may be deleted.")
    if guardrails.freeze:
        names = ", ".join(f"`{name}`" for name in guardrails.freeze)
        lines.append(f"- The value of these names may not change, nor may they be set anywhere else: {names}.")
    if guardrails.imports.allow is not None:
        lines.append(f"- New imports in Python only of: {', '.join(guardrails.imports.allow)}.")
    if guardrails.imports.forbid:
        lines.append(f"- No new imports in Python of: {', '.join(guardrails.imports.forbid)}.")
    return lines


def hint_section(hints: Sequence[Hint], tokens: int) -> str:
    """What a person asks, newest first; the newest is always there. It is no data: this person runs the campaign."""
    lines = []
    for hint in reversed(hints):
        so_far = ", ".join(f"c{item.number} {item.status}" for item in hint.taken[-6:])
        lines.append(
            f"- {hint.mark} {one_line(hint.text, HINT_LIMIT)}" + (f" [taken up so far: {so_far}]" * bool(so_far))
        )
    chosen = [*lines[:1], *fits(lines[1:], tokens)]
    return "\n".join(["### From a person", FROM_A_PERSON, *chosen]) if lines else ""


def section(title: str, lines: Sequence[str], tokens: int) -> str:
    chosen = fits(lines, tokens)
    return f"### {title}\n" + "\n".join(chosen) if chosen else ""


def learned_lines(learned: Sequence[Lesson], hypothesis: str) -> list[str]:
    """The lessons with the candidates that show them: constraints, then those nearest to the hypothesis, then newer."""

    def rank(lesson: Lesson) -> tuple[bool, float, int]:
        near = overlap(lesson.text, hypothesis) if hypothesis else 0.0
        return (lesson.kind is LessonKind.CONSTRAINT, near, max(lesson.numbers))

    return [f"- {lesson_words(lesson)}" for lesson in sorted(learned, key=rank, reverse=True)]


def failure_text(failure: Reflection, room: int) -> str:
    """A failure and the end of what its program printed, in about `room` characters."""
    line = lesson_line(failure)[: room // 2]
    return f"{line}\n{fence(failure.error[-(room - len(line)) :])}"


def remark_lines(remarks: Sequence[tuple[Candidate, str]], room: int) -> list[str]:
    """What the verifier said of each candidate, in about `room` characters."""
    return [
        f"{line}\n{fence(text[:room])}"
        for (_, text), line in zip(remarks, history_lines([each for each, _ in remarks]), strict=True)
    ]


def write_brief(
    settings: Settings,
    situation: Situation,
    *,
    hypothesis: str,
    emphasis: str,
    nearest: Sequence[Reflection],
    start: str = "",
) -> str:
    """The brief of one worker, in Markdown, of at most about `memory.brief_tokens` tokens.

    Args:
        nearest: the reflections nearest to the hypothesis, best first; the dead ends among them are shown.
        start: what the worker's files are, where they are not the baseline's.
    """
    tokens = settings.memory.brief_tokens
    failures = [item for item in situation.lessons if item.error and item.outcome in DEAD][:3]
    shown = {item.id for item in failures}
    shown |= {item.id for item in situation.lessons if item.candidate_id in taught(situation.learned)}
    lessons = useful((item for item in situation.lessons if item.id not in shown), 12)
    shown |= {item.id for item in lessons}
    dead_ends = [item for item in nearest if item.outcome in DEAD and item.id not in shown][:5]
    baseline = "not measured yet" if situation.baseline_value is None else f"{situation.baseline_value:.6g}"
    origin = "" if situation.origin_value is None else f" (the untouched source: {situation.origin_value:.6g})"
    task = [
        f"- Objective: {objective_words(settings)}.",
        f"- Baseline to beat: {baseline}{origin}.",
        f"- Round {situation.round}. Left of the budget: {situation.budget_left}.",
        f"- Files you may edit: {', '.join(map(one_line, situation.files[:40]))}.",
    ]
    if start:
        task.append(f"- {start}")
    if hypothesis:
        task.append(f"- Your hypothesis: {one_line(hypothesis, HYPOTHESIS_LIMIT)}")
    if emphasis:
        task.append(f"- Your emphasis in this round: {emphasis}")
    blocks = [
        "### Task\n" + "\n".join(task),
        "### Rules\n" + "\n".join(rules(settings)),
        hint_section(situation.hints, tokens // 5),
        section(
            "Kept so far" if start else "Kept so far, already in your files",
            fits(kept_lines(situation.kept)[::-1], tokens // 6)[::-1],  # the newest, where not all fit
            tokens // 6,
        ),
        section(
            "Lessons, with the candidates that show them", learned_lines(situation.learned, hypothesis), tokens // 5
        ),
        section("Lessons of earlier candidates", [lesson_line(item) for item in lessons], tokens // 4),
        section("Dead ends near your hypothesis", [lesson_line(item) for item in dead_ends], tokens // 8),
        section("Last candidates", history_lines(situation.recent), tokens // 8),
    ]
    if situation.profile:
        report = "\n".join(fits(situation.profile.splitlines(), tokens // 5))
        blocks.append(f"### Profile of the baseline\n{NOTICE}\n{fence(report)}")
    if situation.feedback:
        blocks.append(f"### What the verifier said of your files\n{NOTICE}\n{fence(situation.feedback[: tokens // 2])}")
    failed = {item.candidate_id for item in failures}
    if remarks := [item for item in situation.remarks if item[0].id not in failed]:
        room = tokens // 2 // len(remarks)
        blocks.append(
            "\n".join(["### What the verifier said of the last candidates", NOTICE, *remark_lines(remarks, room)])
        )
    if failures:
        room = tokens * 4 // 6 // len(failures)  # characters for each, a sixth of the brief in all
        texts = [failure_text(item, room) for item in failures]
        blocks.append(f"### Recent failures\n{NOTICE}\n" + "\n".join(texts))
    return "\n\n".join(block for block in blocks if block)


def template_variables(
    settings: Settings, situation: Situation, *, brief: str, hypothesis: str, attempt: int
) -> Mapping[str, Any]:
    """The variables of a workflow's body; SPEC.md documents each."""
    value = situation.baseline_value
    return {
        "brief": brief,
        "objective": objective_words(settings),
        "baseline": "" if value is None else f"{value:.6g}",
        "memory": "\n".join(lesson_line(item) for item in useful(situation.lessons, 12)),
        "hypothesis": one_line(hypothesis, HYPOTHESIS_LIMIT),
        "round": situation.round,
        "attempt": attempt,
        "history": "\n".join(history_lines(situation.recent)),
        "files": "\n".join(map(one_line, situation.files)),
    }
