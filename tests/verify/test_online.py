"""The campaign's error over its tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopsmith.records import Decision, Verdict
from loopsmith.verify.online import level, next_level


def test_the_levels_of_a_campaign_without_a_keep_sum_to_at_most_alpha():
    assert 0.03 < sum(level(0.05, tests, 0) for tests in range(100_000)) < 0.05


@given(st.floats(0.001, 0.5), st.integers(0, 500), st.integers(0, 20))
def test_a_level_grows_with_keeps_shrinks_with_tests_and_stays_below_that_of_the_interval(alpha, tests, keeps):
    assert level(alpha, tests + 1, keeps) <= level(alpha, tests, keeps) <= level(alpha, tests, keeps + 1) <= 0.025


def test_the_ledger_is_read_from_decisions_and_only_tests_count():
    tested = {"level": 0.01}
    decisions = [
        Decision(verdict=Verdict.DISCARDED, reason="", rule="screen"),
        Decision(verdict=Verdict.DISCARDED, reason="", rule="pooled", evidence=tested),
        Decision(verdict=Verdict.KEPT, reason="", rule="approved", evidence=tested),
        Decision(verdict=Verdict.QUARANTINED, reason="", rule="pooled", evidence=tested),
    ]
    number, found = next_level(0.05, decisions)
    assert number == 4
    assert found == pytest.approx(level(0.05, 3, 1))
