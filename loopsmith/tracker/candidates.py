"""The verbs that move a candidate through its states, and those that find candidates.

Every move is one conditional UPDATE: of two processes that ask for the same, one wins and the other is told.
"""

import re
from collections.abc import Collection
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, insert, literal_column, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from loopsmith.errors import IllegalTransition, TrackerError, UsageError
from loopsmith.live import RequestStatus
from loopsmith.records import Candidate, Decision, Reflection, Report, Status, Trial, Verdict
from loopsmith.tracker import tables
from loopsmith.tracker.campaigns import change_campaign
from loopsmith.tracker.database import Database
from loopsmith.tracker.rows import (
    CANDIDATE,
    DECISION,
    Verbs,
    add_event,
    effect_columns,
    found,
    now,
    to_candidate,
    to_decision,
)
from loopsmith.tracker.states import RELEASES, require, sources

C, D = tables.candidate.c, tables.decision.c
# Past `generated` and really measured, or about to be.
VERIFIED = tuple(
    set(Status) - {Status.PLANNED, Status.RUNNING, Status.GENERATED, Status.REJECTED, Status.DUPLICATE},
)
ALL = select(*CANDIDATE)
ONE = ALL.where(C.id == bindparam("candidate"))
TWIN = (
    ALL.join(tables.round_, tables.round_.c.id == C.round_id)
    .where(C.campaign_id == bindparam("campaign"), C.tree == bindparam("tree"))
    .where(tables.round_.c.baseline_commit == bindparam("baseline"), C.id != bindparam("exclude"))
    # No ORDER BY: SQLite would walk the campaign by number for it, instead of looking the tree up.
    .where(C.status.in_([literal_column(f"'{status}'") for status in VERIFIED]))
)
TRIALS = (
    select(D.id, C.number, C.params, C.status, C.value, C.parent_commit)
    .join(tables.candidate, C.id == D.candidate_id)
    .where(D.campaign_id == bindparam("campaign"), D.id > bindparam("last"))
    .order_by(D.id)
)
APPROVED = "approved"  # the rule of a decision by which a person ended a quarantine
NEW_DECISION, NEW_REFLECTION = insert(tables.decision), insert(tables.reflection)


