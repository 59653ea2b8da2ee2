"""News: short, few, and for as long as the server lives."""

import os
import re
import signal
import subprocess
import sys
import time

from serving import Client, events_in
from sqlalchemy import insert

from loopsmith.records import Usage
from loopsmith.tracker import open_store, tables


def test_a_change_is_told_and_the_page_has_the_version_that_is_told(client, state):
    with client.stream("/live?topic=c") as stream, open_store(state / "tracker.db") as store:
        news = events_in(stream)
        name, first = next(news)
        assert name == "changed"
        assert f'data-version="{first["version"]}"' in client.whole("/c/c").text
        store.record_event("c", "test.happened")
        _, second = next(news)
        assert second != first
        assert f'data-version="{second["version"]}"' in client.whole("/c/c").text


def test_what_models_cost_is_on_the_page_without_an_event(client, state):
    assert "$1.00" in client.whole("/c/c").text
    with open_store(state / "tracker.db") as store:
        used = Usage(role="worker", model="m", input_tokens=10, output_tokens=10, cost_usd=7.25)
        store.settle(store.reserve(campaign_id="c", round_id=None, candidate_id=None, usage=used), used)
        store.add_elapsed("c", 6)
    assert "$8.25" in client.whole("/c/c").text


def test_ten_thousand_events_a_second_are_a_few_messages(client, state):
    rows = [{"campaign_id": "c", "name": "test.flood", "data": {}} for _ in range(500)]
    with client.stream("/live?topic=c") as stream, open_store(state / "tracker.db") as store:
        news, began = events_in(stream), time.monotonic()
        last = next(news)[1]["version"]
        moment = store.campaign("c").created_at
        for _ in range(20):
            with store._database.writing() as connection:
                connection.execute(insert(tables.event), [{**row, "created_at": moment} for row in rows])
        store.record_event("c", "test.ended")
        page = client.whole("/c/c")
        count, final = 0, re.search(r'data-version="(\w+)"', page.text)[1]
        while last != final:
            last, count = next(news)[1]["version"], count + 1
        assert count <= 2 + (time.monotonic() - began)
    assert len(page.body) < 200_000
    assert "test.ended" in page.text


def test_many_followers_share_one_look(serve, state):
    client = serve(state)
    streams = [client.stream("/live?topic=c") for _ in range(12)]
    opened = [stream.__enter__() for stream in streams]
    try:
        assert len({next(events_in(stream))[1]["version"] for stream in opened}) == 1
        with open_store(state / "tracker.db") as store:
            store.record_event("c", "test.happened")
        assert len({next(events_in(stream))[1]["version"] for stream in opened}) == 1
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)


def test_a_tracker_that_goes_and_comes_is_told(client, state):
    with client.stream("/live?topic=c") as stream:
        news = events_in(stream)
        assert next(news)[0] == "changed"
        (state / "tracker.db").rename(state / "other.db")
        name, gone = next(news)
        assert (name, "is gone" in gone["message"]) == ("gone", True)
        (state / "other.db").rename(state / "tracker.db")
        assert next(news)[0] == "changed"


def test_the_command_prints_its_address_and_ends_at_once_on_a_signal_with_open_streams(state):
    for sent in (signal.SIGINT, signal.SIGTERM):
        command = [sys.executable, "-m", "loopsmith", "serve", "--state", str(state), "--port", "0", "--allow-control"]
        environment = {key: value for key, value in os.environ.items() if key != "LOOPSMITH_TOKEN"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        line = process.stdout.readline()
        address, _, token = line.strip().partition("#token=")
        assert address.startswith("http://127.0.0.1:")
        assert len(token) >= 32
        client = Client(int(address.rstrip("/").rpartition(":")[2]))
        with client.stream("/live?topic=c") as stream, client.stream("/api/v1/campaigns/c/events/stream") as other:
            next(events_in(stream))
            other.readline()
            process.send_signal(sent)
            out, err = process.communicate(timeout=15)
        assert (out, err, process.returncode) == ("", "", 0)


def test_what_cannot_be_served_is_said_in_one_line(state, tmp_path, loopsmith, monkeypatch):
    monkeypatch.delenv("LOOPSMITH_TOKEN", raising=False)
    nothing = loopsmith("serve", "--state", tmp_path / "empty")
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)
    assert "no campaign in" in nothing.err
    outside = loopsmith("serve", "--state", state, "--host", "0.0.0.0")
    assert (outside.code, outside.err.count("\n")) == (2, 1)
    assert "needs a token" in outside.err
