"""The e-processes: fair while nothing is better, and growing when something is."""

import itertools
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.verify.sequential import Pool, interval, log_e_sign_flip

sizes = st.lists(st.floats(0.01, 100), min_size=1, max_size=7)


def pool(rng, draw, count=5):
    differences = [draw(rng) - draw(rng) for _ in range(count)]
    return Pool(differences, [1.0] * count, float(numpy.median(numpy.abs(differences))) * 1.48)


@given(sizes, st.floats(0.01, 100))
def test_over_all_flips_of_signs_the_distribution_free_bet_is_exactly_fair(values, scale):
    flips = itertools.product((1, -1), repeat=len(values))
    mean = numpy.mean(
        [math.exp(log_e_sign_flip([s * v for s, v in zip(signs, values, strict=True)], scale)) for signs in flips]
    )
    assert mean == pytest.approx(1.0)


@given(sizes, st.floats(0.01, 100))
def test_the_distribution_free_bet_at_most_doubles_with_each_pair(values, scale):
    assert log_e_sign_flip(values, scale) <= len(values) * math.log(2) + 1e-9


@pytest.mark.parametrize(
    "draw",
    [lambda rng: rng.normal(), lambda rng: rng.standard_t(3), lambda rng: math.exp(rng.normal() / 2)],
    ids=["gaussian", "student-t3", "lognormal"],
)
@pytest.mark.parametrize("replicates", [3, 30])
def test_without_an_effect_the_evidence_reaches_20_in_fewer_than_one_test_in_20_whenever_one_looks(draw, replicates):
    rng = numpy.random.default_rng(3)
    reached = 0
    for _ in range(400):
        known, differences = pool(rng, draw, replicates), []
        for _ in range(10):
            differences.append(draw(rng) - draw(rng))
            if known.log_e(differences) >= math.log(20):
                reached += 1
                break
    assert reached / 400 < 0.05


def test_more_replicates_make_the_same_pairs_worth_more():
    rng = numpy.random.default_rng(1)
    few, many = pool(rng, lambda rng: rng.normal(), 4), pool(rng, lambda rng: rng.normal(), 60)
    pairs = [4.0, 3.5, 4.5]
    assert 0 < few.log_e(pairs) < many.log_e(pairs)
    assert many.log_e(pairs) > math.log(300)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.integers(-30, 30))
def test_the_unit_does_not_matter(values, power):
    scale = 2.0**power
    one = Pool([1.0, -0.5, 0.7], [1.0] * 3, 1.0).log_e(values)
    other = Pool([1.0 * scale, -0.5 * scale, 0.7 * scale], [1.0] * 3, scale).log_e([value * scale for value in values])
    assert one == pytest.approx(other, rel=1e-6, abs=1e-9)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=4))
def test_no_finite_difference_breaks_it(values):
    assert not math.isnan(Pool([1.0, -1.0], [1.0, 1.0], 1.0).log_e(values))
    assert not math.isnan(log_e_sign_flip(values, 1.0))


def test_the_interval_holds_the_truth_whenever_one_stops():
    """Stopped when the sum is highest in the first six pairs, which would fool an interval for a fixed number."""
    rng = numpy.random.default_rng(2)
    held = 0
    for _ in range(150):
        known = pool(rng, lambda rng: rng.normal(), 20)
        gains = [2.0 + rng.normal() - rng.normal() for _ in range(6)]
        stop = max(range(2, 7), key=lambda n, gains=gains: sum(gains[:n]) / n)
        low, high = interval(known.log_e, gains[:stop], sum(gains[:stop]) / stop, 1.4)
        held += low <= 2.0 <= high
    assert held / 150 >= 0.95
