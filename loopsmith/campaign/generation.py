"""Generate: a fresh worker turns a brief into a committed patch, or into a decision why there is none."""

import asyncio

from loopsmith.campaign.change import judged, take_change
from loopsmith.campaign.context import Context
from loopsmith.campaign.services import CampaignServices
from loopsmith.campaign.stop import Stopped
from loopsmith.log import mask
from loopsmith.records import Brief, Candidate, Decision, Patch, Report, Verdict
from loopsmith.search.brief import Situation, template_variables, write_brief
from loopsmith.search.budget import limit_end
from loopsmith.search.memory import reflect
from loopsmith.workflow import render
from loopsmith.workflow.quote import one_line
from loopsmith.workspace import make_worker_folder

GRACE = 15.0  # seconds beyond its limit before a worker that does not stop by itself is ended
TIME_LIMIT = "wall_clock"


async def generate(context: Context, situation: Situation, candidate: Candidate) -> Candidate:
    """Run the candidate's worker; afterwards it is generated, or decided.

    Raises:
        Stopped: the campaign stops; the candidate is planned again.
    """
    async with context.workers:
        if context.stop.end:
            raise Stopped
        candidate = context.store.claim(candidate.id)
        if candidate.retry_of:
            return retry(context, candidate)
        context.emit("worker.started", candidate)
        try:
            return await context.stop.unless(work(context, situation, candidate))
        except Stopped:
            context.store.release(candidate.id)
            raise


async def work(context: Context, situation: Situation, candidate: Candidate) -> Candidate:
    """One worker in its own folder, and what it left there."""
    settings, scratch = context.settings, context.state.artifacts(context.id, candidate.number)
    path = context.state.work(context.id) / f"{candidate.number}.worker"
    workspace = make_worker_folder(
        context.repository,
        candidate.parent_commit,
        path,
        source=context.workflow.source,
        links=settings.workspace.link,
        scratch=scratch,
        sandbox=context.sandbox,
        network=settings.guardrails.network == "allow",
        mark=f"{context.id}.{candidate.number}",
    )
    try:
        brief, services = write_worker_brief(context, situation, candidate), CampaignServices(context, candidate, path)
        limit = brief.limits.wall_clock
        try:
            async with asyncio.timeout(None if limit is None else limit + GRACE):
                report = await context.agent.work(brief, workspace, services)
        except TimeoutError:
            report = Report(finish_reason=TIME_LIMIT, summary="ended at its limit of wall clock")
        report = services.with_notes(report)
        message = report.hypothesis or candidate.hypothesis or report.summary or f"candidate {candidate.number}"
        patch = take_change(context, candidate.parent_commit, path, message)
    finally:
        workspace.remove()
    if context.limit and patch.empty:
        context.stop.request(limit_end(context.limit))
        raise Stopped
    if report.transcript:
        context.keep_artifact(candidate, "transcript", report.transcript)
    return settle(context, candidate, report, patch)


def settle(context: Context, candidate: Candidate, report: Report, patch: Patch) -> Candidate:
    """Submit the patch, or decide why it goes no further."""
    if report.error and patch.empty:
        reason = f"the worker broke: {one_line(report.error.strip().splitlines()[0])}"
        decision = Decision(verdict=Verdict.CRASHED, reason=reason, rule="worker", evidence={"tail": report.error})
    elif patch.empty and report.finish_reason == TIME_LIMIT:
        decision = Decision(
            verdict=Verdict.TIMED_OUT, reason="the worker ran out of time, without a change", rule="worker"
        )
    elif patch.empty:
        decision = Decision(
            verdict=Verdict.FAILED,
            reason=f"the worker made no change (it ended: {report.finish_reason})",
            rule="worker",
        )
    elif patch.commit is None or patch.tree is None:
        reason = "; ".join(patch.problems)
        decision = Decision(
            verdict=Verdict.REJECTED, reason=reason, rule="guardrail", evidence={"problems": patch.problems}
        )
    else:
        context.repository.set_candidate(context.id, candidate.number, patch.commit)
        candidate = context.store.submit(
            candidate.id,
            commit=patch.commit,
            tree=patch.tree,
            lines_added=patch.lines_added,
            lines_removed=patch.lines_removed,
            report=report,
        )
        context.emit("candidate.generated", candidate, hypothesis=candidate.hypothesis)
        return candidate
    return decide(context, candidate, decision, report=report, error=report.error or "\n".join(patch.problems))


def retry(context: Context, candidate: Candidate) -> Candidate:
    """A runner-up's patch, carried over to the new baseline."""
    assert candidate.retry_of is not None
    earlier = context.store.candidate(candidate.retry_of)
    report = Report(
        finish_reason="retry",
        hypothesis=earlier.hypothesis,
        summary=f"candidate {earlier.number} again, on the new baseline",
        params=earlier.params,
    )
    assert earlier.commit is not None
    commit = context.repository.reapply(earlier.commit, candidate.parent_commit)
    if commit is None:
        decision = Decision(
            verdict=Verdict.FAILED, reason=f"candidate {earlier.number} conflicts with the new baseline", rule="worker"
        )
        return decide(context, candidate, decision, report=report)
    patch = context.repository.patch(candidate.parent_commit, commit)
    return settle(context, candidate, report, judged(context, patch))


def decide(
    context: Context,
    candidate: Candidate,
    decision: Decision,
    *,
    report: Report | None = None,
    error: str = "",
    new_baseline: str | None = None,
) -> Candidate:
    """Write the decision, its reflection and, for a keep, the new baseline, in one transaction."""
    report = report or report_of(candidate)
    reflection = reflect(candidate, decision, report, error)
    candidate = context.store.decide(candidate.id, decision, reflection, report=report, new_baseline=new_baseline)
    context.emit(
        "candidate.decided",
        candidate,
        verdict=decision.verdict,
        reason=decision.reason,
        hypothesis=candidate.hypothesis,
    )
    return candidate


def report_of(candidate: Candidate) -> Report:
    """The report of a candidate that was submitted earlier, perhaps by a run that was killed since."""
    return Report(
        finish_reason=candidate.finish_reason,
        summary=candidate.summary,
        hypothesis=candidate.hypothesis,
        tried=candidate.tried,
        lesson=candidate.lesson,
        try_next=candidate.try_next,
        params=candidate.params,
    )


def write_worker_brief(context: Context, situation: Situation, candidate: Candidate) -> Brief:
    settings = context.settings
    query = candidate.hypothesis
    nearest = context.store.search_reflections(context.id, query, 10) if query else ()
    text = write_brief(
        settings, situation, hypothesis=candidate.hypothesis, emphasis=candidate.emphasis, nearest=nearest
    )
    variables = template_variables(
        settings, situation, brief=text, hypothesis=candidate.hypothesis, attempt=candidate.attempt
    )
    return Brief(
        candidate_id=candidate.id,
        prompt=mask(
            render(
                context.workflow.body, variables, file=str(context.workflow.path), first_line=context.workflow.body_line
            )
        ),
        seed=candidate.seed,
        round=situation.round,
        attempt=candidate.attempt,
        editable=tuple(settings.workspace.editable),
        files=tuple(situation.files),
        metric=settings.objective.metric,
        direction=settings.objective.direction,
        hypothesis=candidate.hypothesis,
        limits=settings.budget.per_worker.limits(),
    )
