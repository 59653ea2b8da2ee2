"""What is asked of a campaign, what goes on in it, and the list of its candidates."""

from datetime import UTC, datetime, timedelta

import pytest

from loopsmith.errors import UsageError
from loopsmith.live import Activity, Doing, RequestKind, RequestStatus
from loopsmith.records import Decision, Effect, Reflection, Report, Slot, Status, Usage, Verdict
from loopsmith.tracker.browse import CUT, SortKey

MOMENT = datetime(2026, 1, 2, 3, tzinfo=UTC)


def doing(subject: str, text: str = "reads", seconds: int = 0, **values: object) -> Activity:
    fields = {"campaign_id": "c", "subject": subject, "doing": Doing.WORKING, "text": text, "updated_at": MOMENT}
    return Activity(**{**fields, "since": MOMENT + timedelta(seconds=seconds), **values})


def test_a_request_waits_until_it_is_answered_once(store, start):
    start(store)
    first = store.ask("c", RequestKind.STEER, {"text": "fuse the loops \0"}, by="terminal")
    second = store.ask("c", RequestKind.PAUSE, by="page")
    assert store.requests("c", status=RequestStatus.WAITING) == (store.request(first.id), second)
    assert store.answer_request(first.id, RequestStatus.DONE, "it enters the next briefs")
    assert not store.answer_request(first.id, RequestStatus.REFUSED, "too late")
    answered = store.request(first.id)
    assert (answered.status, answered.answer) == (RequestStatus.DONE, "it enters the next briefs")
    assert answered.answered_at >= answered.created_at
    assert store.requests("c", status=RequestStatus.WAITING) == (second,)
    assert store.requests("c", kinds=[RequestKind.STEER], newest_first=True, limit=1) == (answered,)


def test_an_answer_comes_with_its_event_and_its_settings_or_with_neither(store, start):
    start(store)
    request = store.ask("c", RequestKind.SET, {"key": "x", "value": "1"}, by="terminal")
    event = ("setting.changed", {"key": "x"})
    assert store.answer_request(request.id, RequestStatus.DONE, "x is 1", event=event, settings={"x": 1})
    assert not store.answer_request(request.id, RequestStatus.DONE, "again", event=event, settings={"x": 2})
    assert store.campaign("c").settings == {"x": 1}
    assert [(item.name, item.data) for item in store.events("c")] == [event]


def test_candidates_are_found_by_what_their_hypothesis_holds(many):
    assert [item.number for item in many.marked("c", "OF 100%")] == [1, 2, 3, 4]
    assert many.marked("c", "of 1__%") == ()
    assert many.marked("other", "idea") == ()


def test_a_request_that_nobody_made_is_not_found(store, start):
    start(store)
    with pytest.raises(UsageError, match="no request 7"):
        store.request(7)


def test_what_goes_on_is_rewritten_by_subject(store, start):
    start(store)
    store.set_activity("c", [doing("c1"), doing("c2", seconds=1, lease=("core 3", "GPU 0"))], ended=())
    store.set_activity("c", [doing("c1", "edits")], ended=["c3"])
    assert [(each.subject, each.text, each.lease) for each in store.activity("c")] == [
        ("c1", "edits", ()),
        ("c2", "reads", ("core 3", "GPU 0")),
    ]
    store.set_activity("c", [doing("c4")], ended=["c2"])
    assert [each.subject for each in store.activity("c")] == ["c1", "c4"]
    store.set_activity("c")
    assert store.activity("c") == ()


def test_what_goes_on_elsewhere_is_left_alone(store, start):
    start(store)
    start(store, id="other", workflow_path="/elsewhere/WORKFLOW.md")
    store.set_activity("other", [doing("c1", campaign_id="other")])
    store.set_activity("c")
    assert [each.subject for each in store.activity("other")] == ["c1"]


