"""The transition table itself."""

import pytest

from loopsmith.errors import IllegalTransition
from loopsmith.records import Status, Verdict
from loopsmith.tracker.states import RELEASES, TRANSITIONS, allows, require, sources


def test_the_table_has_every_state():
    assert set(TRANSITIONS) == set(Status)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_is_final_but_for_a_quarantine_and_can_be_reached(verdict):
    after = {Status.KEPT, Status.DISCARDED} if verdict is Verdict.QUARANTINED else set()
    assert TRANSITIONS[Status(verdict)] == after
    assert sources(Status(verdict))


def test_nothing_is_kept_before_it_was_confirmed():
    assert sources(Status.KEPT) == (Status.CONFIRMING, Status.QUARANTINED)
    assert sources(Status.QUARANTINED) == (Status.CONFIRMING,)


def test_what_a_kill_leaves_busy_can_be_taken_back():
    assert set(RELEASES) == {Status.RUNNING, Status.VERIFYING, Status.CONFIRMING}
    assert all(allows(before, busy) and not allows(busy, before) for busy, before in RELEASES.items())


def test_an_illegal_step_names_candidate_state_and_asked_state():
    with pytest.raises(IllegalTransition, match=r"candidate c\.7 is kept and cannot become running: kept is final"):
        require(Status.KEPT, Status.RUNNING, candidate="c.7")
    with pytest.raises(IllegalTransition, match="planned and cannot become kept: only running may follow"):
        require(Status.PLANNED, Status.KEPT)
