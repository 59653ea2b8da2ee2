"""What goes wrong with a file: each in one clear line, and nothing lost."""

import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from loopsmith.errors import TrackerError
from loopsmith.records import Phase, Run, Status, Usage
from loopsmith.tracker import Store, open_store

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path, start: Callable[..., object]) -> Path:
    with open_store(tmp_path / "tracker.db") as store:
        start(store)
    return tmp_path / "tracker.db"


@contextmanager
def write_lock(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    finally:
        connection.close()


def test_a_locked_tracker_is_an_error_after_the_busy_timeout_and_nothing_was_written(path):
    with open_store(path, busy_timeout=0.05) as store:
        with write_lock(path):
            with pytest.raises(TrackerError, match=r"was locked by another program for more than 0\.05 s; close"):
                store.record_event("c", "note")
            assert store.events("c") == ()
        store.record_event("c", "note")
        assert len(store.events("c")) == 1


def test_a_write_waits_for_a_lock_that_ends_in_time(path):
    with open_store(path, busy_timeout=60) as store, write_lock(path) as other:
        timer = threading.Timer(0.2, other.rollback)
        timer.start()
        store.record_event("c", "note")
        timer.join()
        assert len(store.events("c")) == 1


def test_an_exclusive_lock_at_opening_is_the_same_error(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("UPDATE campaign SET name = 'x'")
    for read_only in (False, True):
        with pytest.raises(TrackerError, match="was locked by another program"):
            open_store(path, read_only=read_only, busy_timeout=0.05)
    connection.close()


def test_a_reader_works_while_another_process_writes_and_sees_what_was_committed(path):
    with open_store(path) as writer, open_store(path, read_only=True, busy_timeout=0) as reader:
        writer.record_event("c", "one")
        with write_lock(path):
            assert [seen.name for seen in reader.events("c")] == ["one"]
        writer.record_event("c", "two")
        assert [seen.name for seen in reader.events("c")] == ["one", "two"]


def test_a_reader_cannot_write(path):
    with open_store(path, read_only=True) as reader:
        with pytest.raises(TrackerError, match="cannot be written"):
            reader.record_event("c", "note")
        assert reader.events("c") == ()


def test_a_reader_creates_nothing(tmp_path):
    with pytest.raises(TrackerError, match="there is no tracker at"):
        open_store(tmp_path / "none.db", read_only=True)
    (tmp_path / "empty.db").touch()
    with pytest.raises(TrackerError, match="is empty; open it once for writing"):
        open_store(tmp_path / "empty.db", read_only=True)
    assert [item.name for item in tmp_path.iterdir()] == ["empty.db"]
    assert (tmp_path / "empty.db").stat().st_size == 0


def open_without_rights(path: Path, answers) -> None:
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    with open_store(path, read_only=True) as store:
        answers.put([campaign.id for campaign in store.campaigns()])
    for target in (path, path.parent / "new.db"):
        try:
            with open_store(target) as store:
                store.record_event("c", "note")
            answers.put("written")
        except TrackerError as error:
            answers.put(str(error))


def test_a_folder_without_rights_can_be_read_and_says_why_it_cannot_be_written(start):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.db"
        with open_store(path) as store:
            start(store)
        path.chmod(0o444)
        path.parent.chmod(0o555)
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        worker = context.Process(target=open_without_rights, args=(path, answers))
        worker.start()
        assert answers.get(timeout=30) == ["c"]
        assert re.search("cannot be (written|opened)", answers.get(timeout=30))
        assert re.search("cannot be (written|opened)", answers.get(timeout=30))
        worker.join()
        path.parent.chmod(0o755)


def test_a_full_disk_is_one_clear_line_and_what_was_there_stays(path):
    with open_store(path) as store:
        store.record_event("c", "before")
        engine = store._database.engine
        with engine.connect() as connection:  # SQLite then answers as for a full disk
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(TrackerError, match=r"the disk of the tracker .* is full; free some space, then run again"):
            store.record_event("c", "large", text="x" * 1_000_000)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        store.record_event("c", "after")
        names = [seen.name for seen in store.events("c")]
        assert (names[0], names[-1]) == ("before", "after")


def test_a_corrupt_tracker_is_one_clear_line(path):
    with open_store(path) as store:
        for _ in range(200):
            store.record_event("c", "note", text="x" * 500)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(TrackerError, match=r"corrupt \(.*\); restore it from a copy"), open_store(path) as store:
        store.events("c")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, read_only):
    path = tmp_path / "notes.txt"
    path.write_text("a shopping list, much longer than a header\n" * 100)
    with pytest.raises(TrackerError, match="is not a tracker: not an SQLite database"):
        open_store(path, read_only=read_only)
    assert path.read_text().startswith("a shopping list")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("{folder}", "is a folder, not a tracker"),
        ("{folder}/none/tracker.db", r"the folder .*none of the tracker does not exist; create it"),
        ("{folder}/" + "x" * 300, "cannot be opened"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("mysql://localhost/x", "not in mysql"),
        ("nonsense://localhost/x", "nonsense"),
        ("postgresql+nodriver://user:hunter2@localhost/x", "driver for postgresql"),
        ("postgresql+nodriver://user@localhost/x?password=hunter2", "driver for postgresql"),
        ("postgresql://user:hunter2@localhost:port/x", "neither a path nor a database URL"),
        ("postgresql://user:***@localhost/x", r"write it in the place of \*\*\*"),
    ],
)
def test_an_unusable_url_is_one_clear_line_without_its_password(tmp_path, url, said):
    with pytest.raises(TrackerError, match=said) as caught:
        open_store(url.format(folder=tmp_path))
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_path_may_be_relative_or_hold_any_character(tmp_path, monkeypatch, start):
    monkeypatch.chdir(tmp_path)
    name = "a %41 b?mode=memory#é.db"
    store = open_store(Path(name))
    monkeypatch.chdir("/")
    start(store)
    store.close()
    assert (tmp_path / name).stat().st_size > 0
    with open_store(tmp_path / name, read_only=True) as reader:
        assert reader.campaign("c").name == "faster"
        assert reader.place == str(tmp_path / name)


