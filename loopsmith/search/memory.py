"""What earlier candidates teach: written after each decision, picked for each brief."""

from collections.abc import Iterable, Sequence

from loopsmith.lessons import Lesson
from loopsmith.records import Candidate, Decision, Effect, Reflection, Report, Verdict
from loopsmith.workflow.quote import one_line

LESSON_LIMIT = 400  # characters of what a reflector wrote
ERROR_LIMIT = 1500  # characters of a program's output that a reflection keeps


def reflect(candidate: Candidate, decision: Decision, report: Report | None, error: str = "") -> Reflection:
    """The reflection of a decided candidate: the worker's own words, and what the verifier showed.

    Args:
        error: what a program printed, or the guardrails' problems, which quote names and text of the candidate's;
            a brief shows it as data.
    """
    learned = decision.reason if decision.rule != "guardrail" else "it broke a guardrail, so nothing of it was run"
    return Reflection(
        campaign_id=candidate.campaign_id,
        candidate_id=candidate.id,
        hypothesis=candidate.hypothesis or (report.hypothesis or report.summary if report else ""),
        outcome=decision.verdict,
        effect=decision.effect,
        lesson=(report.lesson if report else "") or learned,
        avoid=report.tried if report else "",
        try_next=report.try_next if report else "",
        error=error[-ERROR_LIMIT:],
    )


def percent(share: float) -> str:
    """`+12.3 %`; below one percent with two digits that tell: `+0.042 %`."""
    value = 100 * share
    if value == 0 or abs(value) >= 1:
        return f"{value:+,.1f} %"
    return f"{value:+.2g} %" if abs(value) >= 1e-4 else "+0.0 %" if value > 0 else "-0.0 %"


def gain_words(gain: float, baseline: float | None) -> str:
    """A gain over a baseline: a share of it, or of one at zero, which has none, in the metric's own unit."""
    return f"{gain:+.4g}" if baseline == 0 else percent(gain)


def effect_words(effect: Effect | None) -> str:
    """`+12.3 % (+10.1 % to +14.5 %)`, the gain in the objective's direction."""
    if effect is None:
        return ""
    base = 0.0 if effect.own_unit else None
    mean, low, high = (gain_words(each, base) for each in (effect.mean, effect.low, effect.high))
    return f"{mean} ({low} to {high})" if effect.samples else mean


def lesson_line(reflection: Reflection) -> str:
    """One reflection as a list item that names its evidence."""
    number = (reflection.candidate_id or "").rpartition(".")[2]
    parts = [f"- [c{number} {reflection.outcome} {effect_words(reflection.effect)}".rstrip() + "]"]
    parts.append(one_line(reflection.hypothesis) or "(no hypothesis)")
    if reflection.lesson:
        parts.append(f"Learned: {one_line(reflection.lesson)}")
    if reflection.avoid:
        parts.append(f"Did not work: {one_line(reflection.avoid)}")
    if reflection.try_next:
        parts.append(f"Next: {one_line(reflection.try_next)}")
    return " ".join(parts)


def lesson_words(lesson: Lesson) -> str:
    """`[c3, c7] dead end: ...`, and by what it was retired."""
    shown = ", ".join(f"c{number}" for number in lesson.numbers)
    words = f"[{shown}] {str(lesson.kind).replace('_', ' ')}: {one_line(lesson.text, LESSON_LIMIT)}"
    if lesson.retired_by is not None:
        words += f" (retired by c{lesson.retired_by.rpartition('.')[2]}: {one_line(lesson.retired_because)})"
    return words


def useful(reflections: Iterable[Reflection], limit: int) -> list[Reflection]:
    """The reflections that teach most: what was kept, then the largest measured effects, either way."""

    def weight(reflection: Reflection) -> tuple[bool, float]:
        effect = abs(reflection.effect.mean) if reflection.effect else 0.0
        return (reflection.outcome is Verdict.KEPT, effect)

    seen: set[str] = set()
    chosen = []
    for reflection in sorted(reflections, key=weight, reverse=True):
        key = reflection.hypothesis.lower()
        if key not in seen:
            seen.add(key)
            chosen.append(reflection)
    return chosen[:limit]


def fits(lines: Sequence[str], tokens: int) -> list[str]:
    """As many of the first lines as a budget of tokens allows, counting four characters a token."""
    kept, left = [], tokens * 4
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    return kept
