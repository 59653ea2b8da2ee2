import shutil

import pytest

from loopsmith.report.morning import morning
from loopsmith.tracker import open_store


@pytest.fixture(scope="session")
def empty_tracker(tmp_path_factory):
    """Made once: its migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "tracker.db"
    open_store(path).close()
    return path


@pytest.fixture
def store(empty_tracker, tmp_path):
    with open_store(shutil.copy(empty_tracker, tmp_path)) as opened:
        yield opened


@pytest.fixture
def tell(store, tmp_path):
    """The morning report of a campaign, without its patches."""

    def tell(campaign, **options):
        return morning(store, campaign, None, state=tmp_path, **options)

    return tell
