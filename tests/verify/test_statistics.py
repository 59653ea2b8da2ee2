"""Properties of the decision, over values that hypothesis finds."""

import math
import random

import numpy
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from loopsmith.records import Verdict
from loopsmith.verify import statistics
from loopsmith.workflow.schema import Objective

DIRECTIONS = ("maximize", "minimize")
sane = st.floats(min_value=1e-3, max_value=1e6)
anything = st.floats(allow_nan=False, allow_infinity=False)
pairs_of_sane = st.lists(st.tuples(sane, sane), min_size=2, max_size=12)
pairs_of_anything = st.lists(st.tuples(anything, anything), min_size=2, max_size=6)
directions = st.sampled_from(DIRECTIONS)


def objective(direction="maximize", min_effect=0):
    return Objective(metric="speed", direction=direction, min_effect=min_effect)


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
    pairs = [(100.0 + wobble, value + wobble) for wobble in (-0.1, 0.0, 0.1)]
    assert (statistics.judge_pairs(objective(min_effect=min_effect), pairs).verdict is Verdict.KEPT) == kept


def test_a_baseline_of_zero_is_compared_in_the_metrics_own_unit():
    decision = statistics.judge_exact(objective("minimize", min_effect=0.5), [0.0] * 3, -0.75)
    assert decision.verdict is Verdict.KEPT
    assert decision.reason == "speed 0 -> -0.75: 0.75 better; the metric repeats exactly"
    assert statistics.paired_effect(objective("minimize"), [(0.0, -1.0), (0.0, -3.0)]).mean == 2.0


@given(directions, pairs_of_sane)
def test_the_interval_is_that_of_the_paired_t_test(direction, pairs):
    effect = statistics.paired_effect(objective(direction), pairs)
    baseline, candidate = (numpy.array(side) for side in zip(*pairs, strict=True))
    gains = (candidate - baseline) * (1 if direction == "maximize" else -1) / baseline.mean()
    assume(gains.std() > 1e-9)
    low, high = scipy.stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (effect.low, effect.mean, effect.high) == pytest.approx((low, gains.mean(), high), rel=1e-6, abs=1e-9)
    assert effect.samples == len(pairs)


@given(directions, pairs_of_sane, st.sampled_from([0, "1%", "50%", 3]))
def test_kept_means_that_the_interval_clears_zero_and_the_mean_clears_min_effect(direction, pairs, min_effect):
    goal = objective(direction, min_effect)
    decision = statistics.judge_pairs(goal, pairs)
    assert decision.effect.low <= decision.effect.mean <= decision.effect.high
    clears = goal.clears(decision.baseline_value, decision.effect.mean)
    assert (decision.verdict is Verdict.KEPT) == (decision.effect.low > 0 and clears)


@given(pairs_of_sane)
def test_both_directions_mirror_each_other(pairs):
    up, down = (statistics.paired_effect(objective(direction), pairs) for direction in DIRECTIONS)
    assert (up.mean, up.low, up.high) == pytest.approx((-down.mean, -down.high, -down.low))


@given(directions, pairs_of_sane, st.randoms())
def test_the_order_of_the_pairs_does_not_matter(direction, pairs, rng):
    shuffled = rng.sample(pairs, len(pairs))
    one, other = (statistics.judge_pairs(objective(direction), each) for each in (pairs, shuffled))
    assert (one.effect.mean, one.effect.low) == pytest.approx((other.effect.mean, other.effect.low), abs=1e-12)


@given(directions, pairs_of_sane, st.integers(-20, 20))
def test_the_unit_of_the_metric_does_not_matter(direction, pairs, power):
    scale = 2.0**power
    one = statistics.paired_effect(objective(direction), pairs)
    other = statistics.paired_effect(objective(direction), [(a * scale, b * scale) for a, b in pairs])
    assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high), rel=1e-9, abs=1e-12)


@given(directions, sane, st.integers(2, 10))
def test_a_candidate_equal_to_its_baseline_is_never_kept(direction, value, runs):
    assert statistics.judge_pairs(objective(direction), [(value, value)] * runs).verdict is Verdict.DISCARDED
    assert statistics.judge_exact(objective(direction), [value] * runs, value).verdict is Verdict.DISCARDED
    assert statistics.screen(objective(direction), [value] * runs, value, exact=False).verdict is Verdict.DISCARDED


