"""The verbs that sum a campaign up for a page: in SQL, so that 100,000 candidates cost little more than a hundred."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Integer, Select, case, cast, func, literal, select

from loopsmith.records import Candidate, Event, Reflection, Status
from loopsmith.tracker import tables
from loopsmith.tracker.rows import EVENT, REFLECTION, AnyRow, Verbs, to_event, to_reflection
from loopsmith.tracker.schema import is_current

C, D, R, U = tables.candidate.c, tables.decision.c, tables.round_.c, tables.usage.c
E, Q, A = tables.event.c, tables.request.c, tables.activity.c
TEXT = 300  # characters of a hypothesis
NAME = 100  # characters of a category


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What a few neighbouring rounds took.

    Attributes:
        first, last: their numbers; 0 is what belongs to no round.
        at: when the last of them began; None of what belongs to no round.
        seconds: from the campaign's start until then, never below 0.
    """

    first: int
    last: int
    at: datetime | None
    seconds: float
    calls: int
    tokens: int
    cost_usd: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """A candidate in the search tree: one that was kept, that others started from, or that started elsewhere.

    Attributes:
        parent: the commit that it started from.
        baseline: the commit that it was compared with.
        effect: over that baseline, as a share; None of one at zero.
    """

    id: str
    number: int
    status: Status
    commit: str | None
    parent: str
    baseline: str
    hypothesis: str
    effect: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """What changes whenever there is something new to show of a campaign."""

    status: str
    updated_at: datetime
    event: int  # the newest one's id
    request: int
    answered: int
    doing: datetime | None  # when the newest activity was updated
    busy: int  # how many activities there are


# As a share of its baseline; NULL of a baseline at zero, which has no share.
SHARE = case((D.baseline_value == 0, None), else_=D.effect_mean)
TREE = (
    select(
        *(C.id, C.number, C.status, C.commit_id.label("commit"), C.parent_commit.label("parent")),
        R.baseline_commit.label("baseline"),
        func.substr(case((C.hypothesis != "", C.hypothesis), else_=C.summary), 1, TEXT).label("hypothesis"),
        SHARE.label("effect"),
    )
    .join(tables.round_, R.id == C.round_id)
    .outerjoin(tables.decision, D.candidate_id == C.id)
)


