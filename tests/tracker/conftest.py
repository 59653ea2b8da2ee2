"""The backends that the contract suite runs over, and records to fill a tracker with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgresql_server import PostgreSQL, find_programs, serving

from loopsmith.records import Campaign, Candidate, Slot
from loopsmith.tracker import Store, open_store


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server of the tests' own, without network."""
    if (programs := find_programs()) is None:
        pytest.skip("PostgreSQL is not installed")
    with serving(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def tracker_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of each kind, without campaigns."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tracker.db'}"
    return str(request.getfixturevalue("postgresql").database())


@pytest.fixture
def store(tracker_url: str) -> Iterator[Store]:
    with open_store(tracker_url) as opened:
        yield opened


@pytest.fixture
def start() -> Callable[..., Campaign]:
    """Start a campaign in a store; keywords replace the defaults."""

    def start(store: Store, id: str = "c", **values: object) -> Campaign:
        fields: dict[str, object] = {
            "id": id,
            "name": "faster",
            "workflow_path": "/project/WORKFLOW.md",
            "workflow_text": "---\nname: faster\n---\n",
            "workflow_hash": "w1",
            "identity_hash": "i1",
            "settings": {"budget": {"rounds": 3}},
            "source": "/project",
            "origin_commit": "0" * 40,
            "task_titles": ["lower the time"],
        }
        return store.start_campaign(**{**fields, **values})

    return start


@pytest.fixture
def plan() -> Callable[..., tuple[Candidate, ...]]:
    """Plan a round of `size` candidates; the round before is finished first."""

    def plan(store: Store, campaign_id: str = "c", size: int = 1, baseline: str = "0" * 40) -> tuple[Candidate, ...]:
        if before := store.open_round(campaign_id):
            store.finish_round(before.id)
        slots = [Slot(seed=seed, agent="tuner") for seed in range(size)]
        task = f"{campaign_id}.t1"
        return store.plan_round(campaign_id, task_id=task, baseline_commit=baseline, slots=slots)[1]

    return plan
