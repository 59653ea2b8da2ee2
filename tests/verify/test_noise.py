"""The noise of replicates, and the level of a baseline."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.verify.level import Level, Timed, level
from loopsmith.verify.noise import Noise, detectable, pairs_needed, pool, robust_deviation

sane = st.floats(min_value=1e-3, max_value=1e6)


def runs(rng, count, spread=0.02, centre=100.0):
    return (centre * (1 + spread * rng.normal(size=count))).tolist()


def test_the_spread_is_the_standard_deviation_of_one_run_as_a_share():
    rng = numpy.random.default_rng(1)
    found = [pool([runs(rng, 40)], []).spread for _ in range(20)]
    assert numpy.mean(found) == pytest.approx(0.02, rel=0.1)


def test_pairs_teach_the_noise_whatever_their_effect():
    rng = numpy.random.default_rng(2)
    confirmations = [
        [(a, b * (1 + gain)) for a, b in zip(runs(rng, 5), runs(rng, 5), strict=True)] for gain in (0.0, 0.1, 0.5, -0.2)
    ]
    found = pool([], confirmations)
    assert found.freedom == pytest.approx(16)
    assert 0.012 < found.spread < 0.035


@pytest.mark.parametrize("times", [0.05, 12.0])
def test_a_very_large_gain_does_not_look_like_noise(times):
    rng = numpy.random.default_rng(3)
    pairs = list(zip(runs(rng, 30), runs(rng, 30, centre=100.0 * times), strict=True))
    assert pool([], [pairs]).spread == pytest.approx(0.02, rel=0.35)


def test_one_pair_teaches_nothing():
    assert pool([], [[(1.0, 2.0)]]).freedom == 0


def test_one_stalled_run_in_ten_hardly_moves_the_spread():
    rng = numpy.random.default_rng(3)
    values = list(rng.normal(size=40))
    stalled = [value * 30 if index % 10 == 0 else value for index, value in enumerate(values)]
    weights = [1.0] * 40
    assert robust_deviation(stalled, weights) < 1.6 * robust_deviation(values, weights)


def test_a_steady_drift_is_not_taken_for_noise():
    rng = numpy.random.default_rng(4)
    drifting = [value * (1 - 0.2 * index / 60) for index, value in enumerate(runs(rng, 60))]
    assert pool([drifting], []).spread < 0.026


@given(st.lists(sane, min_size=2, max_size=20), st.integers(-20, 20))
def test_the_unit_does_not_matter(values, power):
    one, other = pool([values], []), pool([[value * 2.0**power for value in values]], [])
    assert one.spread == pytest.approx(other.spread, rel=1e-6)


def test_a_metric_of_two_values_is_for_the_distribution_free_rule():
    found = pool([[1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 2.0, 1.0]], [])
    assert found.robust
    assert "exactly the same value" in found.problems[0]
    assert found.spread > 0


def test_tails_beyond_what_the_rule_allows_for_are_noticed_and_gaussian_ones_are_not():
    rng = numpy.random.default_rng(5)
    assert not pool([runs(rng, 60)], []).problems
    wild = pool([list(100 + rng.standard_cauchy(80) ** 3)], [])
    assert wild.robust
    assert "heavier tails" in wild.problems[0]
    heavy = pool([list(100 + rng.standard_t(2.2, size=200) * 0.01)], [])
    assert not heavy.robust


@pytest.mark.parametrize("share", [True, False])
def test_noise_that_stays_when_the_value_falls_is_for_the_distribution_free_rule(share):
    """Pooled as shares it would be taken for a tenth of what it is, and a false keep would be cheap."""
    rng = numpy.random.default_rng(6)
    found = []
    for _ in range(20):
        early = [list(zip(runs(rng, 4), runs(rng, 4), strict=True)) for _ in range(3)]
        late = runs(rng, 4, 0.02 if share else 0.2, 10.0)
        found.append(pool([runs(rng, 5), late], [*early, list(zip(runs(rng, 3), late, strict=False))]).robust)
    assert sum(found) <= 1 if share else sum(found) >= 16


def test_runs_that_depend_on_the_one_before_are_noticed():
    rng = numpy.random.default_rng(6)
    values, last = [], 0.0
    for _ in range(60):
        last = 0.9 * last + rng.normal()
        values.append(100 + last)
    assert any("autocorrelation" in problem for problem in pool([values], []).problems)


@given(st.floats(0.001, 0.5), st.integers(2, 500))
def test_what_can_be_detected_and_the_pairs_it_needs_are_inverse(spread, pairs):
    noise = Noise(differences=(spread, -spread), weights=(1.0, 1.0))
    assert pairs_needed(noise, detectable(noise, pairs)) in (pairs, pairs + 1)


def test_the_promise_is_two_noise_units_within_24_pairs():
    noise = Noise(differences=(0.01, -0.01), weights=(1.0, 1.0))
    assert detectable(noise, 24) == pytest.approx(2 * noise.spread)


def timed(values):
    return [Timed(float(index), value) for index, value in enumerate(values)]


@given(sane, st.integers(1, 30))
def test_runs_that_are_all_the_same_are_the_level_itself(value, count):
    assert level(timed([value] * count), count, 0.0) == Level(value, count)


def test_a_steady_machine_averages_and_a_moving_one_is_followed():
    rng = numpy.random.default_rng(7)
    steady = level(timed(runs(rng, 30, 0.01)), 30, 1.0)
    assert steady.value == pytest.approx(100, abs=0.8)
    moving = [value * (1 - 0.01 * index) for index, value in enumerate(runs(rng, 30, 0.01))]
    followed = level(timed(moving), 30, 1.0)
    assert followed.value == pytest.approx(70, abs=1.5)
    assert followed.known < steady.known
    assert followed.refresh_after < steady.refresh_after


def test_one_stalled_run_does_not_move_the_level():
    rng = numpy.random.default_rng(8)
    values = runs(rng, 12, 0.01)
    values[-1] = 160.0
    assert level(timed(values), 12, 1.0).value == pytest.approx(100, abs=3)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30), st.floats(0, 1e300))
def test_no_finite_runs_break_the_level(values, spread):
    found = level(timed(values), len(values), spread)
    assert found.known > 0
    assert 3 <= found.refresh_after <= 40
