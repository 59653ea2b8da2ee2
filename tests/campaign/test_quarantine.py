"""Gains that are too good to believe wait for a person."""

import json

import pytest
from support import setting_x, write_source

SPEED = 'echo "METRIC per_second=$X"'
OBJECTIVE = {"metric": "per_second", "direction": "maximize"}


def source(tmp_path, *values, **settings):
    settings = {"search": {"candidates_per_round": 1}, "budget": {"rounds": len(values)}, **settings}
    return write_source(tmp_path, command=SPEED, objective=OBJECTIVE, agent=setting_x(*values), **settings)


@pytest.fixture
def status(loopsmith):
    def read(path):
        return json.loads(loopsmith("status", "-w", path, "--json").out)

    return read


def test_a_timing_gain_above_three_times_is_quarantined_not_kept_and_shown_first(tmp_path, loopsmith, status):
    path = source(tmp_path, 31)
    out = loopsmith("run", path).out
    view = status(path)
    assert view["counts"]["quarantined"] == 1
    assert view["best"]["candidate"] is None
    assert "1 quarantined candidate waits" in out
    shown = loopsmith("show", "1", "-w", path).out
    assert "3.1x is more than guardrails.max_gain (3x)" in shown


def test_a_gain_at_the_limit_and_a_metric_that_is_no_time_are_kept(tmp_path, loopsmith, status):
    assert loopsmith("run", source(tmp_path / "a", 30)).code == 0
    assert status(tmp_path / "a" / "WORKFLOW.md")["best"]["value"] == 30
    other = write_source(tmp_path / "b", agent=setting_x(500), search={"candidates_per_round": 1})
    loopsmith("run", other)
    assert status(other)["best"]["value"] == 500


@pytest.mark.parametrize(("direction", "better", "roofline"), [("maximize", 15, 14.5), ("minimize", 5, 6)])
def test_what_is_beyond_the_roofline_is_quarantined_and_what_is_at_it_is_not(
    tmp_path, loopsmith, direction, better, roofline
):
    for limit, quarantined in ((roofline, 1), (better, 0)):
        path = write_source(
            tmp_path / str(limit),
            objective={"metric": "score", "direction": direction},
            agent=setting_x(better),
            search={"candidates_per_round": 1},
            guardrails={"roofline": limit},
        )
        loopsmith("run", path)
        counts = json.loads(loopsmith("status", "-w", path, "--json").out)["counts"]
        assert (counts["quarantined"], counts["kept"]) == (quarantined, 1 - quarantined)
        shown = loopsmith("show", "1", "-w", path).out
        assert (f"{better} is beyond guardrails.roofline ({limit:g})" in shown) == bool(quarantined)


def test_a_roofline_that_the_baseline_breaks_is_an_error(tmp_path, loopsmith):
    told = loopsmith("run", write_source(tmp_path, guardrails={"roofline": 9}, agent=setting_x(11)))
    assert told.code == 3
    assert "guardrails.roofline is 9, and the baseline is beyond it already" in told.err


def test_an_approved_candidate_becomes_the_baseline_and_the_campaign_goes_on_from_it(tmp_path, loopsmith, status):
    path = source(tmp_path, 40, 41)
    loopsmith("run", path, "--set", "budget.rounds=1")
    result = loopsmith("approve", "1", "-w", path)
    assert result.code == 0, result.err
    assert status(path)["best"]["value"] == 40
    loopsmith("run", path)
    view = status(path)
    assert view["best"]["candidate"] == 2
    assert view["counts"]["kept"] == 2
    assert view["counts"]["quarantined"] == 0


def test_an_approved_candidate_whose_baseline_moved_on_is_tried_again_on_the_new_one(tmp_path, loopsmith, status):
    command = 'echo "METRIC per_second=$((X * Y))"'
    agent = {
        "kind": "scripted",
        "commands": ["sed -i 's/^X=.*/X=50/' program.sh", "sed -i 's/^Y=.*/Y=2/' program.sh", "true", "true"],
    }
    path = write_source(
        tmp_path,
        command=command,
        objective=OBJECTIVE,
        agent=agent,
        search={"candidates_per_round": 1},
        budget={"rounds": 2},
        guardrails={"max_gain": "4x"},
    )
    (tmp_path / "program.sh").write_text("X=10\n\n\n\n\nY=1\n")
    loopsmith("run", path)
    assert status(path)["best"]["value"] == 20
    assert "tried again" in loopsmith("approve", "1", "-w", path).out
    loopsmith("run", path, "--set", "budget.rounds=3", "--set", "guardrails.max_gain=9x")
    view = status(path)
    assert view["best"]["value"] == 100
    assert view["best"]["candidate"] == 3


@pytest.mark.parametrize("values", [(40, 9, 9, 9), (40, 12, 9, 9, 9)], ids=["kept", "tried again"])
def test_an_approval_lets_a_campaign_that_ended_for_want_of_a_keep_go_on(tmp_path, loopsmith, status, values):
    path = source(tmp_path, *values, budget={"rounds": 20, "stall_rounds": 2})
    loopsmith("run", path)
    assert status(path)["campaign"]["stop_reason"] == "stall_rounds"
    before = status(path)["counts"]["candidates"]
    loopsmith("approve", "1", "-w", path)
    assert status(path)["budget"]["stall_rounds"]["used"] == 0
    loopsmith("run", path)
    assert status(path)["counts"]["candidates"] > before
    assert status(path)["campaign"]["stop_reason"] == "stall_rounds"


def test_a_rejected_candidate_stays_out_and_only_a_quarantined_one_can_be_reviewed(tmp_path, loopsmith, status):
    path = source(tmp_path, 99)
    loopsmith("run", path)
    assert loopsmith("reject", "1", "-w", path).code == 0
    view = status(path)
    assert view["counts"]["discarded"] == 1
    assert view["best"]["candidate"] is None
    again = loopsmith("approve", "1", "-w", path)
    assert again.code == 2
    assert "discarded" in again.err


def test_max_gain_is_a_factor_or_auto_or_off(tmp_path, loopsmith, status):
    bad = loopsmith("run", source(tmp_path / "bad", 11, guardrails={"max_gain": "0.5x"}))
    assert bad.code == 2
    assert "3x" in bad.err
    path = source(tmp_path / "off", 99, guardrails={"max_gain": "off"})
    loopsmith("run", path)
    assert status(path)["best"]["value"] == 99
