"""The schema's version: read with one query at opening; Alembic is loaded only where there is something to migrate."""

import re
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DatabaseError

from loopsmith.errors import TrackerError
from loopsmith.tracker.database import Database

VERSION = 1  # of the newest migration; a test holds them equal
VERSION_TABLE = "loopsmith_schema"
MIGRATIONS = Path(__file__).parent / "migrations"


def prepare(database: Database) -> None:
    """Check an opened database, and create or upgrade it where it may be written.

    Raises:
        TrackerError: it is not a tracker, of a newer loopsmith, or cannot be read or upgraded.
    """
    with database.reading() as connection:
        version = read_version(connection, database.place)
    if version == VERSION:
        return
    refuse_newer(version, database.place)
    if database.read_only:
        what = "is empty" if version == 0 else f"is of schema {version}, older than this loopsmith's {VERSION}"
        raise TrackerError(f"the tracker {database.place} {what}; open it once for writing, with `loopsmith run`")
    with database.writing() as connection:
        # Another process may have done it while this one waited for the lock.
        version = read_version(connection, database.place)
        refuse_newer(version, database.place)
        if version < VERSION:
            upgrade(connection)


def read_version(connection: Connection, place: str) -> int:
    """The schema's version; 0 for an empty database.

    Raises:
        TrackerError: the database holds something else.
    """
    try:
        said: Any = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar_one_or_none()
    except DatabaseError:
        connection.rollback()
        tables = inspect(connection).get_table_names()
        if VERSION_TABLE in tables:
            raise
        if tables:
            names = ", ".join(sorted(tables)[:3])
            raise TrackerError(
                f"{place} is not a tracker: it holds other tables ({names}); give another file"
            ) from None
        return 0
    if not isinstance(said, str) or not re.fullmatch(r"[0-9]{1,9}", said):
        raise TrackerError(f"the tracker {place} does not say its schema's version; restore it from a copy")
    return int(said)


def refuse_newer(version: int, place: str) -> None:
    if version > VERSION:
        raise TrackerError(
            f"the tracker {place} is of schema {version}, but this loopsmith knows only up to {VERSION}; "
            "upgrade loopsmith, or give another --tracker"
        )


def upgrade(connection: Connection) -> None:
    """Run the missing migrations inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
