"""Screen: verify a candidate once, to pick who is confirmed."""

from loopsmith.campaign.context import Context
from loopsmith.campaign.generation import decide
from loopsmith.campaign.measuring import constraint_problems, measure
from loopsmith.records import Candidate, Decision, Phase, Verdict
from loopsmith.verify import statistics


async def screen(context: Context, candidate: Candidate) -> Candidate:
    """Verify a generated candidate once: it is screened, and may be confirmed, or it is decided."""
    assert candidate.commit is not None
    assert candidate.tree is not None
    twin = context.store.verified_twin(context.id, candidate.parent_commit, candidate.tree, candidate.id)
    if twin is not None:
        reason = f"the same content as candidate {twin.number}, which was verified against this baseline"
        return decide(context, candidate, Decision(verdict=Verdict.DUPLICATE, reason=reason, rule="content"))
    commit = candidate.commit
    candidate = context.store.begin_verification(candidate.id)
    context.show("candidate.verifying", candidate)
    run = await measure(context, commit, candidate=candidate, phase=Phase.SCREEN, pair=0, check=True)
    if run.verdict is not None:
        decision = Decision(verdict=run.verdict, reason=run.problem, rule="verifier", evidence={"tail": run.tail})
        return decide(context, candidate, decision, error=run.tail)
    baseline = context.measured(candidate.parent_commit)
    broken = constraint_problems(context, run, baseline)
    if broken:
        decision = Decision(
            verdict=Verdict.FAILED, reason=f"constraint not met: {'; '.join(broken)}", rule="constraint"
        )
        return decide(context, candidate, decision)
    objective = context.settings.objective
    value = run.metrics[objective.metric]
    verdict = statistics.screen(objective, baseline[objective.metric], value, exact=context.exact)
    if verdict is not None:
        return decide(context, candidate, verdict)
    candidate = context.store.screened(candidate.id, value)
    context.emit("candidate.screened", candidate, value=value)
    return candidate
