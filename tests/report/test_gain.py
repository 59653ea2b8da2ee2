"""The gain of a whole campaign is that from its first value to its last, wherever zero lies."""

from itertools import pairwise

import pytest
from filled import fill, kept

from loopsmith.report import outcome, show
from loopsmith.report.morning.changes import shares_of
from loopsmith.report.progress.figure import figure
from loopsmith.report.status import status
from loopsmith.search.memory import lesson_line
from loopsmith.verify.gain import total_effect
from loopsmith.verify.statistics import judge_exact
from loopsmith.watch.text import gain
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
    whole = objective.gain(values[0], values[-1])
    assert (total.mean, total.low, total.high) == pytest.approx((whole, whole, whole))


def test_below_zero_nothing_is_so_many_times_as_good(store):
    step = {"effect": (0.5, 0.5, 0.5, 0), "rule": "exact", "evidence": {}}
    candidates = [kept(-5.0) | step, kept(-2.5) | step]
    campaign = fill(store, candidates, direction="maximize", metric="log_likelihood", baseline=(-10.0, -10.0))
    best = status(store, campaign)["best"]
    assert (best["effect"], best["ratio"]) == (pytest.approx(0.75), None)
    objective = Objective(metric="log_likelihood", direction="maximize")
    assert shares_of(objective, [decision for _, decision in store.kept(campaign.id)]) == [None, None]


def test_over_a_baseline_at_zero_a_gain_is_said_in_the_metric_s_own_unit(store, tell):
    step = {"effect": (5.0, 5.0, 5.0, 0), "rule": "exact", "evidence": {}}
    more = {"effect": (1.0, 1.0, 1.0, 0), "rule": "exact", "evidence": {}}
    campaign = fill(
        store,
        [kept(5.0, hypothesis="mend", category="mend") | step, kept(10.0, hypothesis="all", category="mend") | more],
        direction="maximize",
        metric="passed",
        baseline=(0.0, 0.0),
    )
    view = status(store, campaign)
    assert (view["best"]["effect"], view["best"]["ratio"]) == (10.0, None)
    assert outcome(view) == "passed 0 -> 10: +10 better"
    assert "effect      +5, a metric that repeats exactly" in show(store, store.candidate(f"{campaign.id}.1"), "")
    first = store.reflections(campaign.id)[-1]
    assert lesson_line(first).startswith("- [c1 kept +5]")
    assert [gain(row.effect) for row in store.browse(campaign.id, limit=9).rows] == ["+100.0 %", "+5"]
    it = tell(campaign)
    assert it.headline == "passed went from 0 to 10, 10 better; 2 changes were kept."
    assert it.facts[0].words == "+10"
    assert [change.gain for change in it.changes] == ["+5", "+100.0 %"]
    assert "kept, 5, +5. mend" in figure(it.curve)
    assert it.attempts.kinds[0].best == "+100.0 %, kept"
    assert [branch.effect for branch in store.branches(campaign.id)] == [None, 1.0]


def test_a_small_gain_of_an_exact_metric_is_not_said_to_be_none(store, tell):
    step = {"effect": (0.00042, 0.00042, 0.00042, 0), "rule": "exact", "evidence": {}}
    campaign = fill(store, [kept(99.958) | step])
    view = status(store, campaign)
    assert outcome(view) == "seconds 100 -> 99.958: +0.042 % better, 1.00x"
    assert tell(campaign).facts[0].words == "+0.042 %"
