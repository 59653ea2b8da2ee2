"""TensorBoard: event files with the numbers of each candidate, the candidate's number as step."""

import secrets
from typing import Any

from loopsmith.observers import require
from loopsmith.observers.figures import Curves, params
from loopsmith.protocols import Watched
from loopsmith.records import Verdict
from loopsmith.workflow.observe import TensorBoard


class TensorBoardObserver(Curves):
    """Implements `protocols.Observer` with tensorboardX, which needs neither TensorFlow nor PyTorch."""

    def __init__(self, settings: TensorBoard):
        require("tensorboardX", "tensorboard")
        self.settings = settings

    def start(self, campaign: Watched) -> None:
        from tensorboardX import SummaryWriter

        self.campaign, now = campaign, campaign.campaign
        folder = (self.settings.folder or campaign.state / "tensorboard") / now.id
        known = folder.is_dir() and any(folder.iterdir())
        # Its own name has the second in it: two runs in one would share a file, and the later would replace it.
        self.writer = SummaryWriter(str(folder), flush_secs=5, filename_suffix=f".{secrets.token_hex(4)}")
        if not known:
            self.writer.add_text(
                "settings", as_it_is("\n".join(f"{key}: {value}" for key, value in params(now).items()))
            )
        self.catch_up(lambda _: known)

    def draw(self, number: int, numbers: dict[str, float], record: dict[str, Any] | None) -> None:
        at = record["finished_at"].timestamp() if record else None
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, number, walltime=at)
        if record and record["status"] == Verdict.KEPT:
            text = f"{record['hypothesis'] or record['summary']}\n\n{self.campaign.patch(number)}"
            self.writer.add_text("kept", as_it_is(text), number, walltime=at)

    def close(self) -> None:
        self.writer.close()


def as_it_is(text: str) -> str:
    """Text that TensorBoard, which reads Markdown, shows as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())
