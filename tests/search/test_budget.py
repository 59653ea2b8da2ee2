import pytest

from loopsmith.errors import LimitReached
from loopsmith.records import Spent, Usage
from loopsmith.search.budget import Used, campaign_end, check_call, limit_end
from loopsmith.workflow import Budget, Objective

MINIMIZE = Objective(metric="seconds", direction="minimize", target=1.0)
BUDGET = Budget(wall_clock=100.0, rounds=3, candidates=10, cost_usd=2.0, tokens=1000, stall_rounds=4)


def used(**changes):
    base = {"wall_clock": 0.0, "rounds": 0, "candidates": 0, "rounds_since_keep": 0, "spent": Spent()}
    return Used(**{**base, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"wall_clock": 100.0}, "wall_clock"),
        ({"rounds": 3}, "rounds"),
        ({"candidates": 10}, "candidates"),
        ({"spent": Spent(cost_usd=2.0)}, "cost_usd"),
        ({"spent": Spent(input_tokens=600, output_tokens=400)}, "tokens"),
        ({"rounds_since_keep": 4}, "stall_rounds"),
    ],
)
def test_each_limit_ends_the_campaign_and_is_named(changes, reason):
    end = campaign_end(BUDGET, used(**changes), MINIMIZE, 2.0)
    assert end is not None
    assert end.reason == reason
    assert f"budget.{reason}" in end.message


def test_a_campaign_goes_on_one_step_before_every_limit():
    spent = Spent(cost_usd=1.99, input_tokens=999)
    almost = used(wall_clock=99.9, rounds=2, candidates=9, rounds_since_keep=3, spent=spent)
    assert campaign_end(BUDGET, almost, MINIMIZE, 1.01) is None


def test_a_limit_that_is_not_set_never_ends_it():
    assert campaign_end(Budget(stall_rounds=None), used(candidates=10**9), MINIMIZE, None) is None


def test_large_limits_are_written_out():
    spent = Spent(input_tokens=1_234_567)
    end = campaign_end(Budget(tokens=1_000_000), used(spent=spent), MINIMIZE, None)
    assert end is not None
    assert end.message == "1234567 of 1000000 tokens used (budget.tokens)"
    with pytest.raises(LimitReached, match=r"budget\.tokens reached: 1234567 of 1300000"):
        check_call(
            "budget", spent, Usage(role="worker", model="m", input_tokens=99_999), cost_usd=None, tokens=1_300_000
        )


@pytest.mark.parametrize(("best", "ends"), [(1.0, True), (0.5, True), (1.0001, False), (None, False)])
def test_the_target_ends_it_when_it_is_reached_not_before(best, ends):
    end = campaign_end(BUDGET, used(rounds=3), MINIMIZE, best)
    assert end is not None
    assert (end.reason == "target") is ends


def test_a_call_that_could_pass_a_limit_is_refused_with_the_limits_name():
    call = Usage(role="worker", model="m", input_tokens=50, output_tokens=50, cost_usd=0.2)
    check_call("budget", Spent(cost_usd=0.8, input_tokens=900), call, cost_usd=1.0, tokens=1000)
    with pytest.raises(LimitReached) as money:
        check_call("budget.per_worker", Spent(cost_usd=0.81), call, cost_usd=1.0, tokens=None)
    assert money.value.limit == "budget.per_worker.cost_usd"
    with pytest.raises(LimitReached) as tokens:
        check_call("budget", Spent(input_tokens=901), call, cost_usd=None, tokens=1000)
    assert limit_end(tokens.value).reason == "tokens"
