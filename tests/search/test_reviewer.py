from datetime import UTC, datetime

import pytest

from loopsmith.lessons import Answer
from loopsmith.records import Candidate, Decision, Status, Verdict
from loopsmith.search.reviewer import Alarms, Review, alarms, request
from loopsmith.workflow import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings.model_validate(
    {
        "objective": {"metric": "score", "direction": "maximize"},
        "workspace": {"editable": ["*.py"]},
        "verify": {"command": "python verify.py"},
        "guardrails": {"freeze": ["SEED"]},
    }
)
FAULT = [{"where": "a.py", "why": "a table of answers"}]


def said(*verdicts):
    return [
        Answer(
            id=number,
            campaign_id="c",
            role="reviewer",
            key=str(number),
            candidate_id="c.1",
            data={"verdict": verdict, "objections": [] if verdict == "pass" else FAULT},
            created_at=NOW,
        )
        for number, verdict in enumerate(verdicts)
    ]


def record(verdicts, verdict, rule="pooled"):
    candidate = Candidate(
        id="c.1",
        campaign_id="c",
        round_id="c.r1",
        number=1,
        status=Status(verdict),
        seed=1,
        agent="a",
        parent_commit="p",
        created_at=NOW,
        updated_at=NOW,
    )
    return alarms(said(*verdicts), {"c.1": candidate}, {"c.1": Decision(verdict=verdict, reason="", rule=rule)})


@pytest.mark.parametrize(
    ("verdicts", "verdict", "rule", "expected"),
    [
        (["pass"], Verdict.KEPT, "pooled", Alarms(reviewed=1)),
        (["send_back", "pass"], Verdict.KEPT, "pooled", Alarms(reviewed=1, objected=1)),
        (["reject"], Verdict.REJECTED, "review", Alarms(reviewed=1, objected=1, rejected=1)),
        (["reject"], Verdict.DISCARDED, "screen", Alarms(reviewed=1, objected=1, measured=1)),
        (["reject"], Verdict.QUARANTINED, "pooled", Alarms(reviewed=1, objected=1, measured=1, waiting=1)),
        (["reject"], Verdict.KEPT, "approved", Alarms(reviewed=1, objected=1, measured=1, false_alarms=1)),
        (["reject"], Verdict.DISCARDED, "approved", Alarms(reviewed=1, objected=1, measured=1, false_alarms=1)),
        (["reject"], Verdict.DISCARDED, "rejected", Alarms(reviewed=1, objected=1, measured=1)),
        (["send_back"], Verdict.KEPT, "pooled", Alarms(reviewed=1, objected=1, measured=1, false_alarms=1)),
        (["send_back"], Verdict.DUPLICATE, "content", Alarms(reviewed=1, objected=1)),
    ],
)
def test_an_objection_is_counted_by_what_became_of_the_candidate(verdicts, verdict, rule, expected):
    assert record(verdicts, verdict, rule) == expected


def test_a_reviewer_sees_rules_claim_files_patch_and_its_own_record():
    before = {"a.py": "x = 1\n", "b.py": "y" * 40_000}
    text = request(SETTINGS, "x is faster", before, "+x = 2", Alarms(measured=4, false_alarms=3))
    for part in ("maximize `score`", "`SEED`", "x is faster", "x = 1", "+x = 2", "of 4 patches", "3 turned out"):
        assert part in text, part
    assert "more characters]" in text
    assert len(text) < 36_000
    assert "Your record" not in request(SETTINGS, "x", before, "+x = 2", Alarms())


def test_a_verdict_in_other_letters_is_understood():
    assert Review.model_validate({"verdict": "Send back", "objections": FAULT}).verdict == "send_back"
