"""What goes on now in a campaign, by who or what does it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from loopsmith.live import Activity, Doing
from loopsmith.records import Candidate
from loopsmith.workflow.quote import one_line

WIDTH = 200  # characters of what is said of an activity


class Board:
    """What goes on in a campaign, by subject: c12, baseline, or a role's name."""

    def __init__(self, campaign_id: str):
        self.campaign_id = campaign_id
        self.now: dict[str, Activity] = {}
        self.changed: set[str] = set()  # subjects, since they were last written down

    def put(
        self, subject: str, doing: Doing, text: str, *, candidate_id: str | None = None, lease: tuple[str, ...] = ()
    ) -> None:
        """Say what a subject does; it does so since it began with the same kind of thing."""
        before, moment = self.now.get(subject), datetime.now(UTC)
        self.now[subject] = Activity(
            campaign_id=self.campaign_id,
            subject=subject,
            candidate_id=candidate_id,
            doing=doing,
            text=one_line(text, WIDTH),
            lease=lease,
            since=before.since if before and before.doing is doing else moment,
            updated_at=moment,
        )
        self.changed.add(subject)

    def end(self, subject: str, then: Activity | None = None) -> None:
        """A subject has ended with what it did, and goes back to what it did before, if anything."""
        if then is None:
            self.now.pop(subject, None)
        else:
            self.now[subject] = replace(then, updated_at=datetime.now(UTC))
        self.changed.add(subject)

    def observe(self, name: str, candidate: Candidate | None, data: dict[str, Any]) -> None:
        """Take in one event of the campaign."""
        if candidate is None:
            return
        match name:
            case "worker.started":
                self._candidate(candidate, Doing.WORKING, "started")
            case "worker.progress":
                self._candidate(candidate, Doing.WORKING, str(data["text"]))
            case "candidate.generated":
                self._candidate(candidate, Doing.QUEUED, "waits to be screened")
            case "candidate.screened":
                self._candidate(candidate, Doing.QUEUED, "waits to be confirmed")
            case "candidate.confirming":
                self._candidate(candidate, Doing.QUEUED, f"waits to be confirmed in {data['pairs']} pairs at most")
            case "candidate.decided":
                self.end(f"c{candidate.number}")

    def _candidate(self, candidate: Candidate, doing: Doing, text: str) -> None:
        self.put(f"c{candidate.number}", doing, text, candidate_id=candidate.id)
