"""The verbs of what is observed: measurements, decisions, events and artifacts. Nothing here is ever changed."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert, select

from loopsmith.records import Artifact, Decision, Event, Measurement, Phase, Run
from loopsmith.tracker import tables
from loopsmith.tracker.rows import (
    ARTIFACT,
    DECISION,
    EVENT,
    MEASUREMENT,
    Verbs,
    new_row,
    now,
    to_artifact,
    to_decision,
    to_event,
    to_measurement,
)

M, E, A = tables.measurement.c, tables.event.c, tables.artifact.c
NEW_EVENT = insert(tables.event)


class Evidence(Verbs):
    """Writing down what happened, and reading it back."""

    def record_run(
        self, *, campaign_id: str, candidate_id: str | None, commit: str, phase: Phase, pair: int, run: Run
    ) -> tuple[Measurement, ...]:
        """One measurement for each metric of a verifier's run; a run that was recorded before is left as it is.

        Args:
            candidate_id: None for a run of the baseline alone; the candidate for both sides of its confirmation.
            commit: the content that was run.
            pair: the number of the run; both runs of a confirmed pair share it.

        Returns:
            the measurements that the tracker now holds of this run.
        """
        if not run.metrics:
            return ()
        key: dict[str, Any] = {"campaign_id": campaign_id, "candidate_id": candidate_id, "phase": phase, "pair": pair}
        log = str(run.log) if run.log else None
        rest: dict[str, Any] = {"seed": run.seed, "seconds": run.seconds, "log": log, "created_at": now()}
        samples = [{**key, **rest, "metric": metric, "value": value} for metric, value in run.metrics.items()]
        statement = new_measurement(self._database.sqlite)
        with self._database.writing() as connection:
            result = connection.execute(statement, [{**sample, "commit_id": commit} for sample in samples])
            if result.rowcount == len(samples):
                return tuple(Measurement(commit=commit, **sample) for sample in samples)
            query = select(*MEASUREMENT).where(M.campaign_id == campaign_id, M.commit_id == commit, M.phase == phase)
            query = query.where(M.candidate_id == candidate_id, M.pair == pair, M.metric.in_(run.metrics))
            return tuple(map(to_measurement, connection.execute(query.order_by(M.id))))

    def measurements(
        self,
        campaign_id: str,
        *,
        candidate_id: str | None = None,
        commit: str | None = None,
        phase: Phase | None = None,
    ) -> tuple[Measurement, ...]:
        """The samples that fit everything given, in the order in which they were taken."""
        query = select(*MEASUREMENT).where(M.campaign_id == campaign_id).order_by(M.id)
        if candidate_id is not None:
            query = query.where(M.candidate_id == candidate_id)
        if commit is not None:
            query = query.where(M.commit_id == commit)
        if phase is not None:
            query = query.where(M.phase == phase)
        with self._database.reading() as connection:
            return tuple(map(to_measurement, connection.execute(query)))

    def decision(self, candidate_id: str) -> Decision | None:
        """The decision on a candidate; None while it is open."""
        query = select(*DECISION).where(tables.decision.c.candidate_id == candidate_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return to_decision(row) if row else None

    def decisions(self, campaign_id: str, rules: Sequence[str]) -> tuple[Decision, ...]:
        """The decisions that were made by any of these rules, oldest first."""
        d = tables.decision.c
        query = select(*DECISION).where(d.campaign_id == campaign_id, d.rule.in_(rules)).order_by(d.id)
        with self._database.reading() as connection:
            return tuple(map(to_decision, connection.execute(query)))

    def record_event(
        self, campaign_id: str, name: str, *, round_id: str | None = None, candidate_id: str | None = None, **data: Any
    ) -> Event:
        """Append to the campaign's log.

        Args:
            name: dotted and stable, such as `candidate.decided`.
            data: anything that JSON can say; other objects are written as their text, non-finite numbers as null.
        """
        values: dict[str, Any] = {
            "campaign_id": campaign_id,
            "name": name,
            "round_id": round_id,
            "candidate_id": candidate_id,
            "data": data,
            "created_at": now(),
        }
        with self._database.writing() as connection:
            row = new_row(connection.execute(NEW_EVENT, values))
        return Event(id=row, **values)

    def events(
        self,
        campaign_id: str,
        *,
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
        name: str | None = None,
        candidate_id: str | None = None,
    ) -> tuple[Event, ...]:
        """The events with an id above `after`, all or of one name: oldest first for a follower, or newest first."""
        query = select(*EVENT).where(E.campaign_id == campaign_id, E.id > after).limit(limit)
        if name is not None:
            query = query.where(E.name == name)
        if candidate_id is not None:
            query = query.where(E.candidate_id == candidate_id)
        query = query.order_by(E.id.desc() if newest_first else E.id)
        with self._database.reading() as connection:
            return tuple(map(to_event, connection.execute(query)))

    def record_artifact(
        self, *, campaign_id: str, candidate_id: str | None, kind: str, path: str | Path, size: int
    ) -> Artifact:
        """Note a file; noting the same path again replaces its size.

        Args:
            kind: log | transcript | output | brief.
            size: bytes.
        """
        values: dict[str, Any] = {
            "campaign_id": campaign_id,
            "candidate_id": candidate_id,
            "kind": kind,
            "path": str(path),
            "size": size,
            "created_at": now(),
        }
        statement = new_artifact(self._database.sqlite)
        with self._database.writing() as connection:
            connection.execute(statement, values)
        return Artifact(**values)

    def artifacts(self, campaign_id: str, candidate_id: str | None = None) -> tuple[Artifact, ...]:
        """The files noted for a campaign, or for one of its candidates, oldest first."""
        query = select(*ARTIFACT).where(A.campaign_id == campaign_id).order_by(A.id)
        if candidate_id is not None:
            query = query.where(A.candidate_id == candidate_id)
        with self._database.reading() as connection:
            return tuple(map(to_artifact, connection.execute(query)))


def insert_into(table: Table, sqlite: bool) -> Any:
    """An INSERT that knows ON CONFLICT, which is not in SQLAlchemy's common language."""
    if sqlite:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert(table)
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert(table)


@cache
def new_measurement(sqlite: bool) -> Any:
    return insert_into(tables.measurement, sqlite).on_conflict_do_nothing()


@cache
def new_artifact(sqlite: bool) -> Any:
    statement = insert_into(tables.artifact, sqlite)
    replaced = {name: statement.excluded[name] for name in ("size", "kind", "candidate_id")}
    return statement.on_conflict_do_update(index_elements=[A.campaign_id, A.path], set_=replaced)
