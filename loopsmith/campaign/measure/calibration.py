"""Calibrate: measure the untouched source, and with it the noise, before anything is spent."""

from typing import Any

from loopsmith.campaign.context import Context
from loopsmith.campaign.measure.measuring import baseline_message, measure
from loopsmith.campaign.measure.replicates import noise_of
from loopsmith.errors import BaselineError, NoiseError
from loopsmith.records import Phase
from loopsmith.verify import statistics
from loopsmith.verify.noise import Noise, detectable, median, pairs_needed
from loopsmith.verify.runner import violations
from loopsmith.workflow import Settings

WILD = 0.5  # baseline runs that differ by this share of their median need a person's word
HOPELESS = 1.0  # as does this smallest effect that can be detected


async def calibrate(context: Context) -> None:
    """Measure the baseline several times before anything is spent, and tell whether the metric repeats exactly.

    Raises:
        BaselineError: the untouched source does not pass, or breaks a constraint.
        NoiseError: its runs differ so much that hardly any effect can be detected, and nobody has accepted that.
    """
    settings, commit, metric = context.settings, context.baseline(), context.settings.objective.metric
    if context.store.campaign(context.id).exact is None:
        done = len(context.measured(commit, Phase.BASELINE).get(metric, ()))
        for pair in range(done, settings.calibrate.runs):
            run = await measure(context, commit, candidate=None, phase=Phase.BASELINE, pair=pair, check=pair == 0)
            if run.verdict is not None:
                raise BaselineError(baseline_message(run.problem, run.tail, run.log))
            broken = violations(settings.verify.constraints, run.metrics, run.metrics)
            if broken:
                raise BaselineError(f"the baseline breaks a constraint: {'; '.join(broken)}")
            roofline = settings.guardrails.roofline
            if roofline is not None and settings.objective.gain(roofline, run.metrics[metric]) > 0:
                raise BaselineError(f"guardrails.roofline is {roofline:g}, and the baseline is beyond it already")
        values = context.measured(commit, Phase.BASELINE)[metric]
        exact = statistics.is_exact(values)
        context.store.set_exact(context.id, exact)
        context.emit("baseline.measured", metric=metric, values=values, exact=exact)
        context.screens = 0
        if not exact:
            context.emit("noise.measured", **report(settings, values, noise_of(context, metric)))
    if not context.exact and not context.store.round_count(context.id):
        values = context.measured(commit, Phase.BASELINE)[metric]
        problem = too_noisy(settings, values, noise_of(context, metric))
        if problem and not context.accept_noise:
            raise NoiseError(problem)
        if problem:
            context.emit("noise.accepted", problem=problem)


def findings(context: Context) -> dict[str, Any]:
    """What calibrating the baseline found, for `loopsmith check --calibrate`."""
    metric = context.settings.objective.metric
    values = context.measured(context.baseline(), Phase.BASELINE)[metric]
    found: dict[str, Any] = {"metric": metric, "values": values, "exact": context.exact}
    if context.exact:
        return found
    noise = noise_of(context, metric)
    found |= report(context.settings, values, noise)
    if problem := too_noisy(context.settings, values, noise):
        found["too_noisy"] = problem
    return found


def report(settings: Settings, values: list[float], noise: Noise) -> dict[str, Any]:
    """The noise for a person: its floor, what can be detected, and the pairs that `min_effect` needs."""
    centre, pairs = statistics.mean(values), settings.repeats.confirm
    needed = statistics.needed_share(settings.objective, centre)
    found: dict[str, Any] = {
        "metric": settings.objective.metric,
        "noise": statistics.share_words(noise.spread, centre),
        "detectable": statistics.share_words(detectable(noise, pairs), centre),
        "pairs": pairs,
    }
    if needed:
        found |= {"min_effect": str(settings.objective.min_effect), "pairs_for_min_effect": pairs_needed(noise, needed)}
    if noise.problems:
        found["warnings"] = list(noise.problems)
    return found


def noise_words(found: dict[str, Any]) -> list[str]:
    """A report, or findings, as sentences."""
    if found.get("exact"):
        return [f"{found['metric']} repeats exactly, in {len(found['values'])} runs: one run decides a candidate"]
    lines = [
        f"noise of one run of {found['metric']}: {found['noise']}; a gain of {found['detectable']} is found four times "
        f"in five within repeats.confirm, {found['pairs']} pairs; one twice as large in about a quarter of them"
    ]
    if "min_effect" in found:
        needed, within = found["pairs_for_min_effect"], found["pairs"]
        advice = "" if needed <= within else ": set repeats.confirm to that, or make the verifier steadier"
        lines.append(f"a gain of min_effect, {found['min_effect']}, needs {needed} pairs{advice}")
    if "too_noisy" in found:
        lines.append(found["too_noisy"])
    return lines + [f"note: {warning}" for warning in found.get("warnings", ())]


def too_noisy(settings: Settings, values: list[float], noise: Noise) -> str:
    """Why a person must agree before this campaign starts; empty when there is no reason."""
    centre = median(values)
    found = detectable(noise, settings.repeats.confirm)
    differ = (max(values) - min(values)) / abs(centre) if centre else 0.0
    if differ < WILD and (found < HOPELESS or not centre):
        return ""
    return (
        f"runs of the untouched source differ by {100 * differ:.0f} % in {settings.objective.metric}: no gain under "
        f"{statistics.share_words(found, centre)} can be detected within {settings.repeats.confirm} pairs. Make the "
        "verifier steadier (longer runs, the best of several inside one run) or raise repeats.confirm; "
        "or go on as it is with --accept-noise"
    )
