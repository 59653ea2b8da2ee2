"""The tracker: the only place where a campaign's state lives. Verbs in, frozen records out.

Importing this package is cheap; the database libraries are loaded by the first `open_store`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopsmith.tracker.store import Store

__all__ = ["Store", "open_store"]

BUSY_TIMEOUT = 5.0  # seconds that a verb waits for another process's lock


def open_store(url: str | Path, *, read_only: bool = False, busy_timeout: float = BUSY_TIMEOUT) -> "Store":
    """Open the tracker at `url`; create it, or bring it to the present schema, unless `read_only`.

    Args:
        url: a path to a SQLite file, or a SQLAlchemy URL of SQLite or PostgreSQL.
        read_only: never write, migrate or create; works while another process writes.
        busy_timeout: seconds to wait for another process's lock, at opening and in every verb.

    Returns:
        the store, also a context manager that closes it.

    Raises:
        TrackerError: it cannot be opened, is locked or corrupt, is not a tracker, or is of a newer loopsmith.
    """
    from loopsmith.tracker.database import Database
    from loopsmith.tracker.schema import prepare
    from loopsmith.tracker.store import Store

    database = Database(url, read_only=read_only, busy_timeout=busy_timeout)
    try:
        prepare(database)
    except BaseException:
        database.close()
        raise
    return Store(database)


def __getattr__(name: str) -> Any:
    if name == "Store":
        from loopsmith.tracker.store import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
