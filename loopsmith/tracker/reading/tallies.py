"""The verbs of what a campaign's candidates add up to: by category, by how they ended, and which came near."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from loopsmith.records import Verdict
from loopsmith.tracker import tables
from loopsmith.tracker.reading.aggregates import SHARE, materialized, number_in, whole
from loopsmith.tracker.reading.points import Point, chosen_columns, first_run, refused, to_point
from loopsmith.tracker.rows import Verbs

C, D, M, U = tables.candidate.c, tables.decision.c, tables.measurement.c, tables.usage.c
# A candidate of no planner has no category; then it is its agent that tells it from others.
CATEGORY = func.coalesce(C.plan["category"].as_string(), "").label("category")
# Not named `agent`: GROUP BY would take that for the column.
AGENT = case((CATEGORY == "", C.agent), else_="").label("author")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What the candidates of a category came to.

    Attributes:
        category: as the planner named it; empty without one, and `agent` then says whose they are.
        verdicts: how many ended with each.
        best: the largest gain of a kept one, as a share of its baseline; None where none was kept.
        nearest: the largest that another one measured, by however few runs; None where none has a score.
        gain: the sum of the kept ones' effects, each a share of its baseline.
        cost_usd: of their calls, open ones too.
    """

    category: str
    agent: str
    verdicts: Mapping[str, int]
    best: float | None
    nearest: float | None
    gain: float
    cost_usd: float

    @property
    def tried(self) -> int:
        return sum(self.verdicts.values())

    @property
    def kept(self) -> int:
        return self.verdicts.get(Verdict.KEPT, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How many candidates ended with a verdict by one rule, and the newest of them."""

    verdict: str
    rule: str
    count: int
    number: int
    reason: str


class Tallies(Verbs):
    """Sums over all candidates of a campaign, in SQL."""

    def by_category(self, campaign_id: str, *, minimize: bool) -> tuple[Tally, ...]:
        """What each kind of idea brought: those with most keeps first, then the most tried."""
        gain = case((D.verdict == Verdict.KEPT, func.coalesce(SHARE, gain_of(minimize))), else_=gain_of(minimize))
        query = (
            select(
                *(CATEGORY, AGENT, D.verdict, func.count().label("count"), func.max(gain).label("best")),
                func.sum(SHARE).label("effects"),
            )
            .join(tables.candidate, C.id == D.candidate_id)
            .where(D.campaign_id == campaign_id)
            .group_by("category", "author", D.verdict)
        )
        p = materialized("planned", select(C.number, CATEGORY, AGENT).where(whole(C.campaign_id, campaign_id))).c
        number = number_in(U.candidate_id, campaign_id).label("number")
        used = select(number, func.sum(U.cost_usd).label("cost")).where(whole(U.campaign_id, campaign_id))
        u = materialized("used", used.group_by("number")).c
        costs = select(p.category, p.author, func.sum(u.cost).label("cost"))
        costs = costs.join_from(p.number.table, u.number.table, u.number == p.number).group_by(p.category, p.author)
        found: dict[tuple[str, str], list[Any]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                found.setdefault((row.category, row.author), []).append(row)
            cost = {(row.category, row.author): row.cost for row in connection.execute(costs)}
        tallies = [
            Tally(
                category=category,
                agent=agent,
                verdicts={row.verdict: row.count for row in rows},
                best=largest(row for row in rows if row.verdict == Verdict.KEPT),
                nearest=largest(row for row in rows if row.verdict != Verdict.KEPT),
                gain=sum(row.effects or 0.0 for row in rows if row.verdict == Verdict.KEPT),
                cost_usd=cost.get((category, agent), 0.0),
            )
            for (category, agent), rows in found.items()
        ]
        return tuple(sorted(tallies, key=lambda tally: (-tally.kept, -tally.tried, tally.category, tally.agent)))

    def endings(self, campaign_id: str) -> tuple[Ending, ...]:
        """How the candidates without a score ended, the most frequent first, each with its newest case."""
        others = (Verdict.KEPT, Verdict.DISCARDED, Verdict.QUARANTINED)
        counts = (
            select(func.count().label("count"), func.max(D.id).label("newest"))
            .where(D.campaign_id == campaign_id, D.verdict.not_in(others))
            .group_by(D.verdict, D.rule)
            .subquery()
        )
        query = (
            select(D.verdict, D.rule, D.reason, C.number, counts.c.count)
            .join(counts, counts.c.newest == D.id)
            .join(tables.candidate, C.id == D.candidate_id)
            .order_by(counts.c.count.desc(), D.id)
        )
        with self._database.reading() as connection:
            return tuple(Ending(**row._mapping) for row in connection.execute(query))

    def near_misses(self, campaign_id: str, metric: str, *, minimize: bool, limit: int) -> tuple[Point, ...]:
        """Those that looked better in their first run and were refused, by that run's gain, the largest first."""
        first = gain_of(minimize, M.value)
        query = (
            select(*chosen_columns(minimize), tables.campaign.c.created_at.label("started"))
            .join(tables.candidate, C.id == D.candidate_id)
            .join(tables.campaign, tables.campaign.c.id == D.campaign_id)
            .join(tables.measurement, first_run(metric))
            .where(D.campaign_id == campaign_id, refused(minimize))
            .order_by(first.desc(), C.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(map(to_point, connection.execute(query)))

    def agents(self, campaign_id: str) -> dict[str, int]:
        """How many candidates each agent made, by name."""
        query = select(C.agent, func.count()).where(C.campaign_id == campaign_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(C.agent).order_by(C.agent))
            return {str(row[0]): int(row[1]) for row in rows}


def gain_of(minimize: bool, value: ColumnElement[float | None] = D.value) -> ColumnElement[Any]:
    """A value's gain over its baseline, as a share of that; NULL of a baseline at zero, which has no share."""
    difference = D.baseline_value - value if minimize else value - D.baseline_value
    return difference / func.nullif(func.abs(D.baseline_value), 0.0)


def largest(rows: Iterable[Any]) -> float | None:
    return max((row.best for row in rows if row.best is not None), default=None)