class Aggregates(Verbs):
    """Reading all of a campaign at once."""

    def current(self) -> bool:
        """Whether the tracker still has this loopsmith's schema."""
        return is_current(self._database)

    def version(self, campaign_id: str) -> Version | None:
        """How far a campaign has come, in one short look; None when there is no such campaign."""
        campaign = tables.campaign.c
        newest = select(func.coalesce(func.max(E.id), 0)).where(E.campaign_id == campaign_id).scalar_subquery()
        asked = select(func.coalesce(func.max(Q.id), 0)).where(Q.campaign_id == campaign_id).scalar_subquery()
        told = select(func.count(Q.answered_at)).where(Q.campaign_id == campaign_id).scalar_subquery()
        doing = select(func.max(A.updated_at)).where(A.campaign_id == campaign_id).scalar_subquery()
        busy = select(func.count()).where(A.campaign_id == campaign_id).scalar_subquery()
        query = select(
            campaign.status,
            campaign.updated_at,
            newest.label("event"),
            asked.label("request"),
            told.label("answered"),
            doing.label("doing"),
            busy.label("busy"),
        )
        with self._database.reading() as connection:
            row = connection.execute(query.where(campaign.id == campaign_id)).one_or_none()
        return Version(**row._mapping) if row else None

    def candidate_events(self, candidate: Candidate) -> tuple[Event, ...]:
        """What happened to one candidate, oldest first."""
        query = select(*EVENT).where(E.campaign_id == candidate.campaign_id, E.candidate_id == candidate.id)
        with self._database.reading() as connection:
            return tuple(map(to_event, connection.execute(query.order_by(E.id))))

    def events_before(self, campaign_id: str, before: int | None, limit: int) -> tuple[Event, ...]:
        """Events with an id below `before`, or the last ones, newest first."""
        query = select(*EVENT).where(E.campaign_id == campaign_id).order_by(E.id.desc()).limit(limit)
        if before is not None:
            query = query.where(E.id < before)
        with self._database.reading() as connection:
            return tuple(map(to_event, connection.execute(query)))

    def reflection_of(self, candidate_id: str) -> Reflection | None:
        """What a candidate teaches; None before its decision."""
        query = select(*REFLECTION).where(tables.reflection.c.candidate_id == candidate_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return to_reflection(row) if row else None

    def decision_mix(self, campaign_id: str, bins: int = 40) -> tuple[dict[str, int], ...]:
        """How many decisions had each verdict, in equal parts of the campaign's decisions, oldest first."""
        bounds = select(func.min(D.id), func.max(D.id)).where(D.campaign_id == campaign_id)
        with self._database.reading() as connection:
            low, high = connection.execute(bounds).one()
            if low is None:
                return ()
            width = -(-(high - low + 1) // bins)
            part = ((D.id - low) // literal(width, Integer)).label("part")
            query = select(part, D.verdict, func.count().label("count"))
            query = query.where(D.campaign_id == campaign_id).group_by("part", D.verdict)
            mix: dict[int, dict[str, int]] = {}
            for row in connection.execute(query):
                mix.setdefault(row.part, {})[row.verdict] = row[2]
        return tuple(mix[part] for part in sorted(mix))

    def spending(self, campaign_id: str, bins: int = 120) -> tuple[Spending, ...]:
        """Money and tokens of the rounds in order, neighbours together so that there are at most `bins` of them."""
        began = select(tables.campaign.c.created_at).where(tables.campaign.c.id == campaign_id)
        last = select(func.max(R.number)).where(R.campaign_id == campaign_id)
        with self._database.reading() as connection:
            width = -(-(connection.execute(last).scalar() or 1) // bins)
            start = connection.execute(began).scalar_one_or_none()
            number = func.coalesce(number_in(U.round_id, campaign_id, "r"), 0)
            part = (number + literal(width - 1, Integer)) // literal(width, Integer)
            query = select(
                part.label("part"),
                func.min(number).label("first"),
                func.max(number).label("last"),
                func.count().label("calls"),
                func.sum(U.input_tokens + U.output_tokens).label("tokens"),
                func.sum(U.cost_usd).label("cost_usd"),
            )
            query = query.where(whole(U.campaign_id, campaign_id)).group_by("part").order_by("part")
            rows = connection.execute(query).all()
            lasts = select(R.number, R.created_at).where(
                R.campaign_id == campaign_id, R.number.in_([row.last for row in rows])
            )
            moments = {row.number: row.created_at for row in connection.execute(lasts)}
        return tuple(to_spending(row, start, moments.get(row.last)) for row in rows)

    def started_from(self, campaign_id: str) -> dict[str, dict[str, int]]:
        """By the commit that they started from: how many candidates there are of each status."""
        query = select(C.parent_commit, C.status, func.count().label("count"))
        query = query.where(whole(C.campaign_id, campaign_id))
        found: dict[str, dict[str, int]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query.group_by(C.parent_commit, C.status)):
                found.setdefault(row.parent_commit, {})[row.status] = row[2]
        return found

    def branches(self, campaign_id: str, limit: int = 200) -> tuple[Branch, ...]:
        """The candidates that make the search tree, by number: the newest `limit` that were kept, and the best
        `limit` others that started elsewhere than from their round's baseline, or from which such a one started.
        """
        mine = C.campaign_id == campaign_id
        kept = TREE.where(mine, C.status == Status.KEPT).order_by(C.number.desc()).limit(limit)
        away = TREE.where(whole(C.campaign_id, campaign_id), C.parent_commit != R.baseline_commit)
        away = away.where(C.status != Status.KEPT)
        best = away.order_by(D.effect_mean.desc().nulls_last(), C.number.desc()).limit(limit)
        with self._database.reading() as connection:
            found = {row.id: to_branch(row) for query in (kept, best) for row in connection.execute(query)}
            known = {branch.commit for branch in found.values()}
            missing = {branch.parent for branch in found.values()} - known
            if missing and any(branch.status is not Status.KEPT for branch in found.values()):
                parents = TREE.where(whole(C.campaign_id, campaign_id), C.commit_id.in_(sorted(missing)))
                found |= {row.id: to_branch(row) for row in connection.execute(parents)}
        return tuple(sorted(found.values(), key=lambda branch: branch.number))


def whole(column: ColumnElement[str], campaign_id: str) -> ColumnElement[bool]:
    """Of this campaign, without the index: what reads most of a table is quicker in the table's own order."""
    return func.coalesce(column, "") == campaign_id


def materialized(name: str, query: Select[*tuple[Any, ...]]) -> CTE:
    """A part of a query that is worked out once."""
    return query.cte(name).prefix_with("MATERIALIZED")


def number_in(column: ColumnElement[Any], campaign_id: str, letter: str = "") -> ColumnElement[int]:
    """The number at the end of ids such as CAMPAIGN.12 and CAMPAIGN.r3, which saves a join."""
    return cast(func.substr(column, len(campaign_id) + len(letter) + 2), Integer)


def to_branch(row: AnyRow) -> Branch:
    return Branch(**{**row._mapping, "status": Status(row.status)})


def to_spending(row: AnyRow, start: datetime | None, at: datetime | None) -> Spending:
    seconds = max(0.0, (at - start).total_seconds()) if start and at else 0.0
    fields = {name: value for name, value in row._mapping.items() if name != "part"}
    return Spending(**fields, at=at, seconds=seconds)
