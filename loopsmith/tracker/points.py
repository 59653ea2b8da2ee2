"""The verbs of the progress curve: what was tried, thinned in the database, so that any number of candidates draws."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    tuple_,
    union_all,
)

from loopsmith.records import Phase, Verdict
from loopsmith.tracker import tables
from loopsmith.tracker.rows import Verbs

C, D, M, U = tables.candidate.c, tables.decision.c, tables.measurement.c, tables.usage.c
# Points that a verdict gives at most in a bin of the number axis: both ends, of discarded ones also of those that
# were better than their baseline; one of those without a score.
PER_BIN = {Verdict.DISCARDED: 4, Verdict.QUARANTINED: 4, Verdict.FAILED: 2, Verdict.CRASHED: 2, Verdict.TIMED_OUT: 2}
TEXT = 300  # characters of a hypothesis that a point carries
BY_A_PERSON = ("approved", "rejected")  # the rules of decisions that ended a quarantine
TESTED = ("pooled", "sign-flip")  # the rules of decisions by pairs, whose evidence holds the noise


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A decided candidate that was not kept.

    Attributes:
        number: of the candidate.
        verdict: one of `records.Verdict`.
        value: of the objective's metric, as decided; None where there is no score.
        first: of its first run; None where that has no score.
        baseline: that it was compared with; None where it was not.
        better: its first run beat that baseline, and it was refused: a loop without statistics would have kept it.
        overtaken: it looked better too, but another candidate of its round came first.
        hypothesis: its beginning, at most TEXT characters.
        seconds: from the campaign's start to the decision, pauses included.
    """

    number: int
    verdict: str
    value: float | None
    first: float | None
    baseline: float | None
    better: bool
    overtaken: bool
    hypothesis: str
    category: str
    seconds: float


class Points(Verbs):
    """Aggregates over all candidates of a campaign, in SQL."""

    def points(self, campaign_id: str, metric: str, *, minimize: bool, limit: int) -> tuple[Point, ...]:
        """The decided candidates that were not kept, by number: all of them, or of more than `limit` a thinned choice.

        A thinned choice holds of each bin of numbers, and there of each verdict, the lowest and the highest value,
        or the first candidate where none has a score.
        """
        query = (
            select(*chosen_columns(minimize), tables.campaign.c.created_at.label("started"))
            .join(tables.candidate, C.id == D.candidate_id)
            .join(tables.campaign, tables.campaign.c.id == D.campaign_id)
            .outerjoin(tables.measurement, first_run(metric))
            .where(D.campaign_id == campaign_id, D.verdict != Verdict.KEPT)
            .order_by(C.number)
        )
        counts = select(D.verdict, func.count()).where(D.campaign_id == campaign_id, D.verdict != Verdict.KEPT)
        with self._database.reading() as connection:
            totals = {Verdict(row[0]): row[1] for row in connection.execute(counts.group_by(D.verdict))}
            if sum(totals.values()) > limit:
                last = connection.execute(select(func.max(C.number)).where(C.campaign_id == campaign_id)).scalar_one()
                width = -(-last * sum(PER_BIN.get(verdict, 1) for verdict in totals) // limit)
                numbers = connection.execute(extremes(campaign_id, width, minimize)).scalars().all()
                query = query.where(C.campaign_id == campaign_id, C.number.in_(numbers))
            return tuple(map(to_point, connection.execute(query)))

    def looked_better(self, campaign_id: str, metric: str, *, minimize: bool) -> tuple[int, int]:
        """How many candidates a loop without statistics would have kept, and this one did not.

        Returns:
            those that were refused by measurement, and those that another candidate of their round overtook.
        """
        count = select(func.count()).select_from(tables.decision).where(D.campaign_id == campaign_id)
        with self._database.reading() as connection:
            worse = connection.execute(count.join(tables.measurement, first_run(metric)).where(refused(minimize)))
            return worse.scalar_one(), connection.execute(count.where(OVERTAKEN)).scalar_one()

    def last_number(self, campaign_id: str) -> int:
        """The highest number of a candidate; 0 before the first."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(C.number)).where(C.campaign_id == campaign_id)).scalar() or 0

    def cost_by_round(self, campaign_id: str) -> dict[int, float]:
        """Dollars by round's number; what belongs to none is under 0. Open reservations count in full."""
        number = func.coalesce(number_of(U.round_id, campaign_id, ".r"), 0).label("number")
        query = select(number, func.sum(U.cost_usd)).where(func.coalesce(U.campaign_id, "") == campaign_id)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by("number").order_by("number"))}

    def newest_spread(self, campaign_id: str) -> float | None:
        """The noise of one run that the newest confirmation knew: a standard deviation, as a share of the baseline."""
        query = select(D.evidence).where(D.campaign_id == campaign_id, D.rule.in_(TESTED))
        with self._database.reading() as connection:
            evidence: dict[str, Any] | None = connection.execute(query.order_by(D.id.desc()).limit(1)).scalar()
        spread = (evidence or {}).get("spread")
        return float(spread) if isinstance(spread, int | float) else None


