"""Review: a person ends a candidate's quarantine."""

from loopsmith.errors import UsageError
from loopsmith.live import Request, RequestKind, RequestStatus
from loopsmith.records import Candidate, Decision, Status, Verdict
from loopsmith.search.memory import reflect
from loopsmith.tracker import Store
from loopsmith.tracker.candidates import APPROVED
from loopsmith.workspace import Repository


def reviewed(store: Store, repository: Repository, request: Request) -> None:
    """Do what a request to approve or to reject asks for, and answer it. Call it while nothing is being decided."""
    candidate = store.candidate(request.data["candidate"])
    try:
        if request.kind is RequestKind.APPROVE:
            approve(store, repository, candidate, request.id)
        else:
            reject(store, candidate, request.id)
    except UsageError as error:
        store.answer_request(request.id, RequestStatus.REFUSED, str(error))


def approve(store: Store, repository: Repository, candidate: Candidate, request: int) -> None:
    """Keep a quarantined candidate. When the baseline has moved on since, it is tried again on top of the present one.

    Raises:
        UsageError: it is not in quarantine.
    """
    decision, baseline = quarantined(store, candidate), store.campaign(candidate.campaign_id).baseline_commit
    if store.round(candidate.round_id).baseline_commit != baseline:
        reason = "approved by a person; the baseline has moved on, so it is tried again on top of it in the next round"
        answer = f"candidate {candidate.number} is tried again on the present baseline in the next round"
        write(store, candidate, decision, Verdict.DISCARDED, reason, APPROVED, request=request, answer=answer)
        return
    assert candidate.commit is not None
    reason = f"approved by a person; {decision.reason}"
    answer = f"candidate {candidate.number} is kept, and is the baseline now"
    write(
        store,
        candidate,
        decision,
        Verdict.KEPT,
        reason,
        APPROVED,
        request=request,
        answer=answer,
        new_baseline=candidate.commit,
    )
    repository.set_baseline(candidate.campaign_id, candidate.commit)


def reject(store: Store, candidate: Candidate, request: int) -> None:
    """Discard a quarantined candidate.

    Raises:
        UsageError: it is not in quarantine.
    """
    decision = quarantined(store, candidate)
    reason, answer = f"rejected by a person; {decision.reason}", f"candidate {candidate.number} is discarded"
    write(store, candidate, decision, Verdict.DISCARDED, reason, "rejected", request=request, answer=answer)


def quarantined(store: Store, candidate: Candidate) -> Decision:
    """The decision on a candidate in quarantine.

    Raises:
        UsageError: it is not there.
    """
    decision = store.decision(candidate.id)
    if candidate.status is not Status.QUARANTINED or decision is None:
        raise UsageError(f"candidate {candidate.number} is {candidate.status}; only a quarantined one can be reviewed")
    return decision


def write(
    store: Store,
    candidate: Candidate,
    before: Decision,
    verdict: Verdict,
    reason: str,
    rule: str,
    *,
    request: int,
    answer: str,
    new_baseline: str | None = None,
) -> None:
    decision = Decision(
        verdict=verdict,
        reason=reason,
        rule=rule,
        effect=before.effect,
        value=before.value,
        baseline_value=before.baseline_value,
        evidence={**before.evidence, "quarantined_by": before.rule},
    )
    lesson = reflect(candidate, decision, None)
    store.review(candidate.id, decision, lesson, new_baseline=new_baseline, request=request, answer=answer)
