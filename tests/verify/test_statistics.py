"""Properties of gains, screening and the decision on exact metrics, over values that hypothesis finds."""

import math

import numpy
import pytest
import scipy.stats
from hypothesis import assume, example, given
from hypothesis import strategies as st

from loopsmith.records import Verdict
from loopsmith.verify import statistics
from loopsmith.verify.level import Level
from loopsmith.verify.noise import Noise, pool
from loopsmith.verify.statistics import Screening
from loopsmith.workflow.schema import Objective

DIRECTIONS = ("maximize", "minimize")
sane = st.floats(min_value=1e-3, max_value=1e6)
anything = st.floats(allow_nan=False, allow_infinity=False)
directions = st.sampled_from(DIRECTIONS)


def objective(direction="maximize", min_effect=0):
    return Objective(metric="speed", direction=direction, min_effect=min_effect)


def noise(spread):
    """Plenty of replicates whose robust deviation for one run is `spread`."""
    values = numpy.array(scipy.stats.norm.ppf((numpy.arange(40) + 0.5) / 40)) * spread * math.sqrt(2)
    return Noise(differences=tuple(values), weights=(1.0,) * 40)


def screen(goal, centre, values, spread, pairs=24, **options):
    return statistics.screen(goal, Level(centre, 20), values, noise(spread), pairs=pairs, **options)


def test_a_metric_is_exact_when_it_repeats_and_never_after_one_run():
    assert statistics.is_exact([2.0, 2.0, 2.0])
    assert not statistics.is_exact([2.0, 2.0, 2.0000001])
    assert not statistics.is_exact([2.0])
    assert not statistics.is_exact([])


@given(directions, sane, sane)
def test_an_exact_metric_is_kept_if_and_only_if_it_is_better(direction, baseline, value):
    decision = statistics.judge_exact(objective(direction), [baseline] * 3, value)
    better = value > baseline if direction == "maximize" else value < baseline
    assert (decision.verdict is Verdict.KEPT) == better
    assert decision.rule == "exact"
    assert (decision.value, decision.baseline_value, decision.effect.samples) == (value, baseline, 0)


@pytest.mark.parametrize(
    ("min_effect", "value", "kept"),
    [("1%", 101.0, True), ("1%", 100.9, False), (2, 102.0, True), (2, 101.9, False), ("1%", 99.0, False)],
)
def test_min_effect_binds_as_a_share_and_as_a_number(min_effect, value, kept):
    decision = statistics.judge_exact(objective(min_effect=min_effect), [100.0] * 5, value)
    assert (decision.verdict is Verdict.KEPT) == kept


def test_a_baseline_of_zero_is_compared_in_the_metrics_own_unit():
    decision = statistics.judge_exact(objective("minimize", min_effect=0.5), [0.0] * 3, -0.75)
    assert decision.verdict is Verdict.KEPT
    assert decision.reason == "speed 0 -> -0.75: 0.75 better; the metric repeats exactly"


@pytest.mark.parametrize(("value", "kept"), [(99.5, True), (98.5, False), (100.0, True)])
def test_an_exact_simplification_may_lose_less_than_min_effect(value, kept):
    decision = statistics.judge_exact(objective(min_effect="1%"), [100.0], value, simplifies=True)
    assert (decision.verdict is Verdict.KEPT) == kept
    assert bool(decision.evidence.get("simplification")) == kept


@given(directions, st.lists(st.tuples(sane, sane), min_size=2, max_size=12))
def test_the_plain_interval_is_that_of_the_paired_t_test(direction, pairs):
    effect = statistics.paired_effect(objective(direction), pairs)
    baseline, candidate = (numpy.array(side) for side in zip(*pairs, strict=True))
    gains = (candidate - baseline) * (1 if direction == "maximize" else -1) / baseline.mean()
    assume(gains.std() > 1e-9)
    low, high = scipy.stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (effect.low, effect.mean, effect.high) == pytest.approx((low, gains.mean(), high), rel=1e-6, abs=1e-9)


def test_one_pair_has_no_plain_interval():
    with pytest.raises(ValueError, match="two pairs"):
        statistics.paired_effect(objective(), [(1.0, 2.0)])


@given(directions, st.lists(anything, min_size=1, max_size=6), anything)
@example("maximize", [0.0, 0.0, 2.607790835939804e-298], 0.0)
def test_no_finite_values_crash_screening_or_leave_infinities_in_it(direction, values, centre):
    found = statistics.screen(objective(direction, "1%"), Level(centre, 3), values, pool([values], []), pairs=5)
    if not isinstance(found, Screening):
        assert found.verdict is Verdict.DISCARDED
        assert all(number is None or math.isfinite(number) for number in (found.value, found.baseline_value))


def test_screening_confirms_what_is_far_better_and_discards_what_is_no_better_after_one_run():
    assert screen(objective(), 100.0, [110.0], 0.01) is Screening.CONFIRM
    refused = screen(objective(), 100.0, [100.0], 0.01)
    assert refused.verdict is Verdict.DISCARDED
    assert refused.rule == "screen"
    assert "no change in a first run" in refused.reason
    assert screen(objective("minimize"), 100.0, [90.0], 0.01) is Screening.CONFIRM
    assert screen(objective("minimize"), 100.0, [110.0], 0.01).verdict is Verdict.DISCARDED


def test_screening_runs_what_is_promising_again_and_ends_with_the_fourth_run():
    for runs in (1, 2, 3):
        assert screen(objective(), 100.0, [101.2] * runs, 0.01) is Screening.AGAIN
    assert screen(objective(), 100.0, [101.2] * 4, 0.01) is Screening.CONFIRM
    assert screen(objective(), 100.0, [100.9] * 4, 0.01).verdict is Verdict.DISCARDED


def test_screening_looks_for_what_the_pairs_can_show_and_for_min_effect():
    """A gain of one noise unit is worth confirming only where there are pairs enough to show it."""
    assert screen(objective(), 100.0, [101.0], 0.01, pairs=6).verdict is Verdict.DISCARDED
    assert screen(objective(), 100.0, [101.0], 0.01, pairs=200) is Screening.AGAIN
    assert screen(objective(min_effect="5%"), 100.0, [102.0], 0.002).verdict is Verdict.DISCARDED
    assert screen(objective(min_effect="5%"), 100.0, [105.0], 0.002) is Screening.CONFIRM


def test_a_simplification_need_not_look_better_to_be_confirmed():
    goal = objective(min_effect="5%")
    assert screen(goal, 100.0, [100.0], 0.01).verdict is Verdict.DISCARDED
    assert screen(goal, 100.0, [100.0], 0.01, simplifies=True) is Screening.CONFIRM
    assert screen(goal, 100.0, [94.0], 0.01, simplifies=True).verdict is Verdict.DISCARDED


def test_without_any_noise_screening_asks_for_a_gain_of_min_effect():
    assert screen(objective(), 100.0, [100.1], 0.0) is Screening.CONFIRM
    assert screen(objective(min_effect="1%"), 100.0, [100.1], 0.0).verdict is Verdict.DISCARDED
    assert screen(objective(), 100.0, [100.0], 0.0).verdict is Verdict.DISCARDED