def number_of(column: ColumnElement[Any], campaign_id: str, mark: str) -> ColumnElement[int]:
    """The number in an id such as CAMPAIGN.N or CAMPAIGN.rN, without a look at another table."""
    return cast(func.substr(column, len(campaign_id) + len(mark) + 1), Integer)


def first_run(metric: str) -> ColumnElement[bool]:
    """Joins a decision with the first run that screened its candidate."""
    return and_(
        M.campaign_id == D.campaign_id,
        M.candidate_id == D.candidate_id,
        M.phase == Phase.SCREEN,
        M.pair == 0,
        M.metric == metric,
    )


def refused(minimize: bool) -> ColumnElement[bool]:
    """Measured, better in its first run, and decided against all the same."""
    better = M.value < D.baseline_value if minimize else M.value > D.baseline_value
    return and_(D.verdict == Verdict.DISCARDED, D.rule.not_in(BY_A_PERSON), better)


# A screened candidate that was not confirmed, as another came first, is compared with no baseline.
OVERTAKEN = and_(D.verdict == Verdict.DISCARDED, D.rule == "screen", D.value.is_not(None), D.baseline_value.is_(None))


def chosen_columns(minimize: bool) -> tuple[ColumnElement[Any], ...]:
    return (
        C.number,
        D.verdict,
        D.value,
        M.value.label("first"),
        D.baseline_value.label("baseline"),
        case((refused(minimize), 1), else_=0).label("better"),
        case((OVERTAKEN, 1), else_=0).label("overtaken"),
        func.substr(C.hypothesis, 1, TEXT).label("hypothesis"),
        C.plan["category"].as_string().label("category"),
        D.created_at.label("decided"),
    )


def extremes(campaign_id: str, width: int, minimize: bool) -> CompoundSelect[int]:
    """The numbers of a thinned choice, from the decisions alone: one pass finds each bin's ends, one those at them."""
    number = number_of(D.candidate_id, campaign_id, ".")
    better = D.value < D.baseline_value if minimize else D.value > D.baseline_value
    tried = (
        select(
            number.label("number"),
            (number // literal(width, Integer)).label("bin"),
            D.verdict.label("verdict"),
            case((better, 1), else_=0).label("better"),
            D.value.label("value"),
        )
        .where(D.campaign_id == campaign_id, D.verdict != Verdict.KEPT)
        .cte("tried")
        .prefix_with("MATERIALIZED")
    )
    t = tried.c
    group = (t.bin, t.verdict, t.better)
    ends = (
        select(*group, func.min(t.value).label("low"), func.max(t.value).label("high"), func.min(t.number).label("one"))
        .group_by(*group)
        .cte("ends")
        .prefix_with("MATERIALIZED")
    )
    e = ends.c
    every = tuple_(*group, t.value)
    at_end = union_all(*(select(e.bin, e.verdict, e.better, end).where(end.is_not(None)) for end in (e.low, e.high)))
    scored = select(func.min(t.number)).where(every.in_(at_end)).group_by(*group, t.value)  # equal values give one
    return union_all(scored, select(e.one).where(e.low.is_(None)))


def to_point(row: Any) -> Point:
    fields = dict(row._mapping)
    decided, started = fields.pop("decided"), fields.pop("started")
    fields |= {name: bool(fields[name]) for name in ("better", "overtaken")}
    fields |= {"category": fields["category"] or "", "seconds": max(0.0, (decided - started).total_seconds())}
    return Point(**fields)
