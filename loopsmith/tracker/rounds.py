"""The verbs of rounds: planned with all their candidates at once, finished once."""

from collections.abc import Sequence

from sqlalchemy import func, insert, or_, select, true, update

from loopsmith.errors import TrackerError
from loopsmith.records import Candidate, Round, Slot, Status, Verdict
from loopsmith.tracker import tables
from loopsmith.tracker.candidates import APPROVED
from loopsmith.tracker.rows import ROUND, Verbs, found, now, to_round

R, C, D = tables.round_.c, tables.candidate.c, tables.decision.c


class Rounds(Verbs):
    """Planning, finding and finishing rounds."""

    def plan_round(
        self, campaign_id: str, *, task_id: str, baseline_commit: str, slots: Sequence[Slot]
    ) -> tuple[Round, tuple[Candidate, ...]]:
        """The next round of a campaign with one planned candidate a slot, all or nothing.

        Raises:
            TrackerError: the round before is not finished, or there is no such campaign.
        """
        created = now()
        with self._database.writing() as connection:
            # Where writers are not alone anyway (PostgreSQL), the campaign's row is what the numbers wait on.
            lock = select(tables.campaign.c.id).where(tables.campaign.c.id == campaign_id).with_for_update()
            if connection.execute(lock).one_or_none() is None:
                raise TrackerError(f"there is no campaign {campaign_id} in this tracker; start it first")
            unfinished = select(R.number).where(R.campaign_id == campaign_id, ~R.finished)
            if number := connection.execute(unfinished).scalar():
                raise TrackerError(f"round {number} of {campaign_id} is not finished; finish it before the next")
            last = select(func.max(R.number)).where(R.campaign_id == campaign_id)
            number = (connection.execute(last).scalar() or 0) + 1
            round_ = Round(
                id=f"{campaign_id}.r{number}",
                campaign_id=campaign_id,
                task_id=task_id,
                number=number,
                baseline_commit=baseline_commit,
                created_at=created,
            )
            connection.execute(insert(tables.round_), {name: getattr(round_, name) for name in R.keys()})  # noqa: SIM118 - a column collection yields columns
            last = select(func.max(C.number)).where(C.campaign_id == campaign_id)
            first = (connection.execute(last).scalar() or 0) + 1
            candidates = tuple(planned(round_, n, slot) for n, slot in enumerate(slots, start=first))
            if candidates:
                connection.execute(insert(tables.candidate), [row_of(candidate) for candidate in candidates])
        return round_, candidates

    def open_round(self, campaign_id: str) -> Round | None:
        """The round that is not finished; a campaign has at most one."""
        query = select(*ROUND).where(R.campaign_id == campaign_id, ~R.finished)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return to_round(row) if row else None

    def finish_round(self, round_id: str) -> Round:
        """Close a round; closing it again changes nothing.

        Raises:
            TrackerError: there is no such round.
        """
        statement = update(tables.round_).where(R.id == round_id).values(finished=True).returning(*ROUND)
        with self._database.writing() as connection:
            row = connection.execute(statement).one_or_none()
            if row is None:
                raise TrackerError(f"there is no round {round_id} in this tracker")
            return to_round(row)

    def round(self, round_id: str) -> Round:
        """Raises UsageError when there is none of this id."""
        with self._database.reading() as connection:
            row = connection.execute(select(*ROUND).where(R.id == round_id)).one_or_none()
        return to_round(found(row, "round", round_id))

    def rounds(self, campaign_id: str, limit: int | None = None) -> tuple[Round, ...]:
        """The campaign's rounds, newest first."""
        query = select(*ROUND).where(R.campaign_id == campaign_id).order_by(R.number.desc()).limit(limit)
        with self._database.reading() as connection:
            return tuple(map(to_round, connection.execute(query)))

    def round_count(self, campaign_id: str) -> int:
        """How many rounds were planned."""
        with self._database.reading() as connection:
            last = select(func.max(R.number)).where(R.campaign_id == campaign_id)
            return connection.execute(last).scalar() or 0

    def rounds_since_keep(self, campaign_id: str) -> int:
        """How many rounds were planned after the last keep or approval, and are finished."""
        kept = select(func.max(D.created_at)).where(
            D.campaign_id == campaign_id, or_(D.verdict == Verdict.KEPT, D.rule == APPROVED)
        )
        later = func.coalesce(R.created_at > kept.scalar_subquery(), true())
        query = select(func.count()).where(R.campaign_id == campaign_id, R.finished, later)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()


def planned(round_: Round, number: int, slot: Slot) -> Candidate:
    return Candidate(
        id=f"{round_.campaign_id}.{number}",
        campaign_id=round_.campaign_id,
        round_id=round_.id,
        number=number,
        status=Status.PLANNED,
        seed=slot.seed,
        agent=slot.agent,
        parent_commit=slot.parent or round_.baseline_commit,
        retry_of=slot.retry_of,
        emphasis=slot.emphasis,
        hypothesis=slot.hypothesis,
        plan=slot.plan,
        created_at=round_.created_at,
        updated_at=round_.created_at,
    )


def row_of(candidate: Candidate) -> dict[str, object]:
    return {name: getattr(candidate, "commit" if name == "commit_id" else name) for name in C.keys()}  # noqa: SIM118
