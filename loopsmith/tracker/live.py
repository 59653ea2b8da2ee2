"""The verbs of a running campaign: what people ask of it, and what goes on in it now."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, insert, select, update

from loopsmith.live import Activity, Doing, Request, RequestKind, RequestStatus
from loopsmith.records import Candidate
from loopsmith.tracker import tables
from loopsmith.tracker.campaigns import change_campaign
from loopsmith.tracker.rows import CANDIDATE, AnyRow, Verbs, add_event, found, new_row, now, to_candidate

R, A, C = tables.request.c, tables.activity.c, tables.candidate.c


class Live(Verbs):
    """Requests are the one thing that other processes than the campaign's own write."""

    def ask(self, campaign_id: str, kind: RequestKind, data: Mapping[str, Any] | None = None, *, by: str) -> Request:
        """Write down what a person wants of a campaign; it is answered when the campaign next looks."""
        values: dict[str, Any] = {
            "campaign_id": campaign_id,
            "kind": kind,
            "data": dict(data or {}),
            "by": by,
            "status": RequestStatus.WAITING,
            "answer": "",
            "created_at": now(),
        }
        with self._database.writing() as connection:
            return Request(id=new_row(connection.execute(insert(tables.request), values)), **values)

    def request(self, request_id: int) -> Request:
        """One request, as it stands."""
        with self._database.reading() as connection:
            row = connection.execute(select(tables.request).where(R.id == request_id)).one_or_none()
        return to_request(found(row, "request", str(request_id)))

    def requests(
        self,
        campaign_id: str,
        *,
        kinds: Collection[RequestKind] | None = None,
        status: RequestStatus | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> tuple[Request, ...]:
        """What was asked of a campaign, in the order in which it was asked."""
        query = select(tables.request).where(R.campaign_id == campaign_id).limit(limit)
        query = query.order_by(R.id.desc() if newest_first else R.id)
        if kinds is not None:
            query = query.where(R.kind.in_(kinds))
        if status is not None:
            query = query.where(R.status == status)
        with self._database.reading() as connection:
            return tuple(map(to_request, connection.execute(query)))

    def answer_request(
        self,
        request_id: int,
        status: RequestStatus,
        answer: str,
        *,
        event: tuple[str, Mapping[str, Any]] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> bool:
        """Say what became of a request, once: False when it was answered before, and then nothing is written.

        Args:
            event: name and data of what is recorded with it, in the same transaction.
            settings: the campaign's, all of them, as they are now.
        """
        values = {"status": status, "answer": answer, "answered_at": now()}
        statement = update(tables.request).where(R.id == request_id, R.status == RequestStatus.WAITING)
        with self._database.writing() as connection:
            campaign = connection.execute(statement.values(**values).returning(R.campaign_id)).scalar_one_or_none()
            if campaign is None:
                return False
            if event is not None:
                add_event(connection, campaign, *event)
            if settings is not None:
                change_campaign(connection, campaign, settings=dict(settings))
            return True

    def marked(self, campaign_id: str, text: str) -> tuple[Candidate, ...]:
        """The candidates whose hypothesis holds a text, in any case, by number."""
        query = select(*CANDIDATE).where(C.campaign_id == campaign_id, C.hypothesis.icontains(text, autoescape=True))
        with self._database.reading() as connection:
            return tuple(map(to_candidate, connection.execute(query.order_by(C.number))))

    def activity(self, campaign_id: str) -> tuple[Activity, ...]:
        """What goes on in a campaign, by when it began; of one whose process is gone, what went on then."""
        query = select(tables.activity).where(A.campaign_id == campaign_id).order_by(A.since, A.subject)
        with self._database.reading() as connection:
            return tuple(map(to_activity, connection.execute(query)))

    def set_activity(
        self, campaign_id: str, changed: Iterable[Activity] = (), *, ended: Collection[str] | None = None
    ) -> None:
        """Rewrite what goes on, in one transaction.

        Args:
            changed: replaces what was said of the same subjects.
            ended: subjects with which nothing goes on any more; None: all but those of `changed`.
        """
        rows = [asdict(each) | {"lease": list(each.lease)} for each in changed]
        mine = delete(tables.activity).where(A.campaign_id == campaign_id)
        gone = None if ended is None else {*ended, *(row["subject"] for row in rows)}
        with self._database.writing() as connection:
            connection.execute(mine if gone is None else mine.where(A.subject.in_(gone)))
            if rows:
                connection.execute(insert(tables.activity), rows)


def to_request(row: AnyRow) -> Request:
    return Request(**{**row._mapping, "kind": RequestKind(row.kind), "status": RequestStatus(row.status)})


def to_activity(row: AnyRow) -> Activity:
    return Activity(**{**row._mapping, "doing": Doing(row.doing), "lease": tuple(row.lease)})
