"""Weights & Biases: a run for each campaign, under the campaign's id; online or offline."""

import os
from typing import Any

from loopsmith.errors import WorkflowError
from loopsmith.observers import require
from loopsmith.observers.figures import Curves, params
from loopsmith.protocols import Watched
from loopsmith.records import CampaignStatus, Verdict
from loopsmith.workflow.observe import Wandb

OFFLINE = ("offline", "dryrun", "disabled")
MARKER = "loopsmith-campaigns"  # in the folder of its files: the campaigns that it has seen from the start


class WandbObserver(Curves):
    """Implements `protocols.Observer`."""

    def __init__(self, settings: Wandb):
        require("wandb", "wandb")
        self.settings = settings
        self.mode = settings.mode or os.environ.get("WANDB_MODE") or "online"
        if self.mode not in OFFLINE and not logged_in():
            raise WorkflowError(
                "nobody is logged in to Weights & Biases here; run `wandb login`, set WANDB_API_KEY, or write "
                "`wandb: {mode: offline}`"
            )

    def start(self, campaign: Watched) -> None:
        import wandb

        self.campaign, now = campaign, campaign.campaign
        folder = campaign.state / "wandb"
        folder.mkdir(exist_ok=True)
        self.run = wandb.init(
            project=self.settings.project or os.environ.get("WANDB_PROJECT") or now.name,
            entity=self.settings.entity,
            id=now.id,
            name=now.id,
            resume=None if self.mode in OFFLINE else "allow",  # offline, `wandb sync` puts the parts of a run together
            mode=self.mode,
            dir=str(campaign.state),
            config=params(now),
            settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, save_code=False),
        )
        self.run.define_metric("candidate")
        self.run.define_metric("*", step_metric="candidate")
        marker = folder / MARKER
        seen = marker.read_text().split() if marker.exists() else []
        self.catch_up(lambda _: now.id in seen)
        if now.id not in seen:
            marker.write_text("\n".join([*seen, now.id]))

    def draw(self, number: int, numbers: dict[str, float], record: dict[str, Any] | None) -> None:
        import wandb

        self.run.log({"candidate": number, **numbers})
        if record and record["status"] == Verdict.KEPT:
            patch = wandb.Artifact(f"kept-{record['id']}", "patch")
            with patch.new_file(f"{number}.patch", encoding="utf-8") as file:
                file.write(self.campaign.patch(number))
            self.run.log_artifact(patch)

    def close(self) -> None:
        import wandb

        now = self.campaign.campaign
        self.run.summary.update({"status": str(now.status), "stop_reason": now.stop_reason or ""})
        if files := self.campaign.report():
            report = wandb.Artifact(f"report-{now.id}", "report")
            for path in files:
                report.add_file(str(path))
            self.run.log_artifact(report)
        self.run.finish(exit_code=int(now.status is CampaignStatus.FAILED))


def logged_in() -> bool:
    """Whether the package finds a login, without asking for one."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    from wandb.sdk.lib import wbauth
    from wandb.sdk.wandb_settings import Settings

    try:
        host = Settings().base_url
        found = wbauth.authenticate_session(host=host, source="loopsmith", prompt=False, update_session=False)
    except Exception:  # such as a stored key of a form that it does not know
        return False
    return found is not None
