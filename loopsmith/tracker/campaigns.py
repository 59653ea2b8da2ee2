"""The verbs of campaigns and their tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from loopsmith.errors import TrackerError
from loopsmith.records import Campaign, CampaignStatus, Task
from loopsmith.tracker import tables
from loopsmith.tracker.rows import CAMPAIGN, TASK, Verbs, add_event, found, now, to_campaign, to_task

C = tables.campaign.c
NEWEST = (C.created_at.desc(), C.id.desc())


class Campaigns(Verbs):
    """Starting, finding and ending campaigns."""

    def campaigns(self, workflow_path: str | None = None) -> tuple[Campaign, ...]:
        """Every campaign, or those of a workflow, newest first."""
        query = select(*CAMPAIGN).order_by(*NEWEST)
        if workflow_path is not None:
            query = query.where(C.workflow_path == workflow_path)
        with self._database.reading() as connection:
            return tuple(map(to_campaign, connection.execute(query)))

    def campaign(self, campaign_id: str) -> Campaign:
        """Raises UsageError when there is none of this id."""
        with self._database.reading() as connection:
            row = connection.execute(select(*CAMPAIGN).where(C.id == campaign_id)).one_or_none()
        return to_campaign(found(row, "campaign", campaign_id))

    def start_campaign(
        self,
        *,
        id: str,
        name: str,
        workflow_path: str,
        workflow_text: str,
        workflow_hash: str,
        identity_hash: str,
        settings: Mapping[str, Any],
        source: str,
        origin_commit: str,
        task_titles: Sequence[str],
    ) -> Campaign:
        """A new running campaign with its tasks; its baseline is the untouched source."""
        created = now()
        values = {
            "id": id,
            "name": name,
            "status": CampaignStatus.RUNNING,
            "workflow_path": workflow_path,
            "workflow_text": workflow_text,
            "workflow_hash": workflow_hash,
            "identity_hash": identity_hash,
            "settings": dict(settings),
            "source": source,
            "origin_commit": origin_commit,
            "baseline_commit": origin_commit,
            "elapsed": 0.0,
            "created_at": created,
            "updated_at": created,
        }
        tasks = [
            {"id": f"{id}.t{number}", "campaign_id": id, "number": number, "title": title, "status": "open"}
            for number, title in enumerate(task_titles, start=1)
        ]
        with self._database.writing() as connection:
            connection.execute(insert(tables.campaign), values)
            if tasks:
                connection.execute(insert(tables.task), tasks)
            return to_campaign(connection.execute(select(*CAMPAIGN).where(C.id == id)).one())

    def tasks(self, campaign_id: str) -> tuple[Task, ...]:
        """The campaign's tasks in the order of the workflow."""
        table = tables.task
        query = select(*TASK).where(table.c.campaign_id == campaign_id).order_by(table.c.number)
        with self._database.reading() as connection:
            return tuple(map(to_task, connection.execute(query)))

    def set_campaign_status(
        self,
        campaign_id: str,
        status: CampaignStatus,
        *,
        stop_reason: str | None = None,
        message: str | None = None,
    ) -> Campaign:
        """Start again or end a campaign; the reason and its sentence are replaced, or cleared."""
        return self._change(campaign_id, status=status, stop_reason=stop_reason, message=message)

    def add_elapsed(self, campaign_id: str, seconds: float) -> Campaign:
        """Add running time, in seconds."""
        return self._change(campaign_id, elapsed=C.elapsed + seconds)

    def set_exact(self, campaign_id: str, exact: bool) -> Campaign:
        """Write down whether the metric repeats exactly."""
        return self._change(campaign_id, exact=exact)

    def change_workflow(
        self, campaign_id: str, *, text: str, hash: str, settings: Mapping[str, Any], keys: Sequence[str] = ()
    ) -> Campaign:
        """Go on with an edited workflow; the event `workflow.changed` keeps both hashes, and the keys that changed."""
        with self._database.writing() as connection:
            before = connection.execute(select(C.workflow_hash).where(C.id == campaign_id)).scalar_one_or_none()
            changes = {"workflow_text": text, "workflow_hash": hash, "settings": dict(settings)}
            campaign = change_campaign(connection, campaign_id, **changes)
            data = {"before": before, "after": hash, "keys": list(keys)}
            add_event(connection, campaign_id, "workflow.changed", data)
            return campaign

    def _change(self, campaign_id: str, **values: Any) -> Campaign:
        with self._database.writing() as connection:
            return change_campaign(connection, campaign_id, **values)


def change_campaign(connection: Connection, campaign_id: str, **values: Any) -> Campaign:
    """Update one campaign inside a transaction.

    Raises:
        TrackerError: there is no such campaign.
    """
    statement = update(tables.campaign).where(C.id == campaign_id).values(updated_at=now(), **values)
    row = connection.execute(statement.returning(*CAMPAIGN)).one_or_none()
    if row is None:
        raise TrackerError(f"there is no campaign {campaign_id} in this tracker; start it again with `loopsmith run`")
    return to_campaign(row)
