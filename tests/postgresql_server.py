"""A PostgreSQL server for tests: in a temporary folder, on a socket there, gone when they are over."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from loopsmith.tracker import open_store

QUICK = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def find_programs() -> Path | None:
    """The folder of initdb and pg_ctl, which Debian keeps off the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return newest[-1].parent if newest else None


class PostgreSQL:
    """A server that runs."""

    def __init__(self, folder: Path):
        self.folder, self.made = folder, 0

    def database(self) -> str:
        """The URL of a new tracker without campaigns; it is migrated once, and copied."""
        if self.made == 0:
            self.run("CREATE DATABASE ready")
            open_store(self.url("ready")).close()
        self.made += 1
        name = f"t{self.made}"
        self.run(f"CREATE DATABASE {name} TEMPLATE ready")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://tests@/{name}?host={self.folder}"

    def run(self, statement: str) -> None:
        with psycopg.connect(f"host={self.folder} user=tests dbname=postgres", autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def serving(programs: Path) -> Iterator[PostgreSQL]:
    """A server while the block lasts. It refuses to run as root, so that it is another user's there."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)

    def call(*words: str) -> None:
        log = folder.with_suffix(".log")
        with log.open("ab") as output:
            try:
                subprocess.run(words, check=True, user=user, cwd="/", stdout=output, stderr=output)
            except subprocess.CalledProcessError as error:
                raise RuntimeError(log.read_text(errors="replace")) from error

    data = str(folder / "data")
    control = str(programs / "pg_ctl")
    try:
        call(str(programs / "initdb"), "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync")
        call(control, "-D", data, "-w", "-o", f"-k {folder} -c listen_addresses='' {QUICK}", "start")
        try:
            yield PostgreSQL(folder)
        finally:
            call(control, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)
