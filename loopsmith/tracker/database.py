"""The connection to a tracker's database: opened safely, short transactions, every failure in one clear line."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError as UrlError
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from loopsmith.errors import TrackerError
from loopsmith.log import MASK, mask
from loopsmith.tracker.columns import dump_json

# SQLite's primary result codes, https://www.sqlite.org/rescode.html
BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB = 5, 6, 8, 10, 11, 13, 14, 26


class Database:
    """An engine with two ways in: `reading` and `writing`, each one transaction.

    Args:
        url: a path to a SQLite file, or a SQLAlchemy URL of SQLite or PostgreSQL.
        read_only: refuse every write in the database itself.
        busy_timeout: seconds to wait for a lock that another process holds.
    """

    def __init__(self, url: str | Path, *, read_only: bool, busy_timeout: float):
        self.read_only = read_only
        self.busy_timeout = busy_timeout
        parsed = parse(url)
        self.dialect = parsed.get_backend_name()
        if self.dialect not in ("sqlite", "postgresql"):
            raise TrackerError(f"a tracker lives in SQLite or PostgreSQL, not in {self.dialect}; change --tracker")
        self.place = parsed.database or "" if self.sqlite else shown(parsed)
        if self.sqlite:
            parsed = sqlite_url(parsed, read_only=read_only)
        elif parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        options: dict[str, Any] = {"json_serializer": dump_json}
        if self.sqlite:
            # sqlite3 sets the busy timeout as it connects, so before the journal mode and anything else.
            options["connect_args"] = {"timeout": busy_timeout}
        elif read_only:
            options["execution_options"] = {"postgresql_readonly": True}
        try:
            self.engine = create_engine(parsed, **options)
        except (NoSuchModuleError, ImportError) as error:
            how = "pip install 'loopsmith[postgresql]'" if "psycopg'" in str(error) else "install it"
            raise TrackerError(f"the driver for {self.place} is not installed ({error}); {how}") from error
        except (SQLAlchemyError, TypeError) as error:
            raise TrackerError(f"{self.place} cannot be used as a tracker: {error}") from error
        # Shares the pool and the listeners; tells `begin` which of the two it is.
        self._writer = self.engine.execution_options(writing=True)
        if self.sqlite:
            event.listen(self.engine, "connect", self._set_up_sqlite)
        event.listen(self.engine, "begin", self._begin)
        event.listen(self.engine, "before_cursor_execute", masked, retval=True)

    @property
    def sqlite(self) -> bool:
        return self.dialect == "sqlite"

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view; never blocks a writer and is never blocked by one.

        Raises:
            TrackerError: for any failure of the database.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self.explain(error) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that takes the write lock at once: committed as a whole, or as if it never was.

        Raises:
            TrackerError: for any failure of the database; nothing was written then.
        """
        try:
            with self._writer.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self.explain(error) from error

    def use_write_ahead_log(self) -> None:
        """Let SQLite's readers and its writer work side by side. It is written into the file, so it comes only
        after the file was found to be a tracker.

        Raises:
            TrackerError: for any failure of the database.
        """
        if not self.sqlite or self.read_only:
            return
        try:
            # Not through a Connection: the journal mode cannot change inside a transaction.
            pooled = self.engine.raw_connection()
            try:
                pooled.cursor().execute("PRAGMA journal_mode=WAL")
            finally:
                pooled.close()
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self.explain(error) from error

    def _set_up_sqlite(self, connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # `_begin` opens the transactions, not the driver
        connection.execute("PRAGMA synchronous=NORMAL")  # safe against kill -9 in WAL mode
        connection.execute("PRAGMA foreign_keys=ON")

    def _begin(self, connection: Connection) -> None:
        if not self.sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(self.busy_timeout * 1000)}")
        elif connection.get_execution_options().get("writing"):
            # A deferred transaction that read first could not wait for another writer: it would fail at once.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")

    def explain(self, error: Exception) -> TrackerError:
        """What happened and what to do, in one line."""
        cause = getattr(error, "orig", None) or error
        said = str(cause).strip().partition("\n")[0]
        where = f"the tracker {self.place}"
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        # 55P03: lock_not_available, https://www.postgresql.org/docs/current/errcodes-appendix.html
        if code in (BUSY, LOCKED) or getattr(cause, "sqlstate", None) == "55P03":
            return TrackerError(
                f"{where} was locked by another program for more than {self.busy_timeout:g} s; "
                "close what holds it, then run again"
            )
        advice = {
            READONLY: f"{where} cannot be written ({said}); open it for writing, or mend the rights of the file",
            IOERR: f"{where} cannot be read or written ({said}); check the disk and its free space, then run again",
            CORRUPT: f"{where} is corrupt ({said}); restore it from a copy, or try `sqlite3 FILE .recover`",
            FULL: f"the disk of {where} is full; free some space, then run again",
            CANTOPEN: f"{where} cannot be opened ({said}); check its folder and the rights of the file",
            NOTADB: f"{self.place} is not a tracker: not an SQLite database; give another file",
        }.get(code)
        if advice is None and isinstance(error, IntegrityError):
            advice = f"{where} refused a record: {said}"
        if advice is None and isinstance(error, DBAPIError):
            advice = f"{where} failed: {said}"
        return TrackerError(advice or f"{where} failed: {type(error).__name__}: {said}")


