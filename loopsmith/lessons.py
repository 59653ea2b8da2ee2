"""The records of the roles beside the worker: what each said once, and what a campaign learned from it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class LessonKind(StrEnum):
    """What a lesson is good for."""

    LESSON = "lesson"  # what was found out about the program, with the effect that shows it
    DEAD_END = "dead_end"  # what was tried and does not help, and why
    CONSTRAINT = "constraint"  # what a change must respect, or it fails
    IDEA = "idea"  # what is worth trying next


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a role was asked once, and said: what is recorded is not asked again."""

    id: int
    campaign_id: str
    role: str  # profile | planner | reviewer | reflector
    key: str  # of the question within the role, such as r3
    round_id: str | None = None
    candidate_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)  # empty: it had no answer
    used: bool = False  # of a reflector: its lessons are in memory
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """Something that a campaign learned, with the candidates that show it."""

    id: int
    campaign_id: str
    kind: LessonKind
    text: str
    evidence: tuple[str, ...]  # ids of candidates, oldest first; never empty
    retired_by: str | None = None  # id of the candidate that contradicts it
    retired_because: str = ""
    created_at: datetime

    @property
    def numbers(self) -> tuple[int, ...]:
        """The evidence as people write it: 3 is c3."""
        return tuple(int(candidate.rpartition(".")[2]) for candidate in self.evidence)


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """How one reflection changes the lessons."""

    new: tuple[tuple[LessonKind, str, tuple[str, ...]], ...] = ()  # kind, text, ids of candidates
    shown: tuple[tuple[int, str], ...] = ()  # a lesson's id, and one more candidate that shows it
    retired: tuple[tuple[int, str, str], ...] = ()  # a lesson's id, the candidate that contradicts it, why
