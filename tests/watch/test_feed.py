"""What is read of a tracker, look by look."""

import os
import shutil
import threading

import pytest
from support import run, setting_x, write_source

from loopsmith.errors import TrackerError
from loopsmith.tracker import open_store
from loopsmith.watch.feed import KEPT_EVENTS, NEW_EVENTS, Feed, Source


def many_events(source, count):
    """`count` events at once."""
    from sqlalchemy import insert

    from loopsmith.tracker import tables
    from loopsmith.tracker.rows import now

    row = {"campaign_id": source.campaign_id, "name": "worker.progress", "data": {"text": "x"}, "created_at": now()}
    with open_store(source.tracker) as store, store._database.writing() as connection:
        connection.execute(insert(tables.event), [row] * count)


def test_ten_thousand_events_between_two_looks_are_not_all_read(source):
    feed = Feed(source)
    before = feed.look().events
    many_events(source, 10_000)
    after = feed.look().events
    assert len(after) == len(before) + NEW_EVENTS
    with open_store(source.tracker, read_only=True) as store:
        newest = store.events(source.campaign_id, newest_first=True, limit=NEW_EVENTS)
    assert after[:NEW_EVENTS] == newest
    assert after[NEW_EVENTS:] == before
    for _ in range(12):
        many_events(source, NEW_EVENTS)
        after = feed.look().events
    assert len(after) == KEPT_EVENTS
    ids = [event.id for event in after]
    assert ids == sorted(ids, reverse=True)


def test_a_look_writes_nothing(source):
    before = source.tracker.read_bytes()
    Feed(source).look()
    assert source.tracker.read_bytes() == before
    with open_store(source.tracker, read_only=True) as store, pytest.raises(TrackerError):
        store.record_event(source.campaign_id, "x")


def test_another_tracker_in_the_same_place_is_read_from_its_start(source, tmp_path):
    feed = Feed(source)
    many_events(source, 50)
    assert len(feed.look().events) > 50
    os.replace(source.tracker, tmp_path / "old.db")
    with pytest.raises(TrackerError, match="is gone"):
        feed.look()
    with open_store(source.tracker):
        pass
    with pytest.raises(Exception, match=f"no campaign {source.campaign_id}"):
        feed.look()
    os.replace(tmp_path / "old.db", source.tracker)
    assert len(feed.look().events) > 50


def test_a_copy_put_in_its_place_between_two_looks_is_read_from_its_start(source, tmp_path):
    shutil.copy(source.tracker, tmp_path / "copy.db")
    feed = Feed(source)
    before = feed.look().events
    many_events(source, 50)
    assert len(feed.look().events) == len(before) + 50
    os.replace(tmp_path / "copy.db", source.tracker)
    for suffix in ("-wal", "-shm"):
        (source.tracker.parent / f"{source.tracker.name}{suffix}").unlink(missing_ok=True)
    assert feed.look().events == before


def test_a_campaign_is_read_while_another_thread_writes_it(tmp_path):
    path = write_source(tmp_path, agent=setting_x(11, 12, 13, 14), budget={"rounds": 2})
    looks, ended = [], threading.Event()
    threads = []

    def before(context):
        feed = Feed(Source(tracker=context.state.tracker, state=context.state, campaign_id=context.id))

        def watch():
            while not ended.is_set():
                looks.append(feed.look(everything=True))
            looks.append(feed.look(everything=True))

        threads.append(threading.Thread(target=watch, daemon=True))
        threads[0].start()

    try:
        run(path, before=before)
    finally:
        ended.set()
    threads[0].join(timeout=30)
    assert any(look.status == "running" for look in looks)
    assert looks[-1].status == "done"
    assert looks[-1].view["counts"]["candidates"] == 4
    assert looks[-1].activity == ()
