"""A confirmation, pair by pair."""

import math

import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loopsmith.records import Verdict
from loopsmith.verify.noise import Noise, pool
from loopsmith.verify.paired import Confirmation, Side, hodges_lehmann, next_step
from loopsmith.workflow.schema import Objective

SPREAD = 0.01
anything = st.floats(allow_nan=False, allow_infinity=False)
directions = st.sampled_from(("maximize", "minimize"))


def replicates(count=40, spread=SPREAD, seed=1):
    rng = numpy.random.default_rng(seed)
    return pool([(100 * (1 + spread * rng.normal(size=count))).tolist()], [])


def planned(direction="maximize", min_effect=0, **options):
    settings = {"noise": replicates(), "centre": 100.0, "number": 1, "level": 0.01, "pairs": 24, **options}
    return Confirmation(objective=Objective(metric="speed", direction=direction, min_effect=min_effect), **settings)


def pairs(units, count=24, seed=2, drift=0.0, spread=SPREAD):
    """Pairs with a gain of so many noise units."""
    rng = numpy.random.default_rng(seed)
    found = []
    for index in range(count):
        size = 100 * (1 - drift * index / count)
        one, other = float(1 + spread * rng.normal()), float((1 + units * spread) * (1 + spread * rng.normal()))
        found.append((size * one, size * other))
    return found


def decide(test, values, **options):
    """The decision and how many pairs it took."""
    for count in range(1, len(values) + 1):
        secondary = {
            name: Side(**{**side, "pairs": side["pairs"][:count]}) for name, side in options.get("sides", {}).items()
        }
        decision = next_step(test, values[:count], secondary)
        if decision is not None:
            return decision, count
    raise AssertionError("no decision")


def test_a_clear_gain_is_kept_after_few_pairs_and_a_doubtful_one_after_more():
    clear, few = decide(planned(), pairs(6))
    doubtful, more = decide(planned(), pairs(2))
    assert clear.verdict is doubtful.verdict is Verdict.KEPT
    assert few <= 4 < more


def test_no_gain_and_a_loss_are_given_up_long_before_the_last_pair():
    for units in (0, -3):
        decision, count = decide(planned(), pairs(units))
        assert decision.verdict is Verdict.DISCARDED
        assert count < 10


def test_a_decision_holds_everything_behind_it():
    decision, count = decide(planned(), pairs(6))
    assert decision.rule == "pooled"
    assert decision.evidence["pairs"] == [list(pair) for pair in pairs(6)[:count]]
    assert decision.evidence["e_value"] >= 1 / decision.evidence["level"] == 100
    assert decision.evidence["test"] == 1
    assert decision.effect.samples == count
    assert decision.effect.low > 0
    assert "better, 95 % interval" in decision.reason
    assert "(e-value" in decision.reason


@given(directions, st.floats(-3, 6), st.integers(0, 50))
def test_kept_means_enough_evidence_an_interval_above_zero_and_a_mean_inside_it(direction, units, seed):
    values = pairs(units if direction == "maximize" else -units, seed=seed)
    decision, count = decide(planned(direction), values)
    if decision.verdict is Verdict.KEPT:
        assert count >= 2
        assert decision.evidence["e_value"] >= 100
        assert 0 < decision.effect.low <= decision.effect.mean <= decision.effect.high


@example([(9e307, 0.0), (9e307, 0.0)], "maximize", 0.0)
@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=5), directions, anything)
def test_no_finite_values_crash_it_or_leave_infinities_in_it(values, direction, centre):
    decision = next_step(planned(direction, "1%", pairs=len(values), centre=centre), values)
    for found in filter(None, [decision]):
        numbers = [found.value, found.baseline_value]
        if found.effect:
            numbers += [found.effect.mean, found.effect.low, found.effect.high]
        assert all(number is None or math.isfinite(number) for number in numbers)


def test_a_machine_that_slows_down_by_a_fifth_meanwhile_changes_nothing():
    steady, drifting = decide(planned(), pairs(3)), decide(planned(), pairs(3, drift=0.2))
    assert steady[0].verdict is drifting[0].verdict is Verdict.KEPT
    assert abs(steady[1] - drifting[1]) <= 1


@pytest.mark.parametrize(("min_effect", "kept"), [("2%", True), ("20%", False), (2, True), (20, False)])
def test_a_gain_below_min_effect_is_not_kept_however_sure(min_effect, kept):
    decision, _ = decide(planned(min_effect=min_effect), pairs(10))
    assert (decision.verdict is Verdict.KEPT) == kept
    if not kept:
        assert "min_effect" in decision.reason or "less likely" in decision.reason


def test_a_simplification_is_kept_for_being_no_worse_and_not_for_being_worse():
    same, _ = decide(planned(min_effect="5%", simplifies=True), pairs(0))
    assert same.verdict is Verdict.KEPT
    assert same.evidence["simplification"]
    assert "a simplification that is not worse" in same.reason
    assert decide(planned(min_effect="5%"), pairs(0))[0].verdict is Verdict.DISCARDED
    assert decide(planned(min_effect="5%", simplifies=True), pairs(-6))[0].verdict is Verdict.DISCARDED
    better, _ = decide(planned(min_effect="5%", simplifies=True), pairs(10))
    assert better.verdict is Verdict.KEPT
    assert "simplification" not in better.evidence


