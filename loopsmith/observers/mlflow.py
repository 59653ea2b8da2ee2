"""MLflow: a run for each campaign, with its settings, the numbers of each candidate, and the kept patches."""

import logging
import os
import re
from datetime import UTC, datetime
from typing import Any

from loopsmith.observers import require
from loopsmith.observers.figures import Curves, params
from loopsmith.protocols import Watched
from loopsmith.records import CampaignStatus, Verdict
from loopsmith.workflow.observe import Mlflow

CAMPAIGN = "loopsmith.campaign"  # the tag by which a campaign's run is found again
BATCH = 100  # that MLflow takes in one request
ENDS = {CampaignStatus.DONE: "FINISHED", CampaignStatus.STOPPED: "KILLED", CampaignStatus.FAILED: "FAILED"}


class MlflowObserver(Curves):
    """Implements `protocols.Observer` with MLflow's client, which has no state of its own in this process."""

    def __init__(self, settings: Mlflow):
        require("mlflow", "mlflow")
        self.settings = settings

    def start(self, campaign: Watched) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        for name in ("mlflow", "alembic"):  # the latter as MLflow makes its tables
            logging.getLogger(name).setLevel(logging.WARNING)
        self.campaign, now = campaign, campaign.campaign
        uri = self.settings.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        folder = None if uri else f"{campaign.state.as_uri()}/mlflow-artifacts"
        self.client = MlflowClient(tracking_uri=uri or f"sqlite:///{campaign.state}/mlflow.db")
        experiment = self._experiment(self.settings.experiment or now.name, folder)
        earlier = self.client.search_runs([experiment], f"tags.`{CAMPAIGN}` = '{now.id}'", max_results=1)
        if earlier:
            self.run = earlier[0].info.run_id
            self.client.update_run(self.run, status="RUNNING")
        else:
            tags = {CAMPAIGN: now.id, "loopsmith.workflow": now.workflow_path, "mlflow.source.name": now.workflow_path}
            self.run = self.client.create_run(experiment, run_name=now.id, tags=tags).info.run_id
            given = [Param(name, str(value)) for name, value in params(now).items()]
            for begin in range(0, len(given), BATCH):
                self.client.log_batch(self.run, params=given[begin : begin + BATCH])
        drawn = {item.step for item in self.client.get_metric_history(self.run, "kept")} if earlier else set()
        self.catch_up(drawn.__contains__)

    def draw(self, number: int, numbers: dict[str, float], record: dict[str, Any] | None) -> None:
        from mlflow.entities import Metric

        at = record["finished_at"] if record else datetime.now(UTC)
        metrics = [Metric(allowed(name), value, int(at.timestamp() * 1000), number) for name, value in numbers.items()]
        for begin in range(0, len(metrics), BATCH):
            self.client.log_batch(self.run, metrics=metrics[begin : begin + BATCH])
        if record and record["status"] == Verdict.KEPT:
            self.client.log_text(self.run, self.campaign.patch(number), f"kept/{number}.patch")

    def close(self) -> None:
        now = self.campaign.campaign
        self.client.set_tag(self.run, "loopsmith.stop_reason", now.stop_reason or "")
        self.client.set_tag(self.run, "mlflow.note.content", now.message or "")
        for path in self.campaign.report():
            self.client.log_artifact(self.run, str(path), "report")
        self.client.set_terminated(self.run, ENDS.get(now.status, "KILLED"))

    def _experiment(self, name: str, folder: str | None) -> str:
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name, artifact_location=folder))


def allowed(name: str) -> str:
    """A metric's name in the characters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]
