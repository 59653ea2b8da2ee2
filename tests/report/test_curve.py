"""The progress curve: steps in the metric's unit, what they cost, and everything counted however much is drawn."""

import json

import pytest
from filled import discarded, fill, kept

from loopsmith.report.curve import curve


@pytest.mark.parametrize(("direction", "low", "high"), [("minimize", 88.0, 92.0), ("maximize", 108.0, 112.0)])
def test_an_interval_is_told_as_values_of_the_metric(store, direction, low, high):
    value = 90.0 if direction == "minimize" else 110.0
    campaign = fill(store, [discarded(100.0), kept(value, hypothesis="fuse", category="data")], direction=direction)
    start, step = curve(store, campaign).steps
    assert (start.number, start.value, start.effect) == (0, 100.0, None)
    assert (step.number, step.value, step.hypothesis, step.category) == (2, value, "fuse", "data")
    assert (step.low, step.high) == (pytest.approx(low), pytest.approx(high))
    assert (step.effect, step.effect_low, step.effect_high, step.pairs) == (0.1, 0.08, 0.12, 3)
    assert step.seconds == 2.0


def test_a_step_tells_what_had_been_spent_when_its_round_was_over(store):
    campaign = fill(
        store, [kept(90.0, cost=1.0), discarded(95.0, cost=2.0), discarded(95.0, cost=4.0), kept(80.0, cost=8.0)]
    )
    found = curve(store, campaign)
    assert [step.cost_usd for step in found.steps] == [0.0, 3.0, 15.0]
    assert found.cost_usd == 15.0


def test_the_noise_is_of_the_newest_confirmation_and_around_the_present_baseline(store):
    campaign = fill(store, [kept(90.0, evidence={"spread": 0.05}), kept(80.0)], exact=False)
    band = curve(store, campaign).band
    assert band is not None
    assert band.share == pytest.approx(0.0196)
    assert (band.low, band.high) == (pytest.approx(80 * 0.9804), pytest.approx(80 * 1.0196))


def test_before_a_confirmation_the_noise_is_what_the_calibration_said(store):
    campaign = fill(store, [discarded(101.0)], exact=False)
    assert curve(store, campaign).band is None
    store.record_event("c", "noise.measured", noise="2.00 %")
    band = curve(store, campaign).band
    assert band is not None
    assert band.high == pytest.approx(100 + 1.96 * 2)


def test_a_metric_that_repeats_exactly_has_no_band(store):
    assert curve(store, fill(store, [kept(90.0)], exact=True)).band is None


def test_every_kept_step_is_there_however_many_points_are_left_out_and_all_are_counted(store):
    candidates = [discarded(100 + number % 7) for number in range(600)]
    value = 100.0
    for number in range(5, 600, 20):
        value -= 1
        candidates[number] = kept(value)
    found = curve(store, fill(store, candidates), 50)
    assert len(found.steps) == 31
    assert len(found.points) <= 50
    assert found.thinned
    assert found.counts["discarded"] == 570
    assert found.last == 600


def test_a_curve_is_json(store):
    campaign = fill(store, [kept(90.0), discarded(95.0), {"verdict": "crashed"}], exact=False, target=50.0)
    said = json.loads(json.dumps(curve(store, campaign).as_json(), allow_nan=False))
    assert (said["metric"], said["direction"], said["target"]) == ("seconds", "minimize", 50.0)
    assert [step["number"] for step in said["steps"]] == [0, 1]
    assert [point["verdict"] for point in said["points"]] == ["discarded", "crashed"]


def test_before_the_baseline_is_measured_there_are_no_steps(store):
    found = curve(store, fill(store, [], baseline=()))
    assert (found.steps, found.points, found.band) == ((), (), None)
