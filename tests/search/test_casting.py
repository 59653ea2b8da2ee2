from collections import Counter

from loopsmith.search.casting import Return, by_return, by_weight


def test_weights_are_met_exactly_over_the_candidates_made():
    made = Counter()
    for _ in range(10):
        made.update(by_weight({"dear": 1, "cheap": 3}, made, 2))
    assert made == {"dear": 5, "cheap": 15}


def test_an_agent_that_could_not_work_catches_up():
    assert by_weight({"a": 1, "b": 1}, {"a": 4, "b": 1}, 3) == ["b", "b", "b"]


def shares(returns, rounds=400):
    names = sorted(returns)
    drawn = Counter(name for seed in range(rounds) for name in by_return(names, returns, 1, seed))
    return {name: drawn[name] / rounds for name in names}


def test_the_bandit_prefers_more_kept_per_dollar():
    returns = {
        "dear": Return(agent="dear", candidates=20, kept=8, cost_usd=20.0),
        "cheap": Return(agent="cheap", candidates=20, kept=4, cost_usd=1.0),
    }
    assert shares(returns)["cheap"] > 0.9
    same_price = {name: Return(agent=name, candidates=20, kept=item.kept, cost_usd=5) for name, item in returns.items()}
    assert shares(same_price)["dear"] > 0.8


def test_the_bandit_tries_everybody_and_lets_nobody_win_for_being_free_alone():
    fresh = {"old": Return(agent="old", candidates=3, kept=1, cost_usd=3.0), "new": Return(agent="new")}
    assert 0.2 < shares(fresh)["new"] < 0.9
    free = {
        "free": Return(agent="free", candidates=60, kept=0, cost_usd=0.0),
        "good": Return(agent="good", candidates=60, kept=30, cost_usd=60.0),
    }
    assert shares(free)["good"] > 0.7


def test_the_same_seed_draws_the_same_and_nothing_known_is_even():
    returns = {"a": Return(agent="a"), "b": Return(agent="b")}
    assert by_return(["a", "b"], returns, 5, 7) == by_return(["a", "b"], returns, 5, 7)
    assert 0.4 < shares(returns)["a"] < 0.6
