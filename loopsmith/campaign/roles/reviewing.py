"""Review a patch by a model or a command before it is measured: send it back once, reject it, or let it pass."""

import random
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

from loopsmith.campaign.context import Context
from loopsmith.campaign.roles.consult import ask, plays
from loopsmith.records import Candidate, Decision, Patch, Verdict
from loopsmith.search.policy import MERGE, seed_of
from loopsmith.search.reviewer import RULE, Alarms, Review, alarms, request
from loopsmith.tracker import Store
from loopsmith.tracker.candidates import APPROVED
from loopsmith.workspace import merged_from

ROLE = "reviewer"


async def review(context: Context, candidate: Candidate, patch: Patch, hypothesis: str) -> Review | None:
    """What the reviewer says of a patch; None without a reviewer. The same patch of a candidate is read once."""
    if not plays(context, ROLE) or patch.empty:
        return None
    key = f"{candidate.number}.{sha256(patch.text.encode()).hexdigest()[:12]}"
    known = [file.path for file in patch.files if file.kind != "added"]
    before = {path: context.repository.read(patch.parent, path).decode(errors="replace") for path in known}
    prompt = request(context.settings, hypothesis, before, patch.text, record_of(context.store, context.id))
    said, _ = await ask(context, ROLE, key, Review, prompt, round_id=candidate.round_id, candidate_id=candidate.id)
    return said


async def reject(context: Context, candidate: Candidate, patch: Patch, hypothesis: str) -> Decision | None:
    """The decision on a patch that the reviewer rejects; None for one that goes on to its measurement.

    A share of them, by chance, goes on all the same: what becomes of those tells how often the reviewer is wrong.
    """
    said = await review(context, candidate, patch, hypothesis)
    if said is None or said.passes or said.verdict != "reject":
        return None
    if random.Random(seed_of(candidate.id, ROLE)).random() < context.settings.roles.reviewer.measure:
        context.emit("review.measured", candidate, objections=list(said.lines()))
        return None
    return Decision(
        verdict=Verdict.REJECTED,
        reason=f"the reviewer: {'; '.join(said.lines())}",
        rule=RULE,
        evidence={"objections": list(said.lines())},
    )


def doubted(context: Context, candidate: Candidate, decision: Decision) -> Decision:
    """A keep of what the reviewer rejected waits for a person: the reviewer was wrong, or the verifier is."""
    if decision.verdict is not Verdict.KEPT:
        return decision
    for author in authors(context, candidate):
        answers = context.store.answers(context.id, role=ROLE, candidate_id=author.id)
        last = Review.model_validate(answers[-1].data) if answers and answers[-1].data else None
        if last is not None and not last.passes and last.verdict == "reject":
            why = f"the reviewer had rejected it ({'; '.join(last.lines())})"
            return replace(
                decision, verdict=Verdict.QUARANTINED, reason=f"{why}, so a person decides; {decision.reason}"
            )
    return decision


def authors(context: Context, candidate: Candidate) -> Iterator[Candidate]:
    """The candidates whose workers made a change, of a runner-up and a merge too; none that a person approved."""
    store, decision = context.store, context.store.decision(candidate.id)
    if decision is not None and decision.rule == APPROVED:
        return
    if candidate.retry_of:
        yield from authors(context, store.candidate(candidate.retry_of))
    elif candidate.agent == MERGE:
        made = {item.commit: item for item in store.candidates(context.id) if item.commit}
        for commit in merged_from(context.repository, candidate.parent_commit) or ():
            if commit in made:
                yield from authors(context, made[commit])
    else:
        yield candidate


def record_of(store: Store, campaign_id: str) -> Alarms:
    """How often the reviewer was wrong, as far as measurements tell."""
    answers = [answer for answer in store.answers(campaign_id, role=ROLE) if answer.data and answer.candidate_id]
    if not answers:
        return Alarms()
    candidates = {item.id: item for item in store.candidates(campaign_id)}
    last = {answer.candidate_id: Review.model_validate(answer.data) for answer in answers if answer.candidate_id}
    doubtful = [id_ for id_, review in last.items() if not review.passes]
    return alarms(answers, candidates, {id_: store.decision(id_) for id_ in doubtful})
