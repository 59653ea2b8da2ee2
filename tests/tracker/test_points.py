"""The progress curve's verbs: exact where they count, a fair choice where they thin."""

import pytest
from filled import discarded, fill, kept


def test_every_decided_candidate_that_was_not_kept_is_a_point(store):
    fill(store, [discarded(110.0), kept(90.0), {"verdict": "crashed"}, {"verdict": "rejected", "rule": "guardrail"}])
    points = store.points("c", "seconds", minimize=True, limit=100)
    assert [(point.number, point.verdict, point.value) for point in points] == [
        *((1, "discarded", 110.0), (3, "crashed", None), (4, "rejected", None))
    ]
    assert [point.seconds for point in points] == [1.0, 3.0, 4.0]
    assert store.last_number("c") == 4


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_naive_keep_is_one_whose_first_run_beat_its_baseline_and_that_was_discarded(store, direction):
    sign = -1 if direction == "minimize" else 1
    fill(
        store,
        [
            discarded(100 - sign * 2, first=100 + sign * 3),  # lucky once
            discarded(100 + sign * 2),  # better, and too little
            discarded(100 - sign * 2),  # never better
            discarded(100 + sign * 5, baseline=None),  # another of its round came first
            discarded(100 + sign * 5, rule="rejected"),  # by a person
            {"verdict": "quarantined", "value": 100 + sign * 80},
            {"verdict": "failed", "first": 100 + sign * 5},
        ],
        direction=direction,
    )
    points = store.points("c", "seconds", minimize=direction == "minimize", limit=100)
    assert [point.number for point in points if point.better] == [1, 2]
    assert [point.number for point in points if point.overtaken] == [4]
    assert store.looked_better("c", "seconds", minimize=direction == "minimize") == (2, 1)


def test_the_values_of_another_metric_are_not_taken_for_the_first_run(store):
    fill(store, [discarded(100.0, first=90.0)])
    assert store.points("c", "peak_mb", minimize=True, limit=10)[0].first is None


def test_a_thinned_choice_keeps_the_extremes_of_every_stretch_and_of_every_verdict(store):
    candidates = [discarded(100 + (number * 7919) % 1000 / 10) for number in range(1, 2001)]
    candidates[1234]["value"], candidates[321]["value"] = 1.0, 9999.0
    candidates[777] = {"verdict": "timed_out"}
    fill(store, candidates)
    points = store.points("c", "seconds", minimize=True, limit=200)
    assert len(points) <= 200
    chosen = {point.number for point in points}
    assert {1235, 322, 778} <= chosen
    assert [point.number for point in points] == sorted(chosen)
    for start in range(0, 2000, 200):
        assert any(start <= number < start + 200 for number in chosen)


def test_equal_values_do_not_swell_a_thinned_choice(store):
    fill(store, [discarded(100.0 if number % 2 else 101.0) for number in range(1000)])
    assert len(store.points("c", "seconds", minimize=True, limit=100)) <= 100


def test_a_point_carries_the_beginning_of_a_hypothesis_of_a_megabyte(store):
    fill(store, [discarded(100.0, hypothesis="x" * 1_000_000)])
    assert store.points("c", "seconds", minimize=True, limit=10)[0].hypothesis == "x" * 300


def test_money_by_round_and_the_noise_of_the_newest_confirmation(store):
    fill(store, [discarded(100.0, cost=1.0), discarded(100.0, cost=0.5), kept(90.0, cost=0.25)])
    assert store.cost_by_round("c") == {1: 1.5, 2: 0.25}
    assert store.newest_spread("c") == 0.01
    fill(store, [], id="empty")
    assert store.cost_by_round("empty") == {}
    assert store.newest_spread("empty") is None
    assert store.last_number("empty") == 0


def test_categories_are_told_apart_with_what_each_earned_and_cost(store):
    fill(
        store,
        [
            kept(90.0, category="algorithm", cost=2.0),
            discarded(89.0, category="algorithm", cost=1.0),
            discarded(81.0, category="data", cost=3.0),
            {"verdict": "crashed", "category": "data"},
            discarded(100.0, agent="tuner"),
            {"verdict": "failed", "agent": "local/m"},
        ],
    )
    tallies = store.by_category("c", minimize=True)
    assert [(tally.category, tally.agent, tally.tried, tally.kept) for tally in tallies] == [
        *(("algorithm", "", 2, 1), ("data", "", 2, 0), ("", "local/m", 1, 0), ("", "tuner", 1, 0))
    ]
    algorithm, data, failed, _ = tallies
    assert algorithm.best == algorithm.gain == pytest.approx(0.1)  # its confirmed effect
    assert algorithm.cost_usd == 3.0
    assert (data.best, data.gain) == (None, 0.0)
    assert data.nearest == pytest.approx(0.1)
    assert data.verdicts == {"discarded": 1, "crashed": 1}
    assert failed.nearest is None


def test_a_category_counts_the_candidates_of_all_agents(store):
    mine = ("one", "two", "retry")
    fill(store, [discarded(100.0 - number, category="data", agent=name) for number, name in enumerate(mine)])
    (tally,) = store.by_category("c", minimize=True)
    assert (tally.category, tally.agent, tally.tried) == ("data", "", 3)
    assert tally.nearest == pytest.approx(0.02)


def test_endings_count_what_has_no_score_and_name_the_newest(store):
    fill(
        store,
        [
            {"verdict": "failed", "rule": "verifier", "reason": "first"},
            {"verdict": "failed", "rule": "verifier", "reason": "second"},
            {"verdict": "rejected", "rule": "guardrail", "reason": "outside"},
            discarded(100.0),
        ],
    )
    assert [(item.verdict, item.rule, item.count, item.number, item.reason) for item in store.endings("c")] == [
        *(("failed", "verifier", 2, 2, "second"), ("rejected", "guardrail", 1, 3, "outside"))
    ]


def test_near_misses_come_by_the_gain_of_their_first_run(store):
    fill(store, [discarded(101.0, first=99.0), discarded(101.0, first=95.0), discarded(101.0), discarded(99.0)])
    misses = store.near_misses("c", "seconds", minimize=True, limit=2)
    assert [point.number for point in misses] == [2, 1]


def test_words_of_other_letters_than_ascii_are_found_whatever_their_case(store):
    fill(store, [discarded(100.0, hypothesis="Überlauf vermeiden, im ÄRGSTEN Fall prüfen")])
    for words in ("Überlauf", "überlauf", "ärgsten", "Ärgsten fall", "PRÜFEN", "Vermeiden"):
        assert store.browse("c", search=words).total == 1, words
    assert store.browse("c", search="Ölstand").total == 0
