"""One program beside another, from both sides."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.verify.comparison import Standing, compare, compare_exact
from loopsmith.verify.noise import pool
from loopsmith.verify.paired import Confirmation, Side
from loopsmith.workflow.schema import Objective

SPREAD = 0.01
anything = st.floats(allow_nan=False, allow_infinity=False)
directions = st.sampled_from(("maximize", "minimize"))


def replicates(seed=1, count=40):
    rng = numpy.random.default_rng(seed)
    return pool([(100 * (1 + SPREAD * rng.normal(size=count))).tolist()], [])


def planned(direction="maximize", min_effect=0, noise=None, pairs=24, rule="pooled"):
    objective = Objective(metric="speed", direction=direction, min_effect=min_effect)
    noise = noise or replicates()
    return Confirmation(objective=objective, noise=noise, centre=100.0, number=1, level=0.025, pairs=pairs, rule=rule)


def drawn(units, count=24, seed=2):
    rng = numpy.random.default_rng(seed)
    both = [(1 + SPREAD * rng.normal(), (1 + units * SPREAD) * (1 + SPREAD * rng.normal())) for _ in range(count)]
    return [(100 * float(one), 100 * float(other)) for one, other in both]


def concluded(test, pairs, secondary=None):
    """What is found, and after how many pairs."""
    for count in range(1, len(pairs) + 1):
        sides = {name: Side(**{**side, "pairs": side["pairs"][:count]}) for name, side in (secondary or {}).items()}
        found = compare(test, pairs[:count], sides, last=count == len(pairs))
        if found is not None:
            return found, count
    raise AssertionError("the last pair decides")


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_gain_and_a_loss_are_found_after_few_pairs_and_their_intervals_lie_on_their_side(direction):
    sign = 1 if direction == "maximize" else -1
    better, some = concluded(planned(direction), drawn(5 * sign))
    worse, few = concluded(planned(direction), drawn(-5 * sign))
    assert (better.standing, worse.standing) == (Standing.BETTER, Standing.WORSE)
    assert max(some, few) <= 6
    assert better.effect.low > 0 > worse.effect.high
    assert better.effect.mean == pytest.approx(0.05, abs=0.02)
    assert "better" in better.reason
    assert "worse" in worse.reason


def test_equal_programs_are_said_to_be_so_before_the_last_pair_and_mostly_nothing_else_is_said():
    found = [concluded(planned(noise=replicates(seed)), drawn(0, seed=1000 + seed)) for seed in range(60)]
    assert sum(each.standing is not Standing.SAME for each, _ in found) <= 3
    assert sum(count < 24 for _, count in found) >= 50
    assert any("no difference: one of" in each.reason for each, _ in found)


def test_a_gain_below_min_effect_is_better_and_said_to_be_less():
    found, _ = concluded(planned(min_effect=20), drawn(8))
    assert found.standing is Standing.BETTER
    assert "less than min_effect 20" in found.reason


def test_a_secondary_metric_over_its_tolerance_fails_and_one_that_is_not_shown_to_be_within_holds_up():
    pairs = drawn(8)
    side = {"more": 0.05, "less": None, "noise": replicates(3)}
    over, _ = concluded(planned(), pairs, {"memory": {**side, "pairs": [(100.0, 120.0 + n % 2) for n in range(24)]}})
    assert over.standing is Standing.FAILED
    assert "memory is" in over.reason
    within = {"memory": {**side, "pairs": drawn(0, seed=8)}}
    alone, soon = concluded(planned(), pairs)
    held, later = concluded(planned(), pairs, within)
    assert alone.standing is held.standing is Standing.BETTER
    assert soon <= later


def test_one_pair_shows_nothing():
    found = compare(planned(pairs=1), [(100.0, 200.0)], last=True)
    assert found.standing is Standing.SAME
    assert "shows nothing" in found.reason
    assert compare(planned(), [(100.0, 200.0)], last=False) is None


@given(
    st.lists(st.tuples(anything, anything), min_size=1, max_size=6), directions, st.sampled_from(("pooled", "exact"))
)
def test_any_values_are_decided_by_the_last_pair(values, direction, rule):
    found = compare(planned(direction, pairs=len(values), rule=rule), values, last=True)
    assert found is not None
    assert found.reason.startswith("speed ")
    if found.standing in (Standing.BETTER, Standing.WORSE):
        assert (found.effect.low > 0) == (found.standing is Standing.BETTER)


@given(anything, anything, directions)
def test_an_exact_metric_is_better_same_or_worse_by_its_sign(reference, value, direction):
    objective = Objective(metric="speed", direction=direction)
    found = compare_exact(objective, reference, value)
    gain = objective.gain(reference, value)
    if found.standing is not Standing.FAILED:
        expected = Standing.BETTER if gain > 0 else Standing.WORSE if gain < 0 else Standing.SAME
        assert found.standing is expected