def masked(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    """A statement whose values show no secret: no row does, whoever writes it."""
    text = "\n".join(_texts(parameters))
    return (statement, parameters) if mask(text) is text else (statement, _masked(parameters))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return type(value)(map(_masked, value)) if isinstance(value, (list, tuple)) else value


def parse(url: str | Path) -> URL:
    """A path or a URL as a SQLAlchemy URL; SQLite's paths made absolute."""
    text = str(url)
    try:
        parsed = make_url(text) if "://" in text else URL.create("sqlite", database=text)
    except (UrlError, ValueError) as error:
        # Not quoted, as it may hold a password.
        raise TrackerError("--tracker is given neither a path nor a database URL; correct it") from error
    if parsed.password == MASK:
        raise TrackerError(f"the password of --tracker is hidden; write it in the place of {MASK}")
    if parsed.get_backend_name() != "sqlite":
        return parsed
    if not parsed.database or parsed.database == ":memory:":
        raise TrackerError("a tracker must be a file: one in memory is lost with the process; change --tracker")
    return parsed.set(database=os.path.abspath(os.path.expanduser(parsed.database)))


def shown(url: URL) -> str:
    """A server's URL without its password, wherever it stands."""
    if "password" in url.query:
        url = url.difference_update_query(["password"]).set(password=MASK)
    return url.render_as_string(hide_password=True)


def sqlite_url(url: URL, *, read_only: bool) -> URL:
    """The URL to connect with, once the path was found usable.

    Raises:
        TrackerError: no such folder, no such file to read, or a folder in its place.
    """
    path = Path(url.database or "")
    try:
        exists, folder = path.exists(), path.is_dir()
    except OSError as error:
        raise TrackerError(f"the tracker {path} cannot be opened: {error.strerror}; change --tracker") from error
    if folder:
        raise TrackerError(f"{path} is a folder, not a tracker; give the file inside it, such as {path / 'tracker.db'}")
    if read_only and not exists:
        raise TrackerError(f"there is no tracker at {path}; start a campaign with `loopsmith run`, or give --tracker")
    if not path.parent.is_dir():
        raise TrackerError(f"the folder {path.parent} of the tracker does not exist; create it, or change --tracker")
    if not read_only:
        return url
    query = {"mode": "ro", "uri": "true"}
    if not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        # In a folder that cannot be written SQLite cannot make the files of WAL mode; nobody else can write either.
        query["immutable"] = "1"
    return url.set(database=f"file:{quote(str(path))}", query=query)
