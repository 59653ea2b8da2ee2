"""A campaign summed up in SQL says what counting by hand says."""

from collections import Counter

import pytest
from serving import decide, fill, start

from loopsmith.live import Activity, Doing, RequestKind
from loopsmith.records import Slot, Status, Usage, Verdict


@pytest.fixture
def filled(store, tmp_path):
    """`fill`'s campaign, and another one in the same tracker that must not show."""
    fill(store, tmp_path)
    start(store, tmp_path, "d")
    _, (other,) = store.plan_round("d", task_id="d.t1", baseline_commit="0" * 40, slots=[Slot(seed=1, agent="tuner")])
    decide(store, other, Verdict.DISCARDED, value=1.0)
    return store


def test_the_decision_mix_has_every_decision_once_whatever_the_number_of_parts(filled):
    expected = Counter({"discarded": 2, "kept": 1, "failed": 1, "quarantined": 1})
    for bins in (1, 2, 40):
        mix = filled.decision_mix("c", bins)
        assert len(mix) <= bins
        assert sum(map(Counter, mix), Counter()) == expected
    assert filled.decision_mix("c", 40)[0] == {"kept": 1}
    assert filled.decision_mix("nobody") == ()


def test_spending_is_by_rounds_and_adds_up_to_the_ledger(filled):
    row = filled.reserve(
        campaign_id="c", round_id=None, candidate_id=None, usage=Usage(role="profile", model="m", cost_usd=0.5)
    )
    assert row
    parts = filled.spending("c")
    assert [(part.first, part.last, part.calls) for part in parts] == [(0, 0, 1), (1, 1, 4), (2, 2, 1)]
    assert sum(part.cost_usd for part in parts) == pytest.approx(filled.spent("c").cost_usd)
    assert sum(part.tokens for part in parts) == filled.spent("c").tokens
    assert parts[0].at is None
    assert parts[0].seconds == 0
    assert [(part.first, part.last) for part in filled.spending("c", bins=1)] == [(0, 0), (1, 2)]
    assert filled.spending("nobody") == ()


def test_a_category_earned_what_of_it_was_kept_and_cost_what_its_calls_did(filled):
    loops = next(each for each in filled.by_category("c", minimize=False) if each.category == "loops")
    assert (loops.tried, loops.kept) == (4, 1)
    assert (loops.gain, loops.best) == (pytest.approx(0.1), pytest.approx(0.1))
    assert loops.cost_usd == pytest.approx(0.8)


def test_the_search_tree_holds_what_was_kept_and_what_started_elsewhere_with_its_parent(filled):
    found = filled.branches("c")
    assert [(branch.number, branch.status) for branch in found] == [
        (1, Status.KEPT),
        (2, Status.DISCARDED),
        (5, Status.DISCARDED),
    ]
    assert found[2].parent == found[1].commit != found[2].baseline
    assert found[0].hypothesis == "idea 1"
    assert found[0].effect == pytest.approx(0.1)
    assert [branch.number for branch in filled.branches("c", limit=0)] == []
    tried = filled.started_from("c")
    assert tried["0" * 40] == {"kept": 1, "discarded": 1, "failed": 1, "quarantined": 1}
    assert tried[found[1].commit] == {"discarded": 1}


def test_a_version_changes_with_whatever_a_page_shows(filled):
    seen = [filled.version("c")]

    def changed() -> bool:
        seen.append(filled.version("c"))
        return seen[-1] != seen[-2]

    assert not changed()
    filled.record_event("c", "test.happened")
    assert changed()
    request = filled.ask("c", RequestKind.PAUSE, by="page")
    assert changed()
    filled.answer_request(request.id, "done", "paused")
    assert changed()
    moment = filled.campaign("c").created_at
    doing = Activity(campaign_id="c", subject="c6", doing=Doing.WORKING, text="x", since=moment, updated_at=moment)
    filled.set_activity("c", [doing])
    assert changed()
    filled.set_activity("c")
    assert changed()
    filled.record_event("d", "test.happened")
    assert not changed()
    assert filled.version("nobody") is None


def test_events_and_reflection_of_one_candidate(filled):
    candidate = filled.candidate("c.1")
    filled.record_event("c", "test.happened", candidate_id="c.1")
    assert [event.name for event in filled.candidate_events(candidate)][-1] == "test.happened"
    assert {event.candidate_id for event in filled.candidate_events(candidate)} == {"c.1"}
    assert filled.reflection_of("c.1").hypothesis == "idea 1"
    assert filled.reflection_of("c.6") is None
    newest = filled.events("c", limit=3, newest_first=True)
    assert filled.events_before("c", None, 2) == newest[:2]
    assert filled.events_before("c", newest[1].id, 1) == newest[2:]
    assert filled.current()