@pytest.mark.parametrize(
    ("memory", "kept"), [(0.0, True), (0.03, True), (0.12, False), (-0.4, True)], ids=["same", "3%", "12%", "less"]
)
def test_a_secondary_metric_blocks_when_it_is_not_shown_to_be_within_its_tolerance(memory, kept):
    rng = numpy.random.default_rng(4)
    sides = {
        "mb": {
            "more": 0.05,
            "less": None,
            "noise": replicates(spread=0.005, seed=5),
            "pairs": [
                (50 * (1 + 0.005 * rng.normal()), 50 * (1 + memory) * (1 + 0.005 * rng.normal())) for _ in range(24)
            ],
        }
    }
    decision, _ = decide(planned(), pairs(6), sides=sides)
    assert (decision.verdict is Verdict.KEPT) == kept
    if not kept:
        assert "mb is" in decision.reason


def test_a_secondary_metric_alone_keeps_nothing():
    sides = {
        "mb": {"more": 0.05, "less": None, "noise": Noise(differences=(), weights=()), "pairs": [(50.0, 5.0)] * 24}
    }
    assert decide(planned(), pairs(0), sides=sides)[0].verdict is Verdict.DISCARDED


def test_an_exact_secondary_metric_blocks_at_its_tolerance():
    for value, verdict in ((52.5, Verdict.KEPT), (52.6, Verdict.DISCARDED)):
        sides = {
            "mb": {
                "more": 0.05,
                "less": None,
                "noise": Noise(differences=(0.0,), weights=(1.0,)),
                "pairs": [(50.0, value)] * 24,
            }
        }
        assert decide(planned(), pairs(6), sides=sides)[0].verdict is verdict


def test_the_distribution_free_rule_keeps_too_at_the_price_of_more_pairs():
    decision, count = decide(planned(rule="exact"), pairs(6))
    assert decision.verdict is Verdict.KEPT
    assert decision.rule == "sign-flip"
    assert count > decide(planned(), pairs(6))[1]
    assert count >= math.log2(100)


def test_a_metric_of_two_values_is_decided_without_assuming_a_scale():
    rng = numpy.random.default_rng(6)
    rare = pool([[1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0]], [])
    null = [(float(1 + (rng.random() < 0.2)), float(1 + (rng.random() < 0.2))) for _ in range(24)]
    better = [(float(1 + (rng.random() < 0.2)), float(1 + (rng.random() < 0.98))) for _ in range(24)]
    assert decide(planned(noise=rare, centre=1.0), null)[0].verdict is Verdict.DISCARDED
    decision, _ = decide(planned(noise=rare, centre=1.0), better)
    assert (decision.verdict, decision.rule) == (Verdict.KEPT, "sign-flip")
    assert decision.evidence["warnings"]


@pytest.mark.parametrize("values", [[100, 100, 100, 100, 100 + 1e-12], [100, 100 + 1e-11, 100 - 2e-11, 100 + 3e-11]])
def test_a_gain_of_millions_of_noise_units_is_kept(values):
    test = planned(noise=pool([values], []), min_effect="2%")
    decision, _ = decide(test, [(100.0, 200.0), (100 + 1e-12, 200.5)] * 12)
    assert decision.verdict is Verdict.KEPT


def test_a_candidate_that_scatters_far_more_than_the_baseline_must_pass_the_distribution_free_rule_too():
    wild = [(100.0, 100.0 + gain) for gain in (30.0, 45.0, 2.0, 60.0, 38.0, 15.0)]
    test = planned(pairs=6)
    assert test.unequal([(value - baseline) / 100 for baseline, value in wild])
    assert test.log_e([(value - baseline) / 100 for baseline, value in wild]) <= 6 * math.log(2)


@pytest.mark.parametrize("count", [2, 3, 5, 40])
@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("units", [10, 300, 1000, 3000, 30_000, 10**6])
def test_a_larger_gain_is_never_less_sure(units, spread, count):
    test = planned(noise=replicates(count, spread), level=0.0127)
    decision, taken = decide(test, pairs(units, spread=spread))
    assert decision.verdict is Verdict.KEPT
    assert "simplification" not in decision.reason
    assert 0 < decision.effect.low <= decision.effect.mean <= decision.effect.high
    assert taken <= 12


@pytest.mark.parametrize("apart", [1e-1, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-6])
def test_two_replicates_that_happen_to_be_near_each_other_make_no_large_gain_unsure(apart):
    test = planned(noise=pool([[10.0, 10.0 + apart]], []), centre=10.0, level=0.0127)
    decision, _ = decide(test, [(10.585, 21.585), (10.36, 21.36)] * 6)
    assert decision.verdict is Verdict.KEPT
    assert decision.effect.low > 0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=15), st.floats(-100, 100))
def test_the_estimate_moves_with_its_values(values, shift):
    moved = hodges_lehmann([value + shift for value in values])
    assert moved == pytest.approx(hodges_lehmann(values) + shift, abs=1e-9)
    assert min(values) <= hodges_lehmann(values) <= max(values)
