"""Where a campaign keeps its things: the state folder, `.loopsmith/` in the source unless told otherwise."""

from dataclasses import dataclass
from pathlib import Path

from loopsmith.errors import HarnessError
from loopsmith.workspace import remove_folder


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths under the state folder; nothing of loopsmith's is written anywhere else."""

    root: Path  # absolute; ignores itself in git

    @property
    def tracker(self) -> Path:
        return self.root / "tracker.db"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def work(self, campaign_id: str) -> Path:
        """Work folders of a campaign; all of it may be removed while no campaign runs."""
        return self.root / "work" / campaign_id

    def artifacts(self, campaign_id: str, candidate: int | None = None) -> Path:
        """Logs and transcripts of a candidate, or of the baseline; made if missing."""
        folder = self.root / "artifacts" / campaign_id / ("baseline" if candidate is None else str(candidate))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def report(self, campaign_id: str) -> Path:
        """The folder of a campaign's report."""
        return self.root / "reports" / campaign_id

    def create(self) -> None:
        """Make the folder.

        Raises:
            HarnessError: it cannot be written, or the disk is full.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise HarnessError(
                f"cannot write {self.root}: {(error.strerror or str(error)).lower()}; "
                "make it writable or pass --state DIR"
            ) from error

    def left(self) -> tuple[str, ...]:
        """The campaigns with something in their work folders."""
        work = self.root / "work"
        return tuple(folder.name for folder in work.iterdir() if any(folder.iterdir())) if work.exists() else ()

    def sweep(self, campaign_id: str) -> None:
        """Remove the work folders that a killed run left."""
        work = self.work(campaign_id)
        if work.exists():
            for folder in work.iterdir():
                remove_folder(folder)
