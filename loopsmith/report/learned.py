"""What a campaign learned and what to try next, with the candidates that show it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from loopsmith.lessons import LessonKind
from loopsmith.records import Campaign, Candidate, Decision, Reflection, Status, Verdict
from loopsmith.report.words import cut
from loopsmith.search.memory import useful
from loopsmith.tracker import Store
from loopsmith.workflow.quote import one_line

LESSONS, IDEAS, WAITING, CITED = 40, 12, 20, 200  # how many of each are told
TEXT = 600  # characters of each
READ, READ_KEPT = 100, 40  # reflections that are read for what workers wrote, the newest of all and of kept ones
KINDS = {LessonKind.LESSON: "Found", LessonKind.DEAD_END: "Dead end", LessonKind.CONSTRAINT: "Constraint"}


@dataclass(frozen=True, slots=True)
class Said:
    """A lesson or an idea: what it is, its text, and the numbers of the candidates that show it."""

    kind: str
    text: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A candidate that waits for a person, and why."""

    number: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A candidate that the report names, in a line."""

    number: int
    status: str
    text: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """Lessons, ideas and what waits; `more_lessons` says how many stand beyond those that are told."""

    lessons: tuple[Said, ...]
    more_lessons: int
    ideas: tuple[Said, ...]
    waiting: tuple[Waiting, ...]


def learned_of(store: Store, campaign: Campaign, kept: Sequence[tuple[Candidate, Decision]]) -> Learned:
    """From the lessons of the reflector, or else from what workers and the verifier wrote down."""
    standing = store.lessons(campaign.id)
    newest = store.reflections(campaign.id, limit=READ)
    best = store.reflections(campaign.id, limit=READ_KEPT, outcomes=[Verdict.KEPT])
    reflections = list({item.id: item for item in (*best, *newest)}.values())
    written = [Said(KINDS[item.kind], shown(item.text), item.numbers) for item in standing if item.kind in KINDS]
    if not written:
        written = list(by_workers(reflections, store))
    ideas = [Said("Idea", shown(item.text), item.numbers) for item in standing if item.kind is LessonKind.IDEA]
    ideas += proposals(reflections, {candidate.id for candidate, _ in kept})
    return Learned(
        lessons=tuple(written[-LESSONS:]),
        more_lessons=max(0, len(written) - LESSONS),
        ideas=tuple(distinct(ideas)[:IDEAS]),
        waiting=tuple(waiting_of(store, campaign)),
    )


def shown(text: str) -> str:
    words, note = cut(text, TEXT)
    return one_line(words, TEXT + 1) + (f" ({note})" if note else "")


def by_workers(reflections: Iterable[Reflection], store: Store) -> Iterator[Said]:
    """What workers wrote of their own candidates; a reflection without a word of theirs holds the decision's reason."""
    own = [item for item in reflections if item.lesson and item.candidate_id]
    for item in useful(own, len(own)):
        assert item.candidate_id is not None
        if store.candidate(item.candidate_id).lesson:
            yield Said("Found" if item.outcome is Verdict.KEPT else "Tried", shown(item.lesson), (number_of(item),))


def proposals(reflections: Iterable[Reflection], kept: set[str]) -> list[Said]:
    """What workers would try next: those of kept candidates first, then the newest."""
    found = [item for item in reflections if item.try_next.strip()]
    found.sort(key=lambda item: item.candidate_id not in kept)
    return [Said("Next", shown(item.try_next), (number_of(item),)) for item in found]


def distinct(ideas: Iterable[Said]) -> list[Said]:
    seen: dict[str, Said] = {}
    for idea in ideas:
        seen.setdefault(idea.text.lower(), idea)
    return list(seen.values())


def waiting_of(store: Store, campaign: Campaign) -> Iterator[Waiting]:
    """The candidates in quarantine, and those that a person approved and that are tried again."""
    quarantined = store.candidates(campaign.id, statuses=[Status.QUARANTINED], limit=WAITING)
    for candidate in (*quarantined, *store.waiting_for_retry(campaign.id)):
        decision = store.decision(candidate.id)
        reason = one_line(decision.reason, 300) if decision else "its decision is not recorded"
        yield Waiting(candidate.number, title_of(candidate), reason)


def cited_of(store: Store, campaign: Campaign, numbers: Iterable[int]) -> tuple[Cited, ...]:
    """A line for each candidate that is named, by number."""
    found = []
    for number in sorted(set(numbers))[:CITED]:
        candidate = store.find_candidate(campaign.id, str(number))
        decision = store.decision(candidate.id)
        reason = one_line(decision.reason, 240) if decision else "not decided yet"
        found.append(Cited(number, str(candidate.status).replace("_", " "), title_of(candidate), reason))
    return tuple(found)


def title_of(candidate: Candidate) -> str:
    return one_line(candidate.hypothesis or candidate.summary, 240) or "it says nothing of what it does"


def number_of(item: Reflection) -> int:
    return int((item.candidate_id or "0").rpartition(".")[2])
