"""Actions of the page: the same as on the command line."""

import time

import pytest
from serving import TOKEN

from loopsmith.records import Status
from loopsmith.tracker import open_store

BEARER = {"authorization": f"Bearer {TOKEN}"}
ADDRESS = "/api/v1/campaigns/c/requests"


@pytest.fixture
def acting(serve, state):
    return serve(state, control=True)


def test_a_hint_waits_for_the_next_run_and_is_a_persons(acting, state):
    for _ in range(300):  # what is made before the hint is given must not be shown after it
        if 'http-equiv="refresh"' not in acting.ask("/c/c").text:
            break
        time.sleep(0.1)
    asked = acting.send(ADDRESS, {"kind": "steer", "data": {"text": "fuse  the loops"}}, **BEARER).json()
    assert asked["request"]["data"] == {"text": "fuse the loops"}
    assert asked["request"]["by"] == "page"
    assert "no process runs this campaign" in asked["said"]
    found = acting.ask(f"{ADDRESS}/{asked['request']['id']}").json()
    assert found == asked["request"]
    with open_store(state / "tracker.db", read_only=True) as store:
        assert [request.data for request in store.requests("c")] == [{"text": "fuse the loops"}]
    for _ in range(300):  # a page may come in parts
        page = acting.ask("/c/c").text
        if page.count("fuse the loops") == 2:  # as a hint, and as a request
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"the hint is not on the page twice:\n{page}")


def test_a_quarantined_candidate_is_rejected_by_a_person_on_the_page(acting, state):
    cookie = acting.post("/login", {"token": TOKEN}).headers["set-cookie"].partition(";")[0]
    page = acting.ask("/c/c", cookie=cookie).text
    assert "Reject c4" in page
    done = acting.post("/c/c/ask", {"kind": "reject", "candidate": "4"}, cookie=cookie)
    assert (done.status, done.headers["location"].partition("#")[0]) == (303, "/c/c")
    with open_store(state / "tracker.db", read_only=True) as store:
        assert store.candidate("c.4").status is Status.DISCARDED
    again = acting.post("/c/c/ask", {"kind": "reject", "candidate": "4"}, cookie=cookie)
    assert again.status == 409
    assert "quarantine" in again.text


@pytest.mark.parametrize("kind", ["stop", "pause", "resume"])
def test_what_needs_a_process_is_refused_without_one(acting, kind):
    answer = acting.send(ADDRESS, {"kind": kind}, **BEARER)
    assert answer.status == 409
    assert "no process runs" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"kind": "steer", "data": {"text": " "}}, 409, "a hint needs words"),
        ({"kind": "steer", "data": {"withdraw": "²"}}, 409, "there is no hint ²"),
        ({"kind": "steer", "data": {"withdraw": "9" * 5000}}, 409, "there is no hint 999"),
        ({"kind": "steer", "data": {"withdraw": None}}, 409, "there is no hint None"),
        ({"kind": "dance"}, 400, "kind"),
        ({"kind": "approve", "data": {"candidate": "1"}}, 409, "1"),
        ({"kind": "approve", "data": {"candidate": "99"}}, 409, "99"),
        ({"kind": "set", "data": {"key": "budget.rounds", "value": "many"}}, 409, "budget.rounds"),
        ({"kind": "steer", "data": {"text": "x"}, "more": 1}, 400, "more"),
        ([], 400, "object"),
    ],
)
def test_a_wrong_wish_is_refused_with_the_reason(acting, wish, status, words):
    answer = acting.send(ADDRESS, wish, **BEARER)
    assert answer.status == status
    assert words in answer.json()["detail"]


def test_a_tracker_that_cannot_be_written_is_said(acting, state, monkeypatch):
    (state / "tracker.db").rename(state / "gone.db")
    answer = acting.send(ADDRESS, {"kind": "steer", "data": {"text": "x"}}, **BEARER)
    assert answer.status == 503
    assert not (state / "tracker.db").exists()
