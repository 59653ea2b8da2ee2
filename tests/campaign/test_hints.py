"""Hints: a person's words in the briefs, and the candidates that took them up."""

import pytest
from agents.player import player
from model_server import by_turn, calls, model_server
from steer import ask, asked_before, events, heard, model, requests, script, store_of, when
from support import run, setting_x, write_source

from loopsmith.campaign.live import asking
from loopsmith.campaign.live.hints import hints, marks, with_marks
from loopsmith.errors import UsageError
from loopsmith.live import HintStatus, RequestKind, RequestStatus
from loopsmith.report import hint_list, show, status

pytestmark = pytest.mark.usefixtures("quick_steering")


def test_a_mark_is_found_in_the_ways_in_which_models_write_it():
    assert marks("(steer 3) fuse the loops") == {3}
    assert marks("[Steer #12] fuse, as (steer 1, 2 and 7) asks") == {1, 2, 7, 12}
    assert marks("steer 3, (steering 4), (steer it)") == set()


@pytest.mark.parametrize("mode", ["tools", "patch"])
def test_a_hint_enters_the_next_briefs_and_is_answered_by_the_candidates_that_take_it_up(tmp_path, mode):
    with model_server(script("a larger X")) as url:
        path = write_source(
            tmp_path,
            agent=model(url, mode=mode),
            search={"candidates_per_round": 1, "plan": False},
            budget={"rounds": 3},
        )
        run(path, before=lambda c: when(c, "candidate.decided", 1, lambda: ask(c, RequestKind.STEER, text="raise X")))
        briefs = [str(body["messages"][1]["content"]) for body in url.requests]
    assert "From a person" not in briefs[0]
    with_hint = [text for text in briefs if "(steer 1) raise X" in text]
    assert with_hint
    assert with_hint[0].index("From a person") < with_hint[0].index("Last candidates")
    assert any("[taken up so far: c2 kept]" in text for text in briefs)
    with store_of(path) as store:
        campaign = store.campaigns()[0]
        (hint,) = hints(store, campaign.id)
        assert [item.number for item in hint.taken][:1] == [2]
        assert hint.taken[0].hypothesis.startswith("(steer 1) a larger X")
        assert "c2 kept, +20.0 %" in hint_list(store, campaign)
        assert "takes up    hint 1 of a person: raise X" in show(store, hint.taken[0], "")
        said = status(store, campaign)["steering"]["hints"]
    assert said[0]["taken"][0] == {"candidate": 2, "status": "kept"}
    assert events(path, "steer.given") == [{"hint": 1, "text": "raise X"}]
    assert {"hint": 1, "text": "raise X"} in events(path, "steer.taken")


def test_a_planner_reads_hints_too_and_its_mark_stays_where_the_worker_forgets_it(tmp_path):
    def worker(body):
        if [tool["function"]["name"] for tool in body["tools"]] == ["plan"]:
            return script("")(body)
        edit = calls(bash={"command": "sed -i 's/^X=.*/X=12/' program.sh"})
        return by_turn([edit, calls(submit={"hypothesis": "words of its own", "summary": "s"})])(body)

    with model_server(worker) as url:
        path = write_source(tmp_path, agent=model(url), search={"plan": True}, roles={"reflector": "off"})
        run(
            path,
            before=lambda c: when(c, "verifier.testing", None, lambda: heard(c, RequestKind.STEER, text="raise X")),
        )
    with store_of(path) as store:
        (hint,) = hints(store, store.campaigns()[0].id)
        assert [item.hypothesis for item in hint.taken] == ["(steer 1) words of its own"]


def test_a_coding_agents_program_takes_a_hint_up_in_its_report_file(tmp_path):
    player(
        tmp_path / "bin",
        "agent",
        "mark=$(grep -o '(steer 1)' | head -1)",
        "sed -i 's/^X=.*/X=12/' program.sh",
        'echo "{\\"hypothesis\\": \\"$mark a larger X\\"}" > "$LOOPSMITH_REPORT"',
        'echo \'{"type": "end"}\'',
    )
    agent = {
        "kind": "cli",
        "argv": [str(tmp_path / "bin" / "agent")],
        "usage": {"events": [{"when": {"type": "end"}, "means": "completed"}]},
    }
    path = write_source(tmp_path / "source", agent=agent, search={"candidates_per_round": 1})
    run(path, before=lambda c: when(c, "verifier.testing", None, lambda: heard(c, RequestKind.STEER, text="raise X")))
    with store_of(path) as store:
        (hint,) = hints(store, store.campaigns()[0].id)
    assert [item.number for item in hint.taken] == [1]


def test_a_hint_waits_for_the_next_run_and_is_gone_from_the_briefs_when_it_is_withdrawn(tmp_path):
    with model_server(script("a larger X")) as url:
        path = write_source(tmp_path, agent=model(url), search={"candidates_per_round": 1, "plan": False})
        run(path)
        first = asked_before(path, kind=RequestKind.STEER, text="raise  X\n\n")
        asked_before(path, kind=RequestKind.STEER, text="another")
        assert first.status is RequestStatus.WAITING
        assert asking.standing(first, False) == (
            "no process runs this campaign; it will be heard when `loopsmith run` goes on"
        )
        del url.requests[:]
        run(path, "budget.rounds=2")
        assert all("(steer 1) raise X" in str(body["messages"]) for body in url.requests)
        asked_before(path, kind=RequestKind.STEER, withdraw=1)
        with pytest.raises(UsageError, match="there is no hint 7"):
            asked_before(path, kind=RequestKind.STEER, withdraw=7)
        del url.requests[:]
        run(path, "budget.rounds=3")
        assert url.requests
        assert all(
            "raise X" not in str(body["messages"]) and "another" in str(body["messages"]) for body in url.requests
        )
    with store_of(path) as store:
        found = hints(store, store.campaigns()[0].id)
    assert [item.status for item in found] == [HintStatus.WITHDRAWN, HintStatus.OPEN]
    with pytest.raises(UsageError, match="withdrawn already"):
        asked_before(path, kind=RequestKind.STEER, withdraw=1)


def test_a_hint_to_agents_that_read_nothing_says_so(tmp_path):
    path = write_source(tmp_path, agent=setting_x(11, 12))
    run(path, before=lambda c: when(c, "verifier.testing", None, lambda: heard(c, RequestKind.STEER, text="raise X")))
    ((_, done, answer),) = requests(path)
    assert done == "done"
    assert "the agent `scripted` reads no brief, so that nobody takes it up" in answer


def test_a_mark_of_a_hint_that_was_never_given_counts_nothing(tmp_path):
    path = write_source(tmp_path, agent=setting_x(11, 12))
    run(path)
    assert with_marks("(steer 9) all", "", ()) == "(steer 9) all"
    with store_of(path) as store:
        assert hints(store, store.campaigns()[0].id) == ()


# Pause and resume.
