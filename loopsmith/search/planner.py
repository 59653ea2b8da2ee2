"""A planner: one request that gives each worker of a round a hypothesis of its own."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator

from loopsmith.lessons import Lesson, LessonKind
from loopsmith.records import Candidate
from loopsmith.search.brief import DEAD, HYPOTHESIS_LIMIT
from loopsmith.search.categories import CATEGORIES, Record
from loopsmith.search.similar import SAME, nearest
from loopsmith.workflow.quote import NOTICE, one_line

SPARE = 2  # hypotheses beyond those needed, for when some repeat what was tried
EXPIRY = 10  # rounds after which what failed may be tried again in the same words


class Hypothesis(BaseModel):
    """One idea for one worker."""

    text: str = Field(description=f"what to change, where, and why it helps; at most {HYPOTHESIS_LIMIT} characters")
    category: str = Field(default="wild", description=f"one of: {', '.join(CATEGORIES)}")
    expected_effect: str = Field(default="", description="on the metric, such as: 10 to 20 % less")
    risk: Literal["low", "medium", "high"] = Field(default="medium", description="that it brings nothing")

    @field_validator("category")
    @classmethod
    def _known(cls, value: str) -> str:
        value = value.strip().lower().replace(" ", "_")
        return value if value in CATEGORIES else "wild"

    @field_validator("risk", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value


class Plan(BaseModel):
    """The hypotheses of the round, the ones to try first at the beginning."""

    hypotheses: list[Hypothesis] = Field(description="each a different mechanism")

    @field_validator("hypotheses", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        """Small models write a list of texts."""
        return (
            [{"text": item} if isinstance(item, str) else item for item in value] if isinstance(value, list) else value
        )


def request(brief: str, sources: str, count: int, wanted: Counter[str], found: Mapping[str, Record]) -> str:
    """What the planner is asked.

    Args:
        brief: as a worker would read it, without a hypothesis.
        sources: the editable files, as far as they fit, fenced.
        wanted: how many of each category, as `draw` gives them.
    """
    kinds = [
        f"- {name}: {words}" + (f" ({found[name].kept} kept of {found[name].tried} tried)" if found[name].tried else "")
        for name, words in CATEGORIES.items()
    ]
    asked = ", ".join(f"{number} x {name}" for name, number in wanted.items())
    choice = (
        f"This round looks for: {asked}. Where a category holds nothing worth a try, take another."
        if any(record.tried for record in found.values())
        else "Take the categories that the evidence points to."
    )
    return (
        f"{brief}\n\n### The editable files\n{NOTICE}\n{sources}\n\n### Categories\n" + "\n".join(kinds) + "\n\n"
        f"Plan {count} hypotheses, one for each of {count} workers, and after them {SPARE} spare ones, which take the "
        f"place of any that turn out to repeat what was tried. {choice}"
    )


def dead_ends(recent: Iterable[Candidate], lessons: Iterable[Lesson], round_number: int) -> list[str]:
    """What was tried and did not help, and counts: after EXPIRY rounds nothing is forbidden any more."""
    young = [item for item in recent if round_number - int(item.round_id.rpartition(".r")[2]) <= EXPIRY]
    dead = [item for item in young if str(item.status) in DEAD]
    # A worker may have said it in words of its own.
    failed = [text for item in dead for text in (item.hypothesis, str(item.plan.get("text", ""))) if text]
    ids = {item.id for item in young}
    known = [item.text for item in lessons if item.kind is LessonKind.DEAD_END and ids & set(item.evidence)]
    return [*failed, *known]


def distinct(hypotheses: Sequence[Hypothesis], count: int, dead: Sequence[str] = ()) -> tuple[Hypothesis, ...]:
    """The first `count` that say something, and neither repeat each other nor a dead end in mostly the same words."""
    chosen: list[Hypothesis] = []
    for item in hypotheses:
        text = one_line(item.text, HYPOTHESIS_LIMIT)
        said = [*dead, *(other.text for other in chosen)]
        if text and len(chosen) < count and nearest(text, said) < SAME:
            chosen.append(item.model_copy(update={"text": text}))
    return tuple(chosen)
