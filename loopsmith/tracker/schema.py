"""The schema's version: read with one query at opening; Alembic is loaded only where there is something to migrate."""

import re
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DatabaseError

from loopsmith.errors import TrackerError
from loopsmith.tracker.database import Database

VERSION = 3  # of the newest migration; a test holds them equal
VERSION_TABLE = "loopsmith_schema"
CURRENT = f"SELECT version_num FROM {VERSION_TABLE}"
MIGRATIONS = Path(__file__).parent / "migrations"


def prepare(database: Database) -> None:
    """Check an opened database, and create or upgrade it where it may be written.

    Raises:
        TrackerError: it is not a tracker, of a newer loopsmith, or cannot be read or upgraded.
    """
    if not is_current(database):
        bring_up(database)
    database.use_write_ahead_log()


def is_current(database: Database) -> bool:
    """Whether the database is a tracker of this loopsmith's schema, with one query."""
    with database.reading() as connection:
        try:
            return parse_version(connection.exec_driver_sql(CURRENT).scalar_one_or_none()) == VERSION
        except DatabaseError:
            return False  # there is no such table, or worse: `read_version` says which


def bring_up(database: Database) -> None:
    """Create or upgrade a tracker that may be written; see `prepare` for the errors."""
    with database.reading() as connection:
        version = read_version(connection, database.place)
    if database.read_only:
        what = "is empty" if version == 0 else f"is of schema {version}, older than this loopsmith's {VERSION}"
        raise TrackerError(f"the tracker {database.place} {what}; open it once for writing, with `loopsmith run`")
    with database.writing() as connection:
        # Another process may have done it while this one waited for the lock.
        if read_version(connection, database.place) < VERSION:
            upgrade(connection)


def read_version(connection: Connection, place: str) -> int:
    """The schema's version; 0 for an empty database.

    Raises:
        TrackerError: the database holds something else, or is of a newer loopsmith.
    """
    names = inspect(connection).get_table_names()
    if VERSION_TABLE not in names:
        if names:
            some = ", ".join(sorted(names)[:3])
            raise TrackerError(f"{place} is not a tracker: it holds other tables ({some}); give another file")
        return 0
    version = parse_version(connection.exec_driver_sql(CURRENT).scalar_one_or_none())
    if version is None:
        raise TrackerError(f"the tracker {place} does not say its schema's version; restore it from a copy")
    if version > VERSION:
        raise TrackerError(
            f"the tracker {place} is of schema {version}, but this loopsmith knows only up to {VERSION}; "
            "upgrade loopsmith, or give another --tracker"
        )
    return version


def parse_version(said: Any) -> int | None:
    return int(said) if isinstance(said, str) and re.fullmatch(r"[0-9]{1,9}", said) else None


def upgrade(connection: Connection) -> None:
    """Run the missing migrations inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
