"""The verbs that take out much at once: whole tables, and everything known of each candidate as one flat record.

They give rows as they are read, a page at a time, so that a large tracker needs no more memory than a small one.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, func, select

from loopsmith.errors import UsageError
from loopsmith.protocols import Call
from loopsmith.records import Phase, Status, Usage
from loopsmith.tracker import tables
from loopsmith.tracker.columns import finite
from loopsmith.tracker.rows import AnyRow, Verbs, found

PAGE = 500  # candidates, or rows, that are read at a time
TOKENS = ("input_tokens", "cached_tokens", "output_tokens")
C, D, M, U = tables.candidate.c, tables.decision.c, tables.measurement.c, tables.usage.c

# The columns of a candidate's record and what is in them: int, float, text, time (a datetime), json (maps).
KNOWN = dict(
    pair.split(":")
    for pair in """
    candidate:int round:int status:text commit:text parent:text value:float effect:float effect_low:float
    effect_high:float pairs:int reason:text agent:text hypothesis:text summary:text lines_added:int lines_removed:int
    params:json created_at:time finished_at:time id:text rule:text baseline_value:float holdout:float category:text
    expected_effect:text risk:text emphasis:text tried:text lesson:text try_next:text finish_reason:text attempt:int
    seed:int retry_of:int calls:int input_tokens:int cached_tokens:int output_tokens:int cost_usd:float
    model_seconds:float verify_seconds:float seconds:float
    """.split()  # noqa: SIM905 - a table reads better
)
SAME = tuple(name for name in KNOWN if name in C)  # as the candidate's row has it
TABLES = {
    "measurements": tables.measurement,
    "decisions": tables.decision,
    "rounds": tables.round_,
    "events": tables.event,
    "usage": tables.usage,
    "reflections": tables.reflection,
    "lessons": tables.lesson,
    "artifacts": tables.artifact,
}
ONE = select(*tables.candidate.c, *(column.label(f"decision_{column.name}") for column in D)).outerjoin_from(
    tables.candidate, tables.decision, D.candidate_id == C.id
)


class Extract(Verbs):
    """Reading out the tracker."""

    def known(self, campaign_id: str, *, decided: bool = False) -> Iterator[dict[str, Any]]:
        """Everything known of each candidate, by number: the columns of KNOWN, and `metrics`, the mean of each metric.

        Args:
            decided: only those that are decided.
        """
        last = 0
        while True:
            query = ONE.where(C.campaign_id == campaign_id, C.number > last).order_by(C.number).limit(PAGE)
            if decided:
                query = query.where(C.status.in_([status for status in Status if status.final]))
            with self._database.reading() as connection:
                rows = connection.execute(query).all()
                records = known_of(connection, campaign_id, rows)
            yield from records
            if len(rows) < PAGE:
                return
            last = rows[-1].number

    def known_candidate(self, campaign_id: str, number: int) -> dict[str, Any]:
        """The record of one candidate, as `known` gives it.

        Raises:
            UsageError: there is no such candidate.
        """
        with self._database.reading() as connection:
            row = connection.execute(ONE.where(C.campaign_id == campaign_id, C.number == number)).one_or_none()
            return known_of(connection, campaign_id, [found(row, "candidate", str(number))])[0]

    def metric_names(self, campaign_id: str) -> tuple[str, ...]:
        """Every metric that was measured of a candidate, by name."""
        query = select(M.metric).distinct().where(M.campaign_id == campaign_id, M.candidate_id.is_not(None))
        with self._database.reading() as connection:
            return tuple(sorted(connection.scalars(query)))

    def rows(self, campaign_id: str, name: str) -> Iterator[dict[str, Any]]:
        """The rows of a table of TABLES that are the campaign's, oldest first.

        Raises:
            UsageError: there is no such table.
        """
        table = table_named(name)
        order = table.c.number if "number" in table.c else table.c.id
        query = select(*table.c).where(table.c.campaign_id == campaign_id).order_by(order)
        with self._database.reading() as connection:
            for row in connection.execution_options(yield_per=PAGE).execute(query):
                yield {name.replace("commit_id", "commit"): value for name, value in row._mapping.items()}

    def calls(self, campaign_id: str, *, round_id: str | None, candidate_id: str | None) -> tuple[Call, ...]:
        """The settled model calls of a candidate, or those of a round that are no candidate's, oldest first."""
        query = select(*tables.usage.c).where(U.campaign_id == campaign_id, U.settled).order_by(U.id)
        if candidate_id is not None:
            query = query.where(U.candidate_id == candidate_id)
        else:
            query = query.where(U.round_id == round_id, U.candidate_id.is_(None))
        with self._database.reading() as connection:
            return tuple(map(to_call, connection.execute(query)))


def table_named(name: str) -> Table:
    """Raises UsageError when there is none of this name."""
    if name not in TABLES:
        raise UsageError(f"there is no table `{name}`; there are candidates, {', '.join(TABLES)}")
    return TABLES[name]


