"""Observe: where the campaign stands, for the plan and the briefs of a round."""

from loopsmith.campaign.context import Context
from loopsmith.campaign.feedback import with_feedback
from loopsmith.campaign.live.hints import in_briefs
from loopsmith.campaign.measure.replicates import known_runs, level_of
from loopsmith.campaign.roles.profiling import known_profile
from loopsmith.records import Candidate, Phase, Reflection, Status
from loopsmith.search.brief import Situation
from loopsmith.search.budget import Used
from loopsmith.verify.statistics import mean
from loopsmith.workflow import format_duration, format_money


def observe(context: Context, number: int, commit: str) -> Situation:
    """The situation that all briefs of round `number` share; its workers start from `commit`."""
    store, metric = context.store, context.settings.objective.metric
    campaign = store.campaign(context.id)
    origin = context.measured(campaign.origin_commit, Phase.BASELINE).get(metric)
    situation = Situation(
        round=number,
        baseline_value=value_of(context, campaign.baseline_commit),
        origin_value=mean(origin) if origin else None,
        kept=store.kept(context.id),
        recent=store.candidates(context.id, statuses=[s for s in Status if s.final], limit=12, newest_first=True),
        lessons=sorted(store.reflections(context.id, limit=100), key=number_of, reverse=True),
        budget_left=budget_left(context),
        files=editable_files(context, commit),
        learned=store.lessons(context.id),
        profile=known_profile(context, commit),
        hints=in_briefs(store, context.id),
    )
    return with_feedback(context, situation, commit)


def number_of(reflection: Reflection) -> int:
    """Of its candidate. A round's candidates are decided in any order, and briefs must not depend on it."""
    return int((reflection.candidate_id or "0").rpartition(".")[2])


def value_of(context: Context, commit: str) -> float | None:
    """The mean of the objective on a baseline."""
    values = [item.value for item in known_runs(context, commit)]
    return mean(values) if values else None


def gain_of(context: Context, candidate: Candidate) -> float:
    """The gain of a screened candidate's one value: it orders the finalists and proves nothing."""
    objective = context.settings.objective
    assert candidate.value is not None
    return objective.gain(level_of(context, context.base(candidate)).value, candidate.value)


def editable_files(context: Context, commit: str) -> tuple[str, ...]:
    return tuple(filter(context.workflow.editable, context.repository.files(commit)))


def used(context: Context) -> Used:
    """What the campaign has used. A round that is still open, and its candidates, were paid for when it was planned."""
    store = context.store
    unfinished = store.open_round(context.id)
    planned = len(store.candidates(context.id, round_id=unfinished.id)) if unfinished else 0
    return Used(
        wall_clock=store.campaign(context.id).elapsed,
        rounds=store.round_count(context.id) - (unfinished is not None),
        candidates=store.counts(context.id)["candidates"] - planned,
        rounds_since_keep=store.rounds_since_keep(context.id),
        spent=store.spent(context.id),
    )


def budget_left(context: Context) -> str:
    """What is left of each limit that is set, in words."""
    budget, now = context.settings.budget, context.used or used(context)
    parts = []
    if budget.wall_clock is not None:
        parts.append(format_duration(max(0.0, budget.wall_clock - now.wall_clock)))
    if budget.rounds is not None:
        left = max(0, budget.rounds - now.rounds)
        parts.append("1 round" if left == 1 else f"{left} rounds")
    if budget.candidates is not None:
        parts.append(f"{max(0, budget.candidates - now.candidates)} candidates")
    if budget.cost_usd is not None:
        parts.append(format_money(max(0.0, budget.cost_usd - now.spent.cost_usd)))
    return ", ".join(parts) or "no limit but the patience for rounds without a keep"
