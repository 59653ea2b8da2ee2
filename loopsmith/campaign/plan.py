"""Plan: the next round's slots, from the runner-up, a planner's hypotheses and what the budget allows."""

from typing import Any

from loopsmith.campaign.context import Context
from loopsmith.campaign.generate.casting import cast
from loopsmith.campaign.observation import gain_of
from loopsmith.campaign.parents import choose_starts
from loopsmith.campaign.roles.planning import hypotheses, with_plans
from loopsmith.campaign.roles.profiling import profile
from loopsmith.records import Candidate, Round, Status
from loopsmith.search.policy import plan_slots


async def plan(context: Context) -> Round:
    """Write the next round with its planned candidates.

    Raises:
        Stopped: the campaign is to end while it is paused.
    """
    store, settings = context.store, context.settings
    number = store.round_count(context.id) + 1
    count = settings.search.candidates_per_round
    if settings.budget.candidates is not None:
        count = min(count, settings.budget.candidates - store.counts(context.id)["candidates"])
    earlier = runner_up(context)
    workers = count - (earlier is not None)
    first = store.counts(context.id)["candidates"] + 1 + (earlier is not None)
    starts = choose_starts(context, number, workers, first)
    await profile(context)
    await context.pause.gate()
    planned = await hypotheses(context, number, workers - sum(start.finished for start in starts))
    slots = plan_slots(
        campaign_id=context.seed,
        round_number=number,
        count=count,
        agent=context.agent.name,
        hypotheses=[item.text for item in planned],
        runner_up=earlier.id if earlier else None,
        starts=starts,
    )
    round_, candidates = store.plan_round(
        context.id,
        task_id=store.tasks(context.id)[0].id,
        baseline_commit=context.baseline(),
        slots=with_plans(cast(context, number, slots), planned, earlier),
    )
    data: dict[str, Any] = {"number": number, "candidates": len(candidates)}
    if elsewhere := [item.number for item in candidates if item.parent_commit != round_.baseline_commit]:
        data["elsewhere"] = elsewhere  # candidates that do not start from the baseline
    context.emit("round.planned", round_id=round_.id, **data)
    return round_


def runner_up(context: Context) -> Candidate | None:
    """The best of those that only the last round's winner beat, and whose patch still applies on top of it."""
    last = context.store.rounds(context.id, limit=1)
    if not last:
        return None
    if approved := context.store.waiting_for_retry(context.id):
        return approved[0]
    beaten = []
    for candidate in context.store.candidates(context.id, round_id=last[0].id, statuses=(Status.DISCARDED,)):
        decision = context.store.decision(candidate.id)
        if decision is not None and decision.evidence.get("runner_up"):
            beaten.append(candidate)
    best = max(beaten, key=lambda candidate: gain_of(context, candidate), default=None)
    if best is None or best.commit is None or context.repository.reapply(best.commit, context.baseline()):
        return best
    context.emit("runner_up.conflicts", best)
    return None
