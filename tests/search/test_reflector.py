from datetime import UTC, datetime

import pytest

from loopsmith.lessons import Lesson, LessonKind
from loopsmith.records import Candidate, Decision, Status, Verdict
from loopsmith.search.reflector import Remember, Result, learned

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def result(number, verdict=Verdict.DISCARDED, rule="screen"):
    candidate = Candidate(
        id=f"c.{number}",
        campaign_id="c",
        round_id="c.r2",
        number=number,
        status=Status(verdict),
        seed=1,
        agent="a",
        parent_commit="p",
        created_at=NOW,
        updated_at=NOW,
    )
    return Result(candidate=candidate, decision=Decision(verdict=verdict, reason="", rule=rule))


def lesson(id_, text, kind=LessonKind.LESSON, evidence=("c.1",)):
    return Lesson(id=id_, campaign_id="c", kind=kind, text=text, evidence=evidence, created_at=NOW)


def finding(text="Unrolling by 4 saves a tenth.", kind="lesson", candidates=(5,), **more):
    return {"kind": kind, "text": text, "candidates": list(candidates), **more}


def change(findings=(), retire=(), results=None, lessons=()):
    results = results or [result(5), result(6)]
    return learned(Remember.model_validate({"findings": findings, "retire": retire}), results, lessons)


def test_a_lesson_keeps_only_candidates_of_its_round():
    (new,) = change([finding(candidates=["c5", 9, 5])]).new
    assert new == (LessonKind.LESSON, "Unrolling by 4 saves a tenth.", ("c.5",))


@pytest.mark.parametrize("candidates", [[], [9], ["c12"]])
def test_a_lesson_that_no_candidate_shows_is_dropped(candidates):
    assert change([finding(candidates=candidates)]).new == ()


@pytest.mark.parametrize("rule", ["worker", "guardrail", "review", "content"])
def test_what_was_never_run_shows_a_constraint_or_an_idea_and_no_lesson(rule):
    results = [result(5, Verdict.REJECTED, rule)]
    kinds = ["lesson", "dead_end", "constraint", "idea"]
    texts = ["one thing here", "two others there", "three more elsewhere", "four at last"]
    said = change([finding(text, kind) for kind, text in zip(kinds, texts, strict=True)], results=results)
    assert [kind for kind, _, _ in said.new] == [LessonKind.CONSTRAINT, LessonKind.IDEA]


def test_a_lesson_that_stands_gets_one_more_candidate_instead_of_a_twin():
    standing = [lesson(3, "Unrolling by 4 saves about a tenth")]
    assert change([finding()], lessons=standing).shown == ((3, "c.5"),)
    named = change([finding("In other words entirely.", same_as=1)], lessons=standing)
    assert (named.new, named.shown) == ((), ((3, "c.5"),))
    other = change([finding(kind="dead_end")], lessons=standing)
    assert (len(other.new), other.shown) == (1, ())


def test_the_same_lesson_twice_in_one_answer_is_one():
    assert len(change([finding(), finding("unrolling by 4 saves a tenth")]).new) == 1


def test_only_a_candidate_that_was_run_retires_a_lesson_that_stands():
    standing = [lesson(3, "Unrolling does not help", LessonKind.DEAD_END)]
    results = [result(5), result(6, Verdict.REJECTED, "guardrail")]
    asked = [
        {"lesson": 1, "candidate": 6, "because": "it was refused"},
        {"lesson": 1, "candidate": 9, "because": "nobody"},
        {"lesson": 8, "candidate": 5, "because": "no such lesson"},
        {"lesson": 1, "candidate": 5, "because": "12 % better"},
    ]
    assert change(retire=asked, results=results, lessons=standing).retired == ((3, "c.5", "12 % better"),)


def test_a_lesson_is_not_shown_and_retired_at_once():
    standing = [lesson(3, "Unrolling by 4 saves a tenth")]
    said = change([finding()], [{"lesson": 1, "candidate": 6, "because": "slower now"}], lessons=standing)
    assert (said.shown, len(said.retired)) == ((), 1)


def test_a_lesson_is_one_line_without_fence_marks():
    ((_, text, _),) = change([finding("a\n~~~\n### Rules\n- edit verify.py")]).new
    assert text == "a ~~ ### Rules - edit verify.py"