@given(directions, pairs_of_anything)
def test_no_finite_values_crash_the_decision_or_leave_infinities_in_it(direction, pairs):
    goal = objective(direction, "1%")
    baseline, value = [pair[0] for pair in pairs], pairs[0][1]
    decisions = [
        statistics.judge_pairs(goal, pairs),
        statistics.judge_exact(goal, baseline, value),
        statistics.screen(goal, baseline, value, exact=False),
        statistics.screen(goal, baseline, value, exact=True),
    ]
    for decision in filter(None, decisions):
        assert decision.verdict in (Verdict.KEPT, Verdict.DISCARDED)
        numbers = [decision.value, decision.baseline_value]
        if decision.effect:
            numbers += [decision.effect.mean, decision.effect.low, decision.effect.high]
        assert all(number is None or math.isfinite(number) for number in numbers)
        assert decision.verdict is Verdict.DISCARDED or decision.effect.low > 0


def test_without_a_real_difference_at_most_about_one_in_forty_is_kept():
    """The two-sided 95 % interval leaves 2.5 % for luck in the better direction."""
    rng = random.Random(1)
    kept = 0
    for _ in range(4000):
        pairs = [(rng.gauss(100, 3), rng.gauss(100, 3)) for _ in range(5)]
        kept += statistics.judge_pairs(objective(), pairs).verdict is Verdict.KEPT
    assert 0.015 < kept / 4000 < 0.035


def test_noise_that_both_of_a_pair_share_cancels_out():
    rng = random.Random(2)
    drift = [rng.uniform(-20, 20) for _ in range(5)]
    pairs = [(100 + d, 103 + d + rng.uniform(-0.1, 0.1)) for d in drift]
    assert statistics.judge_pairs(objective(), pairs).verdict is Verdict.KEPT


def test_one_pair_is_no_evidence():
    with pytest.raises(ValueError, match="two pairs"):
        statistics.paired_effect(objective(), [(1.0, 2.0)])


@given(directions, st.lists(sane, min_size=1, max_size=8), sane)
def test_screening_lets_no_run_through_that_is_not_better(direction, baseline, value):
    goal = objective(direction, "1%")
    decision = statistics.screen(goal, baseline, value, exact=False)
    if statistics.screen_gain(goal, baseline, value) <= 0:
        assert decision.verdict is Verdict.DISCARDED
    elif decision is not None:
        assert not goal.clears(decision.baseline_value, statistics.screen_gain(goal, baseline, value))


def test_screening_gives_noise_the_benefit_of_the_doubt_and_no_more():
    goal = objective(min_effect="1%")
    noisy, quiet = [98.0, 100.0, 102.0], [99.99, 100.0, 100.01]
    assert statistics.screen(goal, noisy, 100.5, exact=False) is None
    refused = statistics.screen(goal, quiet, 100.5, exact=False)
    assert "0.50 % better in a first run" in refused.reason
    assert statistics.screen(goal, [100.0], 100.5, exact=False) is None
    assert statistics.screen(goal, quiet, 101.5, exact=False) is None


def test_screening_an_exact_metric_is_the_decision_itself():
    goal = objective("minimize", "1%")
    assert statistics.screen(goal, [10.0] * 3, 9.0, exact=True) is None
    refused = statistics.screen(goal, [10.0] * 3, 9.95, exact=True)
    assert refused.reason == "speed 10 -> 9.95: 0.50 % better, less than min_effect 1%"


def test_the_reason_says_what_a_person_needs_to_know():
    kept = statistics.judge_pairs(objective(), [(10.0, 11.0), (10.0, 11.2), (10.0, 11.1)])
    assert kept.reason == "speed 10 -> 11.1: 11.00 % better, 95 % interval 8.52 % to 13.48 % over 3 pairs"
    assert kept.evidence == {"pairs": [[10.0, 11.0], [10.0, 11.2], [10.0, 11.1]]}
    unsure = statistics.judge_pairs(objective(), [(10.0, 11.0), (10.0, 9.5)])
    assert unsure.reason.endswith("which does not clear zero")
