"""Generate: a fresh worker turns a brief into a committed patch, or into a decision why there is none."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from loopsmith.campaign.context import Context
from loopsmith.campaign.feedback import with_feedback
from loopsmith.campaign.generate.casting import stood_in_for
from loopsmith.campaign.generate.change import judged, take_change
from loopsmith.campaign.generate.hooks import WorkerHooks
from loopsmith.campaign.generate.services import CampaignServices
from loopsmith.campaign.live.hints import in_briefs, with_marks
from loopsmith.campaign.observation import editable_files, number_of
from loopsmith.campaign.parents import start_words
from loopsmith.campaign.race import Race
from loopsmith.campaign.roles.reviewing import reject
from loopsmith.campaign.stop import Stopped
from loopsmith.errors import ProviderError
from loopsmith.log import mask
from loopsmith.records import Brief, Candidate, Decision, Patch, Reflection, Report, Verdict
from loopsmith.search.brief import Situation, template_variables, write_brief
from loopsmith.search.memory import reflect
from loopsmith.search.policy import MERGE
from loopsmith.workflow import render
from loopsmith.workflow.quote import one_line
from loopsmith.workspace import make_worker_folder, merged_from, too_large

GRACE = 15.0  # seconds beyond its limit before a worker that does not stop by itself is ended
TIME_LIMIT = "wall_clock"


async def generate(context: Context, situation: Situation, candidate: Candidate, race: Race) -> Candidate:
    """Run the candidate's worker; afterwards it is generated, or decided.

    Raises:
        Stopped: the campaign stops, or a limit of it left the worker nothing; the candidate is planned again.
    """
    async with context.workers:
        if context.stop.end:
            raise Stopped
        await context.pause.gate()
        candidate = context.store.claim(candidate.id)
        if candidate.retry_of:
            return retry(context, candidate)
        if candidate.agent == MERGE:
            return crossover(context, candidate)
        if race.over:
            return decide(context, candidate, race.superseded())
        while True:
            context.emit("worker.started", candidate)
            try:
                return await context.stop.unless(work(context, situation, candidate), race.end)
            except Stopped:
                if race.over and not context.stop.end:
                    return decide(context, candidate, race.superseded())
                context.store.release(candidate.id)
                raise
            except ProviderError as error:
                if not stood_in_for(context, candidate, error):
                    raise
                context.store.release(candidate.id)
                candidate = context.store.claim(candidate.id)


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
    hooks = WorkerHooks(context, candidate, workspace)
    try:
        brief = write_worker_brief(context, situation, candidate)
        services = CampaignServices(context, candidate, path)
        failed = await hooks.prepare(services.problems)
        if failed is None:
            try:
                try:
                    agent = context.agent.work(brief, workspace, services)
                    report = await in_time(agent, brief.limits.wall_clock, services)
                except TimeoutError:
                    report = Report(finish_reason=TIME_LIMIT, summary="ended at its limit of wall clock")
                report = with_hints(context, candidate, services.with_notes(report))
                message = report.hypothesis or candidate.hypothesis or report.summary or f"candidate {candidate.number}"
                patch = take_change(context, candidate.parent_commit, path, message, context.base(candidate))
            finally:
                await hooks.after_run()
    finally:
        await hooks.remove()
    if failed is not None:  # decided here and not before: a stop ends the hook above, and puts the candidate back
        return decide(context, candidate, failed)
    if context.limit and patch.empty:
        raise Stopped
    for transcript in sorted({*scratch.glob("transcript-*.jsonl"), *filter(None, [report.transcript])}):
        context.keep_artifact(candidate, "transcript", transcript)
    claim = report.hypothesis or candidate.hypothesis or report.summary
    if patch.commit is not None and (refused := await reject(context, candidate, patch, claim)):
        context.repository.set_candidate(context.id, candidate.number, patch.commit)
        return decide(context, candidate, refused, report=report, patch=patch)
    return settle(context, candidate, report, patch)


async def in_time(work: Coroutine[Any, Any, Report], limit: float | None, services: CampaignServices) -> Report:
    """The worker's report. What rate limits take comes on top of its limit of seconds.

    Raises:
        TimeoutError: it did not end by itself, and was ended.
    """
    task, begun = asyncio.create_task(work), time.monotonic()
    try:
        while not task.done():
            left = None if limit is None else limit + GRACE + services.paused - (time.monotonic() - begun)
            if left is not None and left <= 0:
                raise TimeoutError
            await asyncio.wait((task,), timeout=left)
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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


def crossover(context: Context, candidate: Candidate) -> Candidate:
    """Two candidates' changes that merged cleanly when the round was planned; no worker is needed."""
    repository, base = context.repository, context.base(candidate)
    merged = merged_from(repository, candidate.parent_commit)
    assert merged is not None
    made = {item.commit: item for item in context.store.candidates(context.id) if item.commit}
    both = [made.get(commit) for commit in merged if commit != base]
    names = " and ".join("the untouched source" if item is None else f"candidate {item.number}" for item in both)
    ideas = "; ".join(one_line(item.hypothesis or item.summary) for item in both if item)
    known = all(item is not None and item.params for item in both)
    report = Report(
        finish_reason=MERGE,
        hypothesis=f"{names} merged on the baseline: {ideas}",
        summary=f"{names} merged on the baseline",
        # The first one's, as a search of constants takes a second trial of the same values for a carried-over one.
        params=both[0].params if known and both[0] else {},
    )
    commit = repository.commit(
        repository.tree_id(candidate.parent_commit), [base, candidate.parent_commit], f"{report.hypothesis}\n"
    )
    patch = repository.patch(base, commit)
    large = too_large(patch.files, context.settings.guardrails)
    patch = replace(patch, commit=None, tree=None, problems=tuple(large)) if large else patch
    return settle(context, candidate, report, judged(context, patch))