def test_what_was_answered_survives_kill_9(path):
    script = """
import sys
from loopsmith.tracker import open_store
store = open_store(sys.argv[1])
while True:
    print(store.record_event("c", "tick").id, flush=True)
"""
    argv = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        answered = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        answered += [int(line) for line in process.stdout if line.endswith("\n")]
    with open_store(path) as store:
        stored = [seen.id for seen in store.events("c")]
    assert stored[: len(answered)] == answered
    assert len(stored) - len(answered) <= 1  # one may have been committed, and not answered yet


def test_the_verbs_of_a_candidate_find_their_rows_by_an_index(path, plan):
    """Whatever is asked for each candidate must not read the whole campaign."""
    asked: dict[str, tuple[object, ...]] = {}
    with open_store(path) as store:
        (candidate,) = plan(store)
        event.listen(
            store._database.engine,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, parameters, *_: asked.setdefault(statement, parameters),
        )
        ask_everything(store, candidate.id)
    plans = {}
    with sqlite3.connect(path) as connection:
        for statement, parameters in asked.items():
            if statement.startswith(("SELECT", "UPDATE")):
                first = parameters[0] if isinstance(parameters, list) else parameters
                steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", first)]
                plans[statement] = " | ".join(steps)
    assert len(plans) >= 15
    assert {sql: steps for sql, steps in plans.items() if "SCAN" in steps} == {}
    # The samples of one candidate are few, so sorting them is fine.
    assert [sql for sql, steps in plans.items() if "TEMP B-TREE" in steps and "FROM measurement" not in sql] == []
    (twin,) = [steps for sql, steps in plans.items() if "tree = ?" in sql and sql.startswith("SELECT")]
    assert "campaign_id=? AND tree=?" in twin


def ask_everything(store: Store, candidate_id: str) -> None:
    store.claim(candidate_id)
    store.release(candidate_id)
    store.candidate(candidate_id)
    store.verified_twin("c", "0" * 40, "t", candidate_id)
    run = Run(seed=1, metrics={"ms": 1.0}, seconds=1.0, log=None)
    for _ in range(2):
        store.record_run(campaign_id="c", candidate_id=candidate_id, commit="1", phase=Phase.SCREEN, pair=0, run=run)
    store.measurements("c", candidate_id=candidate_id)
    store.measurements("c", commit="1", phase=Phase.BASELINE)
    store.decision(candidate_id)
    usage = Usage(role="worker", model="m")
    row = store.reserve(campaign_id="c", round_id="c.r1", candidate_id=candidate_id, usage=usage)
    store.settle(row, usage)
    store.spent("c", candidate_id=candidate_id)
    store.spent("c", round_id="c.r1")
    store.candidates("c", round_id="c.r1")
    store.candidates("c", limit=5, newest_first=True)
    store.candidates("c", statuses=[Status.KEPT], limit=5)
    store.reflections("c", limit=5)
    store.events("c", after=1)
    store.events("c", limit=5, newest_first=True)
    store.artifacts("c", candidate_id)
    store.open_round("c")
    store.finish_round("c.r1")
    store.round_count("c")
    store.kept("c")
    store.trials("c")
