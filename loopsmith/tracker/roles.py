"""The verbs of the roles: what each said, and the lessons that a campaign learned."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select, update

from loopsmith.lessons import Answer, Learned, Lesson, LessonKind
from loopsmith.records import Usage
from loopsmith.tracker import tables
from loopsmith.tracker.evidence import insert_into
from loopsmith.tracker.ledger import settle
from loopsmith.tracker.rows import AnyRow, Verbs, columns, new_row, now

A, L, S = tables.answer.c, tables.lesson.c, tables.shown.c
ANSWER = columns(tables.answer)


class Roles(Verbs):
    """An answer is recorded with its cost in one transaction, and never asked for again."""

    def answer(self, campaign_id: str, role: str, key: str) -> Answer | None:
        """What a role said to a question; None when it was not asked, or a kill came before its answer."""
        query = select(*ANSWER).where(A.campaign_id == campaign_id, A.role == role, A.key == key)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return to_answer(row) if row else None

    def answers(
        self, campaign_id: str, *, role: str | None = None, candidate_id: str | None = None
    ) -> tuple[Answer, ...]:
        """What the roles said, oldest first."""
        query = select(*ANSWER).where(A.campaign_id == campaign_id).order_by(A.id)
        if role is not None:
            query = query.where(A.role == role)
        if candidate_id is not None:
            query = query.where(A.candidate_id == candidate_id)
        with self._database.reading() as connection:
            return tuple(map(to_answer, connection.execute(query)))

    def record_answer(
        self,
        campaign_id: str,
        role: str,
        key: str,
        data: Mapping[str, object],
        *,
        round_id: str | None = None,
        candidate_id: str | None = None,
        settlements: Sequence[tuple[int, Usage]] = (),
    ) -> Answer:
        """Write down an answer and settle the calls that it took; one that was recorded before stands.

        Args:
            data: what JSON can say; empty when there was no answer.
            settlements: ledger rows with what each really used, as `settle` takes them.
        """
        values = {
            "campaign_id": campaign_id,
            "role": role,
            "key": key,
            "round_id": round_id,
            "candidate_id": candidate_id,
            "data": dict(data),
            "used": False,
            "created_at": now(),
        }
        query = select(*ANSWER).where(A.campaign_id == campaign_id, A.role == role, A.key == key)
        with self._database.writing() as connection:
            for row, usage in settlements:
                settle(connection, row, usage)
            connection.execute(insert_into(tables.answer, self._database.sqlite).on_conflict_do_nothing(), values)
            return to_answer(connection.execute(query).one())

    def lessons(self, campaign_id: str, *, retired: bool = False) -> tuple[Lesson, ...]:
        """The lessons that stand, or with `retired` all of them, oldest first."""
        query = select(tables.lesson, S.candidate_id).join(tables.shown, S.lesson_id == L.id)
        query = query.join(tables.candidate, tables.candidate.c.id == S.candidate_id)
        query = query.where(L.campaign_id == campaign_id).order_by(L.id, tables.candidate.c.number)
        if not retired:
            query = query.where(L.retired_by.is_(None))
        found: dict[int, tuple[AnyRow, list[str]]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.id, (row, []))[1].append(row.candidate_id)
        return tuple(
            Lesson(
                id=row.id,
                campaign_id=row.campaign_id,
                kind=LessonKind(row.kind),
                text=row.text,
                evidence=tuple(evidence),
                retired_by=row.retired_by,
                retired_because=row.retired_because,
                created_at=row.created_at,
            )
            for row, evidence in found.values()
        )

    def learn(self, answer: Answer, learned: Learned) -> bool:
        """Change the lessons by an answer, once: False when that was done before, and then nothing is written."""
        with self._database.writing() as connection:
            fresh = update(tables.answer).where(A.id == answer.id, ~A.used).values(used=True)
            if connection.execute(fresh).rowcount != 1:
                return False
            show = insert_into(tables.shown, self._database.sqlite).on_conflict_do_nothing()
            for kind, text, evidence in learned.new:
                lesson_id = new_lesson(connection, answer.campaign_id, kind, text)
                rows = [{"lesson_id": lesson_id, "candidate_id": candidate_id} for candidate_id in evidence]
                connection.execute(show, rows)
            for lesson_id, candidate_id in learned.shown:
                connection.execute(show, {"lesson_id": lesson_id, "candidate_id": candidate_id})
            for lesson_id, candidate_id, because in learned.retired:
                retire = update(tables.lesson).where(L.id == lesson_id, L.retired_by.is_(None))
                connection.execute(retire.values(retired_by=candidate_id, retired_because=because))
            return True


def new_lesson(connection: Connection, campaign_id: str, kind: LessonKind, text: str) -> int:
    values = {
        "campaign_id": campaign_id,
        "kind": kind,
        "text": text,
        "retired_by": None,
        "retired_because": "",
        "created_at": now(),
    }
    return new_row(connection.execute(insert(tables.lesson), values))


def to_answer(row: AnyRow) -> Answer:
    return Answer(**row._mapping)