def known_of(connection: Connection, campaign_id: str, rows: Sequence[AnyRow]) -> list[dict[str, Any]]:
    """The records of some candidates of a campaign, in their order."""
    ids = [row.id for row in rows]
    usage = used_by(connection, campaign_id, ids)
    means, seconds = measured_of(connection, campaign_id, ids)
    settings = select(tables.campaign.c.settings).where(tables.campaign.c.id == campaign_id)
    metric = (connection.scalar(settings) or {}).get("objective", {}).get("metric", "")
    return [
        known_row(row, metric, usage.get(row.id), means.get((row.id, row.commit_id), {}), seconds.get(row.id))
        for row in rows
    ]


def used_by(connection: Connection, campaign_id: str, ids: Iterable[str]) -> dict[str, AnyRow]:
    """What model calls used, by candidate."""
    sums = (func.sum(U[name]).label(name) for name in (*TOKENS, "cost_usd", "seconds"))
    query = select(U.candidate_id, func.count().label("calls"), *sums).group_by(U.candidate_id)
    query = query.where(U.campaign_id == campaign_id, U.candidate_id.in_(ids))
    return {row.candidate_id: row for row in connection.execute(query)}


def measured_of(
    connection: Connection, campaign_id: str, ids: Iterable[str]
) -> tuple[dict[tuple[str, str], dict[str, dict[str, float]]], dict[str, float]]:
    """The means by (candidate, commit), phase and metric, and the seconds of all runs by candidate."""
    chosen = (M.campaign_id == campaign_id, M.candidate_id.in_(ids))
    query = select(M.candidate_id, M.commit_id, M.phase, M.metric, func.avg(M.value).label("mean")).where(*chosen)
    means: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for row in connection.execute(query.group_by(M.candidate_id, M.commit_id, M.phase, M.metric)):
        phases = means.setdefault((row.candidate_id, row.commit_id), {})
        phases.setdefault(row.phase, {})[row.metric] = float(row.mean)
    run = (M.candidate_id, M.commit_id, M.phase, M.pair)  # has one row for each of its metrics
    runs = select(M.candidate_id, func.max(M.seconds).label("seconds")).where(*chosen).group_by(*run).subquery()
    sums = select(runs.c.candidate_id, func.sum(runs.c.seconds)).group_by(runs.c.candidate_id)
    return means, {candidate: float(total) for candidate, total in connection.execute(sums)}


def known_row(
    row: AnyRow, metric: str, usage: AnyRow | None, phases: dict[str, dict[str, float]], seconds: float | None
) -> dict[str, Any]:
    """One record; a metric's mean is of the confirming runs, where there are any, else of the screening ones."""
    final = Status(row.status).final
    given = row._mapping
    effect = {f"effect{part}": given[f"decision_effect{part or '_mean'}"] for part in ("", "_low", "_high")}
    plan = {name: str(row.plan.get(name) or "") for name in ("category", "expected_effect", "risk")}
    used = {name: getattr(usage, name) if usage else 0 for name in ("calls", *TOKENS)}
    values: dict[str, Any] = {name: given[name] for name in SAME} | effect | plan | used
    values |= {
        "candidate": row.number,
        "round": number_in(row.round_id),
        "commit": row.commit_id,
        "parent": row.parent_commit,
        "retry_of": number_in(row.retry_of),
        "pairs": row.decision_effect_samples,
        "reason": row.decision_reason or "",
        "rule": row.decision_rule or "",
        "baseline_value": row.decision_baseline_value,
        "holdout": phases.get(Phase.HOLDOUT, {}).get(metric),
        "finished_at": row.updated_at if final else None,
        "seconds": (row.updated_at - row.created_at).total_seconds() if final else None,
        "cost_usd": usage.cost_usd if usage else 0.0,
        "model_seconds": usage.seconds if usage else 0.0,
        "verify_seconds": seconds,
    }
    metrics = {**phases.get(Phase.SCREEN, {}), **phases.get(Phase.CONFIRM, {})}
    return {**{name: values[name] for name in KNOWN}, "metrics": dict(sorted(metrics.items()))}


def number_in(id_: str | None) -> int | None:
    """The number at the end of a candidate's or a round's id."""
    return None if id_ is None else int(id_.rpartition(".")[2].lstrip("r"))


def to_call(row: AnyRow) -> Call:
    usage = Usage(**{name: row._mapping[name] for name in Usage.__dataclass_fields__})
    return Call(
        usage=usage,
        round=number_in(row.round_id),
        candidate=number_in(row.candidate_id),
        created_at=row.created_at,
    )


def json_text(record: Any) -> str:
    """A record on one line of JSON: times in ISO 8601, and what JSON has no word for as null or its text."""
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False, default=plain)
    except ValueError:
        return json.dumps(finite(record), ensure_ascii=False, default=plain)


def plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
