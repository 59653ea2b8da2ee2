"""Versions and migrations: old trackers open, newer and foreign databases are refused, nothing is half made."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from loopsmith.errors import TrackerError
from loopsmith.records import Slot, Status, Verdict
from loopsmith.tracker import open_store, schema
from loopsmith.tracker.tables import METADATA

FIXTURES = Path(__file__).parent / "fixtures"


def versions(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        return [row[0] for row in connection.execute(f"SELECT version_num FROM {schema.VERSION_TABLE}")]


def test_the_migrations_make_exactly_the_tables_of_the_models(tmp_path):
    open_store(tmp_path / "tracker.db").close()
    with create_engine(f"sqlite:///{tmp_path / 'tracker.db'}").connect() as connection:
        options = {
            "version_table": schema.VERSION_TABLE,
            "compare_type": True,
            "include_object": lambda _object, name, *_: not (name or "").startswith("reflection_fts"),
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []


def test_every_constraint_of_the_models_is_in_the_migrated_database(tmp_path):
    open_store(tmp_path / "tracker.db").close()
    with sqlite3.connect(tmp_path / "tracker.db") as connection:
        made = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
    for table in METADATA.sorted_tables:
        missing = [str(item.name) for item in table.constraints if str(item.name) not in made[table.name]]
        assert missing == []


def test_the_version_is_that_of_the_newest_migration(tmp_path):
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == f"{schema.VERSION:04d}"
    open_store(tmp_path / "tracker.db").close()
    assert versions(tmp_path / "tracker.db") == [f"{schema.VERSION:04d}"]


def test_the_tables_can_be_made_in_postgresql():
    dialect = postgresql.dialect()
    for table in METADATA.sorted_tables:
        made = str(CreateTable(table).compile(dialect=dialect))
        assert "TIMESTAMP WITH TIME ZONE" in made or "created_at" not in table.c
        assert all(str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)


def test_every_schema_version_has_a_fixture():
    assert {path.name for path in FIXTURES.glob("*.db")} == {f"v{n}.db" for n in range(1, schema.VERSION + 1)}


@pytest.mark.parametrize("fixture", sorted(FIXTURES.glob("*.db")), ids=lambda path: path.stem)
def test_a_tracker_of_every_version_opens_and_its_campaign_goes_on(tmp_path, fixture):
    path = Path(shutil.copy(fixture, tmp_path / "tracker.db"))
    with open_store(path) as store:
        campaign = store.campaigns("/project/WORKFLOW.md")[0]
        assert (campaign.id, campaign.baseline_commit) == ("fixture", "1" * 40)
        ((kept, decision),) = store.kept("fixture")
        assert (kept.params, decision.effect.mean, decision.value) == ({"UNROLL": 4}, 0.12, 1.5)
        assert [trial.status for trial in store.trials("fixture")] == [Status.KEPT, Status.CRASHED]
        assert [found.outcome for found in store.search_reflections("fixture", "blocking", 5)] == [Verdict.CRASHED]
        assert store.spent("fixture").cost_usd == 0.25
        assert [sample.value for sample in store.measurements("fixture", candidate_id=kept.id)] == [1.5]
        assert [event.name for event in store.events("fixture")] == ["candidate.decided"]
        assert [artifact.path for artifact in store.artifacts("fixture")] == ["/logs/1.txt"]
        assert store.release("fixture.3").attempt == 2
        store.finish_round(store.open_round("fixture").id)
        slots = [Slot(seed=4, agent="tuner")]
        round_, _ = store.plan_round("fixture", task_id="fixture.t1", baseline_commit="1" * 40, slots=slots)
        assert round_.number == 2


def test_a_tracker_of_a_newer_loopsmith_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "tracker.db"
    open_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0099'")
    for read_only in (False, True):
        with pytest.raises(TrackerError, match="schema 99, but this loopsmith knows only up to"):
            open_store(path, read_only=read_only)
    assert versions(path) == ["0099"]


def test_a_tracker_of_an_older_loopsmith_is_not_migrated_by_a_reader(tmp_path, monkeypatch):
    path = tmp_path / "tracker.db"
    open_store(path).close()
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(TrackerError, match=r"older than this loopsmith's .*; open it once for writing"):
        open_store(path, read_only=True)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE photos (id INTEGER)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        "CREATE TABLE candidate (id TEXT)",
    ],
)
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path, statement):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(TrackerError, match="is not a tracker: it holds other tables"):
            open_store(path, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize("said", ["DELETE FROM {}", "UPDATE {} SET version_num = 'ae1027a6acf'"])
def test_a_tracker_that_does_not_say_its_version_is_refused(tmp_path, said):
    path = tmp_path / "tracker.db"
    open_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(said.format(schema.VERSION_TABLE))
    with pytest.raises(TrackerError, match="does not say its schema's version"):
        open_store(path)


def test_a_migration_that_is_cut_off_leaves_no_half_made_tracker(tmp_path, monkeypatch):
    path = tmp_path / "tracker.db"
    upgrade = schema.upgrade

    def cut_off(connection):
        upgrade(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "upgrade", cut_off)
    with pytest.raises(KeyboardInterrupt):
        open_store(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    monkeypatch.undo()
    with open_store(path) as store:
        assert store.campaigns() == ()


def test_processes_that_create_the_same_tracker_at_once_all_open_it(tmp_path):
    script = """
import sys
import loopsmith.tracker.store
print("ready", flush=True)
sys.stdin.readline()
loopsmith.tracker.open_store(sys.argv[1], busy_timeout=60).close()
"""
    argv = [sys.executable, "-c", script, str(tmp_path / "tracker.db")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(argv, **pipes) for _ in range(3)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 3
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [worker.communicate()[1] for worker in workers] == [""] * 3


def test_importing_the_tracker_is_light_and_opening_one_needs_no_migration_library(tmp_path):
    open_store(tmp_path / "tracker.db").close()
    script = """
import sys
import loopsmith.tracker
assert "sqlalchemy" not in sys.modules
loopsmith.tracker.open_store(sys.argv[1]).close()
assert "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "tracker.db")], check=True)
