"""What roles said, and lessons: written once, with the money, whatever the backend."""

import pytest

from loopsmith.errors import TrackerError
from loopsmith.lessons import Learned, LessonKind
from loopsmith.records import Usage

CALL = Usage(role="planner", model="m", input_tokens=10, output_tokens=5, cost_usd=0.5)
REAL = Usage(role="planner", model="m", input_tokens=8, output_tokens=2, cost_usd=0.1)


def reserve(store):
    return store.reserve(campaign_id="c", round_id=None, candidate_id=None, usage=CALL)


def test_an_answer_and_its_cost_are_one_transaction(store, start):
    start(store)
    row = reserve(store)
    with pytest.raises(TrackerError):
        store.record_answer("c", "planner", "r1", {"a": 1}, settlements=[(row, REAL), (row + 1, REAL)])
    assert store.answer("c", "planner", "r1") is None
    assert store.spent("c").cost_usd == 0.5, "neither was written"
    store.record_answer("c", "planner", "r1", {"a": 1}, settlements=[(row, REAL)])
    assert store.answer("c", "planner", "r1").data == {"a": 1}
    assert store.spent("c").cost_usd == 0.1


def test_the_first_answer_to_a_question_stands(store, start):
    start(store)
    store.record_answer("c", "planner", "r1", {"a": 1})
    assert store.record_answer("c", "planner", "r1", {"a": 2}).data == {"a": 1}
    assert store.record_answer("c", "planner", "r2", {}).data == {}
    assert [item.key for item in store.answers("c", role="planner")] == ["r1", "r2"]
    assert store.answers("c", role="reviewer") == ()


def test_the_ledger_sums_by_role(store, start):
    start(store)
    reserve(store)
    store.reserve(campaign_id="c", round_id=None, candidate_id=None, usage=Usage(role="worker", model="m", cost_usd=2))
    assert store.spent("c", role="planner").cost_usd == 0.5
    assert store.spent("c").cost_usd == 2.5


def test_lessons_have_evidence_in_order_and_are_learned_once(store, start, plan):
    start(store)
    one, two, three = plan(store, size=3)
    answer = store.record_answer("c", "reflector", "r1", {"findings": []})
    new = ((LessonKind.LESSON, "x helps", (two.id, one.id)), (LessonKind.DEAD_END, "y does not", (three.id,)))
    assert store.learn(answer, Learned(new=new))
    assert not store.learn(answer, Learned(new=new))
    assert [(item.text, item.numbers) for item in store.lessons("c")] == [("x helps", (1, 2)), ("y does not", (3,))]
    assert store.answer("c", "reflector", "r1").used


def test_a_retired_lesson_stays_with_the_candidate_that_contradicts_it(store, start, plan):
    start(store)
    one, two = plan(store, size=2)
    first = store.record_answer("c", "reflector", "r1", {})
    store.learn(first, Learned(new=((LessonKind.IDEA, "try z", (one.id,)),)))
    (lesson,) = store.lessons("c")
    again = Learned(shown=((lesson.id, two.id), (lesson.id, one.id)), retired=((lesson.id, two.id, "z was tried"),))
    store.learn(store.record_answer("c", "reflector", "r2", {}), again)
    assert store.lessons("c") == ()
    (kept,) = store.lessons("c", retired=True)
    assert (kept.evidence, kept.retired_by, kept.retired_because) == ((one.id, two.id), two.id, "z was tried")


def test_lessons_of_other_campaigns_are_not_shown(store, start, plan):
    start(store)
    start(store, "d")
    (one,) = plan(store, "d")
    store.learn(store.record_answer("d", "reflector", "r1", {}), Learned(new=((LessonKind.IDEA, "q", (one.id,)),)))
    assert store.lessons("c") == ()
    assert len(store.lessons("d")) == 1
