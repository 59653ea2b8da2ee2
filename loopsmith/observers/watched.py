"""A campaign as an observer sees it: `protocols.Watched` over the tracker and the repository."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loopsmith.protocols import Call
from loopsmith.records import Campaign, Phase, Spent
from loopsmith.search.policy import MERGE
from loopsmith.tracker import Store
from loopsmith.workspace import Repository


class WatchedCampaign:
    """Reads; nothing is kept."""

    def __init__(self, campaign_id: str, store: Store, state: Path, report: Path):
        self.id, self.store, self._state, self._report = campaign_id, store, state, report

    @property
    def campaign(self) -> Campaign:
        return self.store.campaign(self.id)

    @property
    def state(self) -> Path:
        return self._state

    @property
    def baseline(self) -> float | None:
        campaign = self.campaign
        metric = campaign.settings["objective"]["metric"]
        runs = self.store.measurements(self.id, commit=campaign.origin_commit, phase=Phase.BASELINE)
        values = [item.value for item in runs if item.metric == metric]
        return sum(values) / len(values) if values else None

    def record(self, candidate: int) -> dict[str, Any]:
        return self.store.known_candidate(self.id, candidate)

    def decided(self) -> Iterator[dict[str, Any]]:
        return self.store.known(self.id, decided=True)

    def patch(self, candidate: int) -> str:
        record = self.record(candidate)
        if record["commit"] is None:
            return ""
        repository = Repository.open(self._state)  # pygit2's objects belong to the thread that made them
        base = repository.parent(record["commit"]) if record["agent"] == MERGE else record["parent"]
        return repository.diff(base or record["parent"], record["commit"])

    def report(self) -> Sequence[Path]:
        return sorted(path for path in self._report.glob("*") if path.is_file())

    def calls(self, *, round: int | None = None, candidate: int | None = None) -> Sequence[Call]:
        return self.store.calls(
            self.id,
            round_id=None if round is None else f"{self.id}.r{round}",
            candidate_id=None if candidate is None else f"{self.id}.{candidate}",
        )

    def spent(self) -> Spent:
        return self.store.spent(self.id)