def decide(
    context: Context,
    candidate: Candidate,
    decision: Decision,
    *,
    report: Report | None = None,
    error: str = "",
    new_baseline: str | None = None,
    patch: Patch | None = None,
) -> Candidate:
    """Write the decision, its reflection and, for a keep, the new baseline, in one transaction.

    Args:
        patch: of a candidate that was never submitted, to be shown.
    """
    report = report or report_of(candidate)
    reflection = reflect(candidate, decision, report, error)
    change: dict[str, Any] = {}
    if patch is not None:
        lines = {"lines_added": patch.lines_added, "lines_removed": patch.lines_removed}
        change = {"commit": patch.commit, "tree": patch.tree, **lines}
    candidate = context.store.decide(
        candidate.id, decision, reflection, report=report, new_baseline=new_baseline, **change
    )
    context.emit(
        "candidate.decided",
        candidate,
        verdict=decision.verdict,
        reason=decision.reason,
        hypothesis=candidate.hypothesis,
    )
    return candidate


def with_hints(context: Context, candidate: Candidate, report: Report) -> Report:
    """The report, with the hints that it takes up marked in its hypothesis."""
    if not (given := in_briefs(context.store, context.id, ())):
        return report
    claim = with_marks(report.hypothesis or candidate.hypothesis, candidate.hypothesis, given)
    for item in given:
        if item.mark in claim:
            context.emit("steer.taken", candidate, hint=item.number, text=item.text)
    return replace(report, hypothesis=claim)


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
    situation = replace(
        situation, hints=in_briefs(context.store, context.id, situation.hints)
    )  # newer than the round, perhaps
    if candidate.parent_commit != context.base(candidate):
        situation = replace(situation, files=editable_files(context, candidate.parent_commit))
        situation = with_feedback(context, situation, candidate.parent_commit)
    query = candidate.hypothesis
    found = context.store.search_reflections(context.id, query, 20) if query else ()
    nearest: list[Reflection] = []
    if found:
        first = min(each.number for each in context.store.candidates(context.id, round_id=candidate.round_id))
        nearest = [item for item in found if number_of(item) < first][:10]  # not of those who work beside it
    text = write_brief(
        settings,
        situation,
        hypothesis=candidate.hypothesis,
        emphasis=candidate.emphasis,
        nearest=nearest,
        start=start_words(context, candidate),
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
        agent=candidate.agent,
        limits=settings.budget.per_worker.limits(),
    )