@pytest.fixture
def many(store, start):
    """Six candidates: two discarded with values and costs, one kept, one rejected without a value, two planned."""
    start(store)
    slots = [Slot(seed=n, agent="tuner", plan={"category": "loops"} if n == 1 else {}) for n in range(1, 7)]
    _, candidates = store.plan_round("c", task_id="c.t1", baseline_commit="0" * 40, slots=slots)
    ends = ((1, Verdict.DISCARDED, 3.0, 0.1), (2, Verdict.KEPT, 5.0, 0.3), (3, Verdict.DISCARDED, 4.0, None))
    for number, verdict, value, effect in (*ends, (4, Verdict.REJECTED, None, None)):
        candidate = candidates[number - 1]
        store.claim(candidate.id)
        report = Report(finish_reason="submitted", hypothesis=f"idea {number} of 100%", summary="x" * 10)
        if value is not None:
            store.submit(
                candidate.id,
                commit=str(number) * 40,
                tree=str(number) * 40,
                lines_added=number,
                lines_removed=0,
                report=report,
            )
            store.begin_verification(candidate.id)
            if verdict is Verdict.KEPT:
                store.screened(candidate.id, value)
                store.begin_confirmation(candidate.id)
        found = effect and Effect(mean=effect, low=0.0, high=1.0, samples=3)
        decision = Decision(verdict=verdict, reason="r" * 1000, effect=found or None, value=value)
        reflection = Reflection(campaign_id="c", candidate_id=candidate.id, hypothesis="h", outcome=verdict)
        new_baseline = str(number) * 40 if verdict is Verdict.KEPT else None
        store.decide(candidate.id, decision, reflection, report=report, new_baseline=new_baseline)
        row = store.reserve(
            campaign_id="c",
            round_id=candidate.round_id,
            candidate_id=candidate.id,
            usage=Usage(role="worker", model="m", input_tokens=10, output_tokens=number, cost_usd=1 / number),
        )
        assert row
    return store


def numbers(store, **options):
    return [row.number for row in store.browse("c", **options).rows]


def test_the_newest_come_first_and_pages_follow_each_other(many):
    assert numbers(many) == [6, 5, 4, 3, 2, 1]
    assert numbers(many, limit=2, offset=4) == [2, 1]
    assert many.browse("c", limit=2, offset=4).total == 6
    assert many.browse("c", limit=2, offset=40).rows == ()


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        (SortKey.NUMBER, False, [1, 2, 3, 4, 5, 6]),
        (SortKey.VALUE, True, [2, 3, 1, 6, 5, 4]),
        (SortKey.VALUE, False, [1, 3, 2, 6, 5, 4]),
        (SortKey.EFFECT, True, [2, 1, 6, 5, 4, 3]),
        (SortKey.COST, True, [1, 2, 3, 4, 6, 5]),
        (SortKey.LINES, True, [3, 2, 1, 6, 5, 4]),
        (SortKey.STATUS, False, [3, 1, 2, 6, 5, 4]),
    ],
)
def test_what_has_no_value_comes_last_either_way(many, sort, descending, expected):
    assert numbers(many, sort=sort, descending=descending) == expected


def test_candidates_are_filtered_and_searched(many):
    assert numbers(many, statuses=[Status.DISCARDED]) == [3, 1]
    assert numbers(many, statuses=[]) == []
    assert numbers(many, search="IDEA 2") == [2]
    assert numbers(many, search="c3") == [3]
    assert numbers(many, search="tuner idea", statuses=[Status.REJECTED]) == [4]
    assert many.browse("c", search="idea", limit=1).total == 4
    assert numbers(many, search="100%") == [4, 3, 2, 1]
    assert numbers(many, search="i_ea") == []


def test_a_row_says_what_a_list_shows(many):
    (row,) = many.browse("c", search="c2").rows
    assert (row.round, row.status, row.value, row.effect.mean, row.lines_added) == (1, Status.KEPT, 5.0, 0.3, 2)
    assert (row.cost_usd, row.tokens, len(row.reason), row.category) == (0.5, 12, CUT, "")
    (first,) = many.browse("c", search="c1").rows
    assert first.category == "loops"
    (planned,) = many.browse("c", search="c6").rows
    assert (planned.reason, planned.cost_usd, planned.tokens, planned.effect) == ("", 0.0, 0, None)
