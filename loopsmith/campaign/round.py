"""A round: observe, plan, generate, verify, decide, reflect."""

import asyncio
from dataclasses import replace

from loopsmith.campaign.context import Context
from loopsmith.campaign.generate.generation import decide, generate
from loopsmith.campaign.live.telling import decisions_told
from loopsmith.campaign.measure.confirmation import confirm
from loopsmith.campaign.measure.holdout import hold_out
from loopsmith.campaign.measure.screening import screen
from loopsmith.campaign.observation import gain_of, observe
from loopsmith.campaign.race import Race
from loopsmith.campaign.roles.learning import learn
from loopsmith.campaign.roles.reviewing import doubted
from loopsmith.campaign.stop import Stopped
from loopsmith.records import Candidate, Decision, Round, Status, Verdict
from loopsmith.search.brief import Situation

FINALISTS = 2  # how many of a round's candidates are confirmed at most, the best first


async def run_round(context: Context, round_: Round) -> None:
    """Carry every candidate of the round to its decision, from wherever an earlier run left it.

    A decision writes its reflection with it. When the campaign is asked to stop, what is being verified or confirmed
    is finished and the rest waits for the next run.
    """
    situation = observe(context, round_.number, round_.baseline_commit)
    race = Race(context, round_)
    async with asyncio.TaskGroup() as group:
        for candidate in context.store.candidates(context.id, round_id=round_.id):
            group.create_task(advance(context, situation, candidate, race))
    if context.stop.end or context.store.candidates(context.id, round_id=round_.id, statuses=(Status.PLANNED,)):
        return  # those that a limit of the campaign left planned go on where it is raised
    await choose(context, round_)
    try:
        await learn(context, round_)
    except Stopped:
        return
    await decisions_told(context)
    context.store.finish_round(round_.id)
    context.emit("round.finished", round_id=round_.id, number=round_.number)


async def advance(context: Context, situation: Situation, candidate: Candidate, race: Race) -> None:
    """Generate and screen one candidate, as far as the campaign's end allows."""
    try:
        if candidate.status is Status.PLANNED:
            candidate = await generate(context, situation, candidate, race)
        if candidate.status is Status.GENERATED:
            candidate = await screen(context, candidate)
            if candidate.status is Status.SCREENED:
                race.consider(candidate)
    except Stopped:
        pass


async def choose(context: Context, round_: Round) -> None:
    """Confirm the round's finalists, best first, until one is kept; decide the others."""
    candidates = context.store.candidates(context.id, round_id=round_.id)
    winner = next((candidate for candidate in candidates if candidate.status is Status.KEPT), None)
    waiting = [candidate for candidate in candidates if candidate.status is Status.SCREENED]
    moved = winner is None and context.baseline() != round_.baseline_commit  # a person approved another meanwhile
    waiting.sort(key=lambda candidate: gain_of(context, candidate), reverse=True)
    for place, candidate in enumerate(waiting):
        if winner is None and not moved and place < FINALISTS:
            candidate = context.store.begin_confirmation(candidate.id)
            decision = await confirm(context, candidate)
            decision = doubted(context, candidate, quarantine(context, decision))
            decision = await hold_out(context, candidate, decision)
            kept = decision.verdict is Verdict.KEPT
            decided = decide(
                context,
                candidate,
                decision,
                error=str(decision.evidence.get("tail", "")),
                new_baseline=candidate.commit if kept else None,
            )
            if kept and candidate.commit is not None:
                context.repository.set_baseline(context.id, candidate.commit)
                winner = decided
        else:
            decide(context, candidate, not_best(candidate, winner, moved=moved))


def quarantine(context: Context, decision: Decision) -> Decision:
    """A keep that is too good to believe, by `guardrails.max_gain` or `guardrails.roofline`, waits for a person."""
    if decision.verdict is not Verdict.KEPT:
        return decision
    settings, why = context.settings, ""
    limit, roofline = settings.max_gain, settings.guardrails.roofline
    if limit is not None and decision.effect and (factor := settings.objective.factor(decision.effect.mean)) > limit:
        why = f"{factor:.3g}x is more than guardrails.max_gain ({limit:g}x)"
    elif roofline is not None and decision.value is not None and settings.objective.gain(roofline, decision.value) > 0:
        why = f"{decision.value:.6g} is beyond guardrails.roofline ({roofline:g})"
    if not why:
        return decision
    return replace(decision, verdict=Verdict.QUARANTINED, reason=f"{why}, so a person decides; {decision.reason}")


def not_best(candidate: Candidate, winner: Candidate | None, *, moved: bool = False) -> Decision:
    """A screened candidate that was not confirmed; behind a winner it may be the next round's runner-up."""
    if moved:
        reason = "better when screened, but the baseline has moved on by a person's approval"
    elif winner is None:
        reason = "better when screened, but not among the round's best, and those were not confirmed"
    else:
        reason = (
            f"better when screened ({candidate.value:.6g}), but candidate {winner.number} ({winner.value:.6g}) "
            "came first and is the baseline now"
        )
    return Decision(
        verdict=Verdict.DISCARDED,
        reason=reason,
        rule="screen",
        value=candidate.value,
        evidence={"runner_up": moved or winner is not None},
    )
