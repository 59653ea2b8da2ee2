"""A tracker that vanishes, is replaced, locked or foreign, as the full-screen view says so."""

import os
import shutil
import sqlite3
from contextlib import closing

HOSTILE = "[bold red]markup[/] \x1b]0;pwned\x07\x1b[31mred \u202eevil\u2066 \x00\r\n\tend 🏳️‍🌈 {{x}} $(id)"


def test_a_tracker_that_vanishes_is_said_in_a_line_and_it_goes_on_when_it_is_back(drive, source, tmp_path):
    async def scene(view):
        away = tmp_path / "away"
        shutil.move(source.tracker, away)
        await view.look()
        assert "is gone" in view.rows[1]
        assert "2 of 2" in view.screen
        shutil.move(away, source.tracker)
        await view.look()
        assert "score 10 -> 15" in view.rows[1]

    drive(scene)


def test_a_tracker_replaced_by_one_of_a_newer_loopsmith_is_said_in_a_line(drive, source, tmp_path):
    async def scene(view):
        newer = tmp_path / "newer.db"
        with closing(sqlite3.connect(source.tracker)) as old, closing(sqlite3.connect(newer)) as new, new:
            old.backup(new)
            new.execute("UPDATE loopsmith_schema SET version_num = '99'")
        os.replace(newer, source.tracker)
        for suffix in ("-wal", "-shm"):
            (source.tracker.parent / f"{source.tracker.name}{suffix}").unlink(missing_ok=True)
        await view.look()
        assert "is of schema 99" in view.rows[1]
        assert "upgrade loopsmith" in view.rows[1]

    drive(scene, size=(220, 24))


def test_a_locked_tracker_is_said_in_a_line_and_does_not_stop_the_view(drive, source):
    async def scene(view):
        view.app.feed.reader.close()
        view.app.pages.close()
        with closing(sqlite3.connect(source.tracker, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            await view.look()
            assert "locked by another program" in view.rows[1]
            await view.press("2", "1")
            other.execute("ROLLBACK")
        await view.look()
        assert "score 10 -> 15" in view.rows[1]

    drive(scene, size=(160, 24))


def test_rows_that_no_loopsmith_wrote_are_said_in_a_line(drive, source, change):
    async def scene(view):
        change("UPDATE campaign SET settings = '{}'")
        await view.look()
        assert "cannot be understood" in view.rows[1]

    drive(scene)
