"""What the pages are made from: a tracker that is opened for reading, and again when it was replaced."""

import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

from loopsmith.campaign.lock import holder
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import HarnessError, TrackerError
from loopsmith.records import Artifact, Campaign, CampaignStatus, Candidate, Phase
from loopsmith.report.show import patch_of
from loopsmith.tracker import Store, open_store
from loopsmith.tracker.database import parse
from loopsmith.workspace import Repository

LOG_LIMIT = 8 * 1024 * 1024  # bytes of a log that are sent, its end


class Source:
    """A tracker and the state folder beside it.

    Args:
        tracker: a SQLAlchemy URL; None: `tracker.db` in the state folder.
    """

    def __init__(self, state: StateFolder, tracker: str | None = None):
        self.state = state
        self.url: str | Path = tracker or state.tracker
        parsed = parse(self.url)
        self._file = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
        self._opened: tuple[Store, object] | None = None
        self._lock = threading.Lock()

    def store(self) -> Store:
        """The tracker as it is now.

        Raises:
            TrackerError: it is gone, or of another loopsmith; a later call may find it again.
        """
        with self._lock:
            key = self._identity()
            if self._opened is not None and (self._opened[1] != key or not self._opened[0].current()):
                self.close()
            if self._opened is None:
                self._opened = open_store(self.url, read_only=True), key
            return self._opened[0]

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _identity(self) -> object:
        """Which file it is: another one may take its place, and a removed one can still be read."""
        if self._file is None:
            return None
        try:
            found = self._file.stat()
        except OSError as error:
            self.close()
            reason = (error.strerror or str(error)).lower()
            raise TrackerError(f"the tracker {self._file} is gone ({reason}); this page comes back with it") from None
        return found.st_dev, found.st_ino

    def process(self, campaign: Campaign) -> int | None:
        """The process that runs a campaign now."""
        return holder(self.state.lock, campaign.id) if campaign.status is CampaignStatus.RUNNING else None

    def patch(self, candidate: Candidate) -> str | None:
        """A candidate's patch; None where loopsmith's repository does not hold it any more."""
        repository = self.repository()
        if repository is None:
            return None
        try:
            return patch_of(repository, candidate)
        except HarnessError:
            return None

    def repository(self) -> Repository | None:
        """loopsmith's own repository; never made here."""
        path = self.state.root / "repository.git"
        if not path.is_dir():
            return None
        try:
            return Repository.open(self.state.root)
        except HarnessError:
            return None

    def files(self, campaign_id: str, candidate_id: str | None) -> list[Artifact]:
        """What the tracker names of a candidate, or of the baseline: its artifacts, and the logs of its runs."""
        store = self.store()
        named = [item for item in store.artifacts(campaign_id, candidate_id) if item.candidate_id == candidate_id]
        if candidate_id is None:
            runs = store.measurements(campaign_id, phase=Phase.BASELINE)
        else:
            runs = store.measurements(campaign_id, candidate_id=candidate_id)
        known = {item.path for item in named}
        logs = dict.fromkeys(item.log for item in runs if item.log and item.log not in known)
        found = [
            Artifact(campaign_id=campaign_id, candidate_id=candidate_id, kind="log", path=log, size=0) for log in logs
        ]
        return named + [replace(item, size=self.size(item)) for item in found]

    def size(self, artifact: Artifact) -> int:
        """The bytes of a file; 0 where it is gone."""
        try:
            return Path(artifact.path).stat().st_size
        except OSError:
            return 0

    def read(self, artifact: Artifact, limit: int = LOG_LIMIT) -> bytes | None:
        """The end of a file that the tracker names; None unless it is a plain file inside of the state folder."""
        root = self.state.root.resolve()
        path = Path(artifact.path).resolve()
        if not path.is_relative_to(root):
            return None
        try:
            # What stands in the place of a file may be a pipe, which must not be waited for.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            os.close(handle)
            return None
        with os.fdopen(handle, "rb") as file:
            file.seek(max(0, found.st_size - limit))
            return file.read(limit)
