"""What goes on now, as another process sees it."""

import asyncio
import sqlite3
import threading
from functools import partial

from support import run, setting_x, write_source

from loopsmith import workflow
from loopsmith.campaign import clock, opening
from loopsmith.campaign.live import activity
from loopsmith.campaign.live.board import Board
from loopsmith.live import Doing
from loopsmith.tracker import open_store


def test_a_subject_goes_back_to_what_it_did_before():
    board = Board("c")
    board.put("c1", Doing.WORKING, "reads\nkernel.c", candidate_id="c.1")
    first = board.now["c1"]
    board.put("c1", Doing.WORKING, "edits", candidate_id="c.1")
    assert (board.now["c1"].since, board.now["c1"].text) == (first.since, "edits")
    before = board.now["c1"]
    board.put("c1", Doing.MEASURING, "a probe", candidate_id="c.1", lease=("core 1",))
    assert board.now["c1"].since >= before.updated_at
    board.end("c1", before)
    assert (board.now["c1"].doing, board.now["c1"].text, board.now["c1"].lease) == (Doing.WORKING, "edits", ())
    board.end("c1")
    assert board.now == {}


def test_another_process_sees_who_holds_the_machine_and_who_waits(tmp_path):
    path = write_source(
        tmp_path, command='sleep 0.8; echo "METRIC score=$X"', agent=setting_x(8, 9), calibrate={"runs": 2}
    )
    seen, over = [], threading.Event()

    def look(context):
        def body():
            with open_store(context.state.tracker, read_only=True) as store:
                while not over.wait(0.05):
                    seen.append(store.activity(context.id))

        threads.append(threading.Thread(target=body))
        threads[0].start()

    threads = []
    try:
        run(path, before=look)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    held = [{each.subject: (each.doing, each.text, each.lease) for each in now} for now in seen]
    assert any(now.get("baseline") == (Doing.MEASURING, "baseline run 1, baseline", ("all cores",)) for now in held)
    waiting, measuring = (Doing.QUEUED, "screen run 1, candidate", ()), (Doing.MEASURING, "screen run 1, candidate")
    assert any(
        waiting in now.values() and any(said[:2] == measuring for said in now.values() if said[2] == ("all cores",))
        for now in held
    )
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        assert store.activity(store.campaigns()[0].id) == ()


def test_a_tracker_that_was_locked_for_a_moment_stops_neither_the_clock_nor_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "open_store", partial(open_store, busy_timeout=0.05))
    monkeypatch.setattr(clock, "BEAT", 0.05)
    monkeypatch.setattr(activity, "BEAT", 0.05)
    agent = {"kind": "scripted", "commands": ["sleep 10"]}
    path = write_source(tmp_path, agent=agent, search={"candidates_per_round": 1}, budget={"wall_clock": "3s"})
    seen = []

    def before(context):
        def lock(name, candidate, data):
            if name == "worker.started":
                other = sqlite3.connect(context.state.tracker, isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
                later = asyncio.get_running_loop().call_later
                later(0.4, other.close)
                later(0.8, lambda: seen.extend(each.subject for each in context.store.activity(context.id)))

        context.observers.append(lock)

    assert run(path, before=before)["campaign"]["stop_reason"] == "wall_clock"
    assert seen == ["c1"]
