from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from serving import Client, Serve, fill, served

from loopsmith.tracker import open_store


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that end with the test."""
    with ExitStack() as stack:
        yield lambda state, **options: stack.enter_context(served(state, **options))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a campaign of six candidates."""
    folder = tmp_path / ".loopsmith"
    folder.mkdir()
    with open_store(folder / "tracker.db") as store:
        fill(store, folder)
    return folder


@pytest.fixture
def client(serve: Serve, state: Path) -> Client:
    """A server that only shows."""
    return serve(state)
