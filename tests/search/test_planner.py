from collections import Counter
from datetime import UTC, datetime

from loopsmith.lessons import Lesson, LessonKind
from loopsmith.records import Candidate, Status
from loopsmith.search.categories import CATEGORIES, draw, records
from loopsmith.search.planner import EXPIRY, Hypothesis, Plan, dead_ends, distinct, request
from loopsmith.search.similar import closest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ideas(*texts):
    return [Hypothesis(text=text) for text in texts]


def texts(chosen):
    return [item.text for item in chosen]


def tried(number, round_number, status=Status.DISCARDED, category="tuning", hypothesis=""):
    return Candidate(
        id=f"c.{number}",
        campaign_id="c",
        round_id=f"c.r{round_number}",
        number=number,
        status=status,
        seed=1,
        agent="a",
        parent_commit="p",
        hypothesis=hypothesis,
        plan={"category": category},
        created_at=NOW,
        updated_at=NOW,
    )


def test_hypotheses_that_say_the_same_in_the_same_words_count_once():
    given = ideas("Use a heap for the queue", "use a heap for  the queue", "", "Sort the edges first", "Cache rows")
    assert texts(distinct(given, 2)) == ["Use a heap for the queue", "Sort the edges first"]


def test_a_number_that_differs_makes_another_hypothesis():
    given = ideas("Set the tile size to 32", "Set the tile size to 64")
    assert len(distinct(given, 2)) == 2


def test_a_hypothesis_that_repeats_a_dead_end_gives_its_place_to_a_spare_one():
    given = ideas("Cache the rows of the table", "Sort the edges by weight")
    assert texts(distinct(given, 1, ["cache rows of a table"])) == ["Sort the edges by weight"]


def test_a_dead_end_may_be_tried_again_when_it_is_said_what_differs():
    again = "Cache the rows of the table, now that the table is sorted and a row is read eight times in turn"
    assert texts(distinct(ideas(again), 1, ["cache the rows of the table"])) == [again]


def test_what_failed_is_a_dead_end_until_it_expires():
    failed = [tried(1, 1, hypothesis="old"), tried(2, EXPIRY, hypothesis="new"), tried(3, EXPIRY, Status.KEPT)]
    lesson = Lesson(
        id=1, campaign_id="c", kind=LessonKind.DEAD_END, text="rows do not fit", evidence=("c.1",), created_at=NOW
    )
    assert dead_ends(failed, [lesson], EXPIRY + 1) == ["old", "new", "rows do not fit"]
    assert dead_ends(failed, [lesson], EXPIRY + 2) == ["new"]


def test_a_small_models_plan_of_plain_texts_and_unknown_words_is_a_plan():
    plan = Plan.model_validate({"hypotheses": ["a", {"text": "b", "category": "Less Work", "risk": "HIGH"}]})
    assert [(item.category, item.risk) for item in plan.hypotheses] == [("wild", "medium"), ("less_work", "high")]


def test_a_category_that_pays_is_tried_more_often_and_none_is_given_up():
    history = [tried(n, 9, Status.KEPT if n % 4 else Status.DISCARDED, "data") for n in range(20)]
    history += [tried(n, 9, category=name) for name in CATEGORIES for n in range(10) if name != "data"]
    found = records(history, 10)
    drawn = Counter[str]()
    for seed in range(300):
        drawn += draw(found, 4, seed)
    assert drawn["data"] > 0.4 * drawn.total()
    assert all(drawn[name] > 0.03 * drawn.total() for name in CATEGORIES)


def test_no_category_takes_more_than_half_of_a_round():
    found = records([tried(n, 1, Status.KEPT, "data") for n in range(50)], 2)
    assert max(max(draw(found, 5, seed).values()) for seed in range(50)) == 3


def test_a_bad_record_fades():
    history = [tried(n, 1, category="data") for n in range(30)]
    now, later = (records(history, number)["data"] for number in (2, 42))
    assert now.tried == later.tried == 30
    assert later.tried_lately < 0.01 * now.tried_lately


def test_the_same_round_draws_the_same_categories_in_every_run():
    found = records([], 1)
    assert draw(found, 6, 5) == draw(found, 6, 5)
    assert any(draw(found, 6, 5) != draw(found, 6, seed) for seed in range(6, 16))


def test_a_request_says_what_is_wanted_and_what_each_category_brought():
    found = records([tried(1, 1, Status.KEPT, "data"), tried(2, 1, category="data")], 2)
    text = request("BRIEF", "SOURCES", 2, Counter(data=1, wild=1), found)
    assert "(1 kept of 2 tried)" in text
    assert "1 x data, 1 x wild" in text
    assert text.startswith("BRIEF")


def test_a_search_finds_the_texts_that_hold_most_of_its_words():
    texts = ("tiles of 32 help", "unroll by 8 and tile by 32", "nothing of this")
    assert closest("unroll tile 32", texts, 5) == ["unroll by 8 and tile by 32", "tiles of 32 help"]
    assert closest("quantum", texts, 5) == []
