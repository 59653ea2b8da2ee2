"""The gain of a whole campaign is that from its first value to its last, wherever zero lies."""

from itertools import pairwise

import pytest
from filled import fill, kept

from loopsmith.report.gain import total_effect
from loopsmith.report.morning.changes import shares_of
from loopsmith.report.status import status
from loopsmith.verify.statistics import judge_exact
from loopsmith.workflow import Objective


@pytest.mark.parametrize(
    ("direction", "values"),
    [
        ("maximize", [10.0, 15.0, 30.0]),
        ("minimize", [10.0, 5.0, 4.0]),
        ("maximize", [-10.0, -5.0, -2.5]),
        ("minimize", [-10.0, -15.0, -30.0]),
        ("minimize", [2.0, -1.0, -3.0]),
        ("maximize", [-2.0, 1.0, 3.0]),
        ("maximize", [0.0, 5.0, 10.0]),
        ("minimize", [4.0, 0.0, -3.0]),
    ],
)
def test_steps_of_an_exact_metric_compound_to_the_gain_from_the_first_value_to_the_last(direction, values):
    objective = Objective(metric="score", direction=direction)
    steps = [judge_exact(objective, [before], after) for before, after in pairwise(values)]
    total = total_effect(objective, steps)
    gain = objective.gain(values[0], values[-1])
    assert (total.mean, total.low, total.high) == pytest.approx((gain, gain, gain))


def test_below_zero_nothing_is_so_many_times_as_good(store):
    step = {"effect": (0.5, 0.5, 0.5, 0), "rule": "exact", "evidence": {}}
    candidates = [kept(-5.0) | step, kept(-2.5) | step]
    campaign = fill(store, candidates, direction="maximize", metric="log_likelihood", baseline=(-10.0, -10.0))
    best = status(store, campaign)["best"]
    assert (best["effect"], best["ratio"]) == (pytest.approx(0.75), None)
    objective = Objective(metric="log_likelihood", direction="maximize")
    assert shares_of(objective, [decision for _, decision in store.kept(campaign.id)]) == [None, None]
