"""The store: the verbs of every part under one roof."""

from types import TracebackType
from typing import Self

from loopsmith.tracker.campaigns import Campaigns
from loopsmith.tracker.candidates import Candidates
from loopsmith.tracker.evidence import Evidence
from loopsmith.tracker.ledger import Ledger
from loopsmith.tracker.live import Live
from loopsmith.tracker.memory import Memory
from loopsmith.tracker.reading.aggregates import Aggregates
from loopsmith.tracker.reading.browse import Browse
from loopsmith.tracker.reading.extract import Extract
from loopsmith.tracker.reading.points import Points
from loopsmith.tracker.reading.tallies import Tallies
from loopsmith.tracker.roles import Roles
from loopsmith.tracker.rounds import Rounds


class Store(
    Campaigns,
    Rounds,
    Candidates,
    Evidence,
    Memory,
    Roles,
    Ledger,
    Live,
    Browse,
    Points,
    Tallies,
    Extract,
    Aggregates,
):
    """A tracker that is open. Every verb is one short transaction; records go in and come out.

    Verbs may be called from any thread. Two processes may write to the same tracker; each verb of one waits for
    the other's, up to the busy timeout.

    Raises:
        TrackerError: from any verb, when the database fails; nothing was written then.
    """

    @property
    def place(self) -> str:
        """The file or the address (without its password) of the tracker."""
        return self._database.place

    def close(self) -> None:
        """Give back the file; the store cannot be used afterwards."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
