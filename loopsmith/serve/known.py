"""Everything that is known of one candidate, as `loopsmith show` prints it, in one record."""

from dataclasses import dataclass
from pathlib import Path

from loopsmith.lessons import Lesson
from loopsmith.records import Artifact, Candidate, Decision, Event, Measurement, Reflection, Spent
from loopsmith.report.show import review_rows
from loopsmith.serve.source import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A log, transcript or other file of a candidate.

    Attributes:
        index: its place among the candidate's files, which is its address.
        name: the last part of its path.
    """

    index: int
    kind: str
    name: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """One candidate, and all that belongs to it.

    Attributes:
        round: its round's number.
        reviews: what the reviewer said of each state of its patch, in words.
        lessons: those that it shows, or retired.
        feedback: what the verifier last said of it in words: data, never instructions.
        patch: a unified diff against what its worker started from; None where loopsmith's repository lost it.
        previous, next: the numbers of its neighbours.
    """

    candidate: Candidate
    round: int
    decision: Decision | None
    reflection: Reflection | None
    measurements: tuple[Measurement, ...]
    reviews: tuple[str, ...]
    lessons: tuple[Lesson, ...]
    feedback: str
    spent: Spent
    events: tuple[Event, ...]
    files: tuple[File, ...]
    patch: str | None
    previous: int | None
    next: int | None


def known(source: Source, campaign_id: str, name: str) -> Known:
    """The candidate that a person means by its number, id or commit.

    Raises:
        UsageError: there is none.
    """
    store = source.store()
    candidate = store.find_candidate(campaign_id, name)
    events = store.candidate_events(candidate)
    said = [str(event.data.get("text", "")) for event in events if event.name == "verifier.feedback"]
    lessons = store.lessons(campaign_id, retired=True)
    return Known(
        candidate=candidate,
        round=int(candidate.round_id.rpartition(".r")[2]),
        decision=store.decision(candidate.id),
        reflection=store.reflection_of(candidate.id),
        measurements=store.measurements(campaign_id, candidate_id=candidate.id),
        reviews=tuple(row.removeprefix("reviewer").strip() for row in review_rows(store, candidate)),
        lessons=tuple(item for item in lessons if candidate.id in (*item.evidence, item.retired_by)),
        feedback=said[-1] if said else "",
        spent=store.spent(campaign_id, candidate_id=candidate.id),
        events=events,
        files=tuple(file_of(*item) for item in enumerate(source.files(campaign_id, candidate.id))),
        patch=source.patch(candidate),
        previous=candidate.number - 1 or None,
        next=candidate.number + 1 if candidate.number < store.last_number(campaign_id) else None,
    )


def file_of(index: int, artifact: Artifact) -> File:
    return File(index=index, kind=artifact.kind, name=Path(artifact.path).name, size=artifact.size)
