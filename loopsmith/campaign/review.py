"""Review: a person ends a candidate's quarantine."""

from loopsmith.errors import UsageError
from loopsmith.records import Campaign, Candidate, Decision, Status, Verdict
from loopsmith.search.memory import reflect
from loopsmith.tracker import Store
from loopsmith.tracker.candidates import APPROVED
from loopsmith.workspace import Repository


def approve(store: Store, repository: Repository, campaign: Campaign, candidate: Candidate) -> str:
    """Keep a quarantined candidate; gives a sentence that says what became of it.

    When the baseline has moved on since, it is tried again on top of the present one in the next round.

    Raises:
        UsageError: it is not in quarantine.
    """
    decision = quarantined(store, candidate)
    if store.round(candidate.round_id).baseline_commit != campaign.baseline_commit:
        reason = "approved by a person; the baseline has moved on, so it is tried again on top of it in the next round"
        write(store, candidate, decision, Verdict.DISCARDED, reason, APPROVED)
        return f"candidate {candidate.number} is tried again on the present baseline in the next round"
    assert candidate.commit is not None
    reason = f"approved by a person; {decision.reason}"
    write(store, candidate, decision, Verdict.KEPT, reason, APPROVED, new_baseline=candidate.commit)
    repository.set_baseline(campaign.id, candidate.commit)
    return f"candidate {candidate.number} is kept, and is the baseline now"


def reject(store: Store, candidate: Candidate) -> str:
    """Discard a quarantined candidate; gives a sentence that says so.

    Raises:
        UsageError: it is not in quarantine.
    """
    decision = quarantined(store, candidate)
    write(store, candidate, decision, Verdict.DISCARDED, f"rejected by a person; {decision.reason}", "rejected")
    return f"candidate {candidate.number} is discarded"


def quarantined(store: Store, candidate: Candidate) -> Decision:
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
    store.review(candidate.id, decision, reflect(candidate, decision, None), new_baseline=new_baseline)
    store.record_event(
        candidate.campaign_id, "candidate.reviewed", candidate_id=candidate.id, verdict=str(verdict), reason=reason
    )