class Candidates(Verbs):
    """The candidate's life, from the claim to the decision."""

    def __init__(self, database: Database):
        super().__init__(database)
        # A decision is final, but for a review: only those after the last one seen are read again, by campaign.
        self._trials: dict[str, tuple[tuple[Trial, ...], int]] = {}

    def claim(self, candidate_id: str) -> Candidate:
        """planned -> running: the caller, and nobody else, works on it.

        Raises:
            IllegalTransition: it is not planned any more.
        """
        return self._move(candidate_id, Status.RUNNING)

    def submit(
        self, candidate_id: str, *, commit: str, tree: str, lines_added: int, lines_removed: int, report: Report
    ) -> Candidate:
        """running -> generated: the worker is done and its change is in the repository."""
        patch = {"commit_id": commit, "tree": tree, "lines_added": lines_added, "lines_removed": lines_removed}
        return self._move(candidate_id, Status.GENERATED, **patch, **report_columns(report))

    def begin_verification(self, candidate_id: str) -> Candidate:
        """generated -> verifying."""
        return self._move(candidate_id, Status.VERIFYING)

    def screened(self, candidate_id: str, value: float) -> Candidate:
        """verifying -> screened, with the objective's metric of the one run."""
        return self._move(candidate_id, Status.SCREENED, value=value)

    def begin_confirmation(self, candidate_id: str) -> Candidate:
        """screened -> confirming."""
        return self._move(candidate_id, Status.CONFIRMING)

    def release(self, candidate_id: str) -> Candidate:
        """Take back what a killed run had begun: running -> planned (the next attempt), verifying -> generated,
        confirming -> screened.
        """
        states = {str(busy): str(before) for busy, before in RELEASES.items()}
        statement = (
            update(tables.candidate)
            .where(C.id == candidate_id, C.status.in_(states))
            .values(
                status=case(states, value=C.status),
                attempt=C.attempt + case((C.status == Status.RUNNING, 1), else_=0),
                updated_at=now(),
            )
            .returning(*CANDIDATE)
        )
        with self._database.writing() as connection:
            row = connection.execute(statement).one_or_none()
            if row is None:
                status = status_of(connection, candidate_id)
                raise IllegalTransition(f"candidate {candidate_id} is {status}: there is nothing to release")
            return to_candidate(row)

    def decide(
        self,
        candidate_id: str,
        decision: Decision,
        reflection: Reflection,
        *,
        report: Report | None = None,
        commit: str | None = None,
        tree: str | None = None,
        lines_added: int | None = None,
        lines_removed: int | None = None,
        new_baseline: str | None = None,
    ) -> Candidate:
        """End a candidate: verdict, evidence, lesson and new baseline in one transaction.

        Args:
            report: what the worker said, for a candidate that was never submitted.
            commit, tree, lines_added, lines_removed: its change, likewise; only what is given is written.
            new_baseline: the commit that the campaign goes on from; only with the verdict `kept`.

        Raises:
            IllegalTransition: the verdict may not follow the candidate's state, or was given before.
        """
        if new_baseline is not None and decision.verdict is not Verdict.KEPT:
            raise TrackerError(f"candidate {candidate_id} is {decision.verdict}: only a kept one becomes the baseline")
        patch = {
            "commit_id": commit,
            "tree": tree,
            "lines_added": lines_added,
            "lines_removed": lines_removed,
            "value": decision.value,
        }
        values = {name: value for name, value in patch.items() if value is not None}
        if report is not None:
            values |= report_columns(report)
        with self._database.writing() as connection:
            candidate = move(connection, candidate_id, Status(decision.verdict), **values)
            connection.execute(NEW_DECISION, decision_row(candidate, decision))
            connection.execute(NEW_REFLECTION, reflection_row(candidate, reflection))
            if new_baseline is not None:
                change_campaign(connection, candidate.campaign_id, baseline_commit=new_baseline)
            return candidate

    def review(
        self,
        candidate_id: str,
        decision: Decision,
        reflection: Reflection,
        *,
        new_baseline: str | None = None,
        request: int | None = None,
        answer: str = "",
    ) -> Candidate:
        """End a quarantine by a person's word: decision and lesson are replaced, in one transaction.

        Args:
            new_baseline: as in `decide`.
            request, answer: what a person had asked for with it, and the sentence that answers it.

        Raises:
            IllegalTransition: the candidate is not in quarantine.
        """
        with self._database.writing() as connection:
            status = status_of(connection, candidate_id)
            if status is not Status.QUARANTINED:
                raise IllegalTransition(f"candidate {candidate_id} is {status}, not in quarantine")
            candidate = move(connection, candidate_id, Status(decision.verdict))
            rows = (
                (tables.decision, decision_row(candidate, decision)),
                (tables.reflection, reflection_row(candidate, reflection)),
            )
            for table, row in rows:
                connection.execute(update(table).where(table.c.candidate_id == candidate_id).values(row))
            if new_baseline is not None:
                change_campaign(connection, candidate.campaign_id, baseline_commit=new_baseline)
            data = {"verdict": decision.verdict, "reason": decision.reason}
            add_event(connection, candidate.campaign_id, "candidate.reviewed", data, candidate_id=candidate_id)
            if request is not None:
                answered = {"status": RequestStatus.DONE, "answer": answer, "answered_at": now()}
                connection.execute(update(tables.request).where(tables.request.c.id == request).values(answered))
        self._trials.pop(candidate.campaign_id, None)
        return candidate

    def waiting_for_retry(self, campaign_id: str) -> tuple[Candidate, ...]:
        """Candidates that a person approved after the baseline had moved on, and that were not tried again yet."""
        approved = select(D.candidate_id).where(D.campaign_id == campaign_id, D.rule == APPROVED)
        retried = select(C.retry_of).where(C.campaign_id == campaign_id, C.retry_of.is_not(None))
        query = select(*CANDIDATE).where(C.id.in_(approved), C.status == Status.DISCARDED, C.id.not_in(retried))
        with self._database.reading() as connection:
            return tuple(map(to_candidate, connection.execute(query.order_by(C.number))))

    def candidate(self, candidate_id: str) -> Candidate:
        """Raises UsageError when there is none of this id."""
        with self._database.reading() as connection:
            row = connection.execute(ONE, {"candidate": candidate_id}).one_or_none()
        return to_candidate(found(row, "candidate", candidate_id))

    def find_candidate(self, campaign_id: str, text: str) -> Candidate:
        """The candidate that a person means by `17`, `c17`, a full id, or the first letters of a commit.

        Raises:
            UsageError: none fits, or more than one.
        """
        text = text.strip()
        tests = [C.id == text]
        if match := re.fullmatch(r"c?([0-9]{1,9})", text):
            tests.append(C.number == int(match[1]))
        if re.fullmatch(r"[0-9a-f]{4,64}", text):
            tests.append(C.commit_id.startswith(text))
        with self._database.reading() as connection:
            for test in tests:
                query = ALL.where(C.campaign_id == campaign_id, test).order_by(C.number).limit(5)
                candidates = [to_candidate(row) for row in connection.execute(query)]
                if len({candidate.commit for candidate in candidates}) > 1:
                    numbers = ", ".join(f"c{candidate.number}" for candidate in candidates)
                    raise UsageError(f"`{text}` fits more than one candidate: {numbers}; give more of it")
                if candidates:
                    return candidates[0]
        raise UsageError(f"there is no candidate `{text}` in campaign {campaign_id}; `loopsmith log` lists them")

    def candidates(
        self,
        campaign_id: str,
        *,
        round_id: str | None = None,
        statuses: Collection[Status] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> tuple[Candidate, ...]:
        """The candidates of a campaign or of one of its rounds, by number."""
        query = ALL.where(C.campaign_id == campaign_id).limit(limit)
        query = query.order_by(C.number.desc() if newest_first else C.number)
        if round_id is not None:
            query = query.where(C.round_id == round_id)
        if statuses is not None:
            query = query.where(C.status.in_(statuses))
        with self._database.reading() as connection:
            return tuple(map(to_candidate, connection.execute(query)))

    def counts(self, campaign_id: str) -> dict[str, int]:
        """How many candidates ended with each verdict, and under `candidates` how many there are, open ones too."""
        query = select(C.status, func.count()).where(C.campaign_id == campaign_id).group_by(C.status)
        with self._database.reading() as connection:
            by_status: dict[str, int] = dict(map(tuple, connection.execute(query)))
        return {verdict.value: by_status.get(verdict, 0) for verdict in Verdict} | {
            "candidates": sum(by_status.values())
        }

    def kept(self, campaign_id: str) -> tuple[tuple[Candidate, Decision], ...]:
        """The chain of kept candidates, in the order in which they were kept."""
        chosen = (D.campaign_id == campaign_id, D.verdict == Verdict.KEPT)
        candidates = ALL.join(tables.decision, D.candidate_id == C.id).where(*chosen).order_by(D.id)
        decisions = select(*DECISION).where(*chosen).order_by(D.id)
        with self._database.reading() as connection:
            return tuple(
                zip(
                    map(to_candidate, connection.execute(candidates)),
                    map(to_decision, connection.execute(decisions)),
                    strict=True,
                )
            )

    def verified_twin(self, campaign_id: str, baseline_commit: str, tree: str, exclude_id: str) -> Candidate | None:
        """The first other candidate of the same content that was, or is being, verified against this baseline."""
        given = {"campaign": campaign_id, "baseline": baseline_commit, "tree": tree, "exclude": exclude_id}
        with self._database.reading() as connection:
            twins = map(to_candidate, connection.execute(TWIN, given))
            return min(twins, key=attrgetter("number"), default=None)

    def trials(self, campaign_id: str) -> tuple[Trial, ...]:
        """Every decided candidate as a search method sees it, by number."""
        known, last = self._trials.get(campaign_id, ((), 0))
        given = {"campaign": campaign_id, "last": last}
        with self._database.reading() as connection:
            rows = connection.execute(TRIALS, given).all()
        if not rows:
            return known
        decided = (
            Trial(number=number, params=params, status=Status(status), value=value, parent_commit=parent)
            for _, number, params, status, value, parent in rows
        )
        known = tuple(sorted((*known, *decided), key=attrgetter("number")))
        self._trials[campaign_id] = known, rows[-1][0]
        return known

    def _move(self, candidate_id: str, to: Status, **values: Any) -> Candidate:
        with self._database.writing() as connection:
            return move(connection, candidate_id, to, **values)


@cache
def step(to: Status) -> ReturningUpdate[*tuple[Any, ...]]:
    """The conditional UPDATE into a state; what it sets comes with its parameters.

    Built once for each state, and the states literal in it: building a statement costs more than running it.
    """
    allowed = C.status.in_([literal_column(f"'{status}'") for status in sources(to)])
    return update(tables.candidate).where(C.id == bindparam("candidate"), allowed).returning(*CANDIDATE)


def move(connection: Connection, candidate_id: str, to: Status, **values: Any) -> Candidate:
    """One step of the state machine inside a transaction.

    Raises:
        IllegalTransition: the candidate's present state does not allow it.
    """
    row = connection.execute(
        step(to), {"candidate": candidate_id, "status": to, "updated_at": now(), **values}
    ).one_or_none()
    if row is None:
        require(status_of(connection, candidate_id), to, candidate=candidate_id)
        raise TrackerError(f"candidate {candidate_id} was changed by another process; run again")
    return to_candidate(row)


def status_of(connection: Connection, candidate_id: str) -> Status:
    status = connection.execute(select(C.status).where(C.id == candidate_id)).scalar_one_or_none()
    if status is None:
        raise TrackerError(f"there is no candidate {candidate_id} in this tracker")
    return Status(status)


def report_columns(report: Report) -> dict[str, Any]:
    """What a candidate keeps of its worker's report; a planned hypothesis stands unless the worker had its own."""
    kept: dict[str, Any] = {
        "summary": report.summary,
        "tried": report.tried,
        "lesson": report.lesson,
        "try_next": report.try_next,
        "finish_reason": report.finish_reason,
        "params": report.params,
    }
    return kept | ({"hypothesis": report.hypothesis} if report.hypothesis else {})


def decision_row(candidate: Candidate, decision: Decision) -> dict[str, Any]:
    return {
        "campaign_id": candidate.campaign_id,
        "candidate_id": candidate.id,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "rule": decision.rule,
        **effect_columns(decision.effect),
        "value": decision.value,
        "baseline_value": decision.baseline_value,
        "evidence": decision.evidence,
        "created_at": candidate.updated_at,
    }


def reflection_row(candidate: Candidate, reflection: Reflection) -> dict[str, Any]:
    return {
        "campaign_id": candidate.campaign_id,
        "candidate_id": candidate.id,
        "hypothesis": reflection.hypothesis,
        "outcome": reflection.outcome,
        **effect_columns(reflection.effect),
        "lesson": reflection.lesson,
        "avoid": reflection.avoid,
        "try_next": reflection.try_next,
        "error": reflection.error,
        "created_at": candidate.updated_at,
    }
