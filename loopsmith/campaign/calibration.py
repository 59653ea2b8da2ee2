"""Calibrate: measure the untouched source before anything is spent."""

from loopsmith.campaign.context import Context
from loopsmith.campaign.measuring import baseline_message, measure
from loopsmith.errors import BaselineError
from loopsmith.records import Phase
from loopsmith.verify import statistics
from loopsmith.verify.runner import violations


async def calibrate(context: Context) -> None:
    """Measure the baseline several times before anything is spent, and tell whether the metric repeats exactly.

    Raises:
        BaselineError: the untouched source does not pass, or breaks a constraint.
    """
    if context.store.campaign(context.id).exact is not None:
        return
    settings, commit, metric = context.settings, context.baseline(), context.settings.objective.metric
    done = len(context.measured(commit, Phase.BASELINE).get(metric, ()))
    for pair in range(done, settings.calibrate.runs):
        run = await measure(context, commit, candidate=None, phase=Phase.BASELINE, pair=pair, check=pair == 0)
        if run.verdict is not None:
            raise BaselineError(baseline_message(run.problem, run.tail, run.log))
        broken = violations(settings.verify.constraints, run.metrics, run.metrics)
        if broken:
            raise BaselineError(f"the baseline breaks a constraint: {'; '.join(broken)}")
    values = context.measured(commit, Phase.BASELINE)[metric]
    exact = statistics.is_exact(values)
    context.store.set_exact(context.id, exact)
    context.emit("baseline.measured", metric=metric, values=values, exact=exact)
