"""`loopsmith status`, `show`, `log` and `memory`: what the tracker says of a campaign, printed."""

import json
from typing import Annotated, Any

import typer

from loopsmith import report
from loopsmith.cli.find import find_campaign
from loopsmith.cli.options import (
    CampaignOption,
    CandidateArgument,
    JsonOption,
    StateOption,
    TrackerOption,
    WorkflowOption,
)
from loopsmith.records import Event
from loopsmith.workflow.quote import one_line

MOST = 10**9  # rows that may be asked for; a database takes no number beyond 64 bits


def status(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    as_json: JsonOption = False,
) -> None:
    with find_campaign(workflow, state, tracker, campaign) as found:
        view = report.status(found.store, found.campaign, process=found.process)
        print(json.dumps(view, indent=2) if as_json else report.summary(view, found.where))


def show(
    candidate: CandidateArgument,
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="The conversation of its worker with the model, instead.")
    ] = False,
) -> None:
    with find_campaign(workflow, state, tracker, campaign) as found:
        record = found.store.find_candidate(found.campaign.id, candidate)
        if transcript:
            print(report.transcript(found.store, record))
            return
        print(report.show(found.store, record, report.patch_of(found.repository, record)))


def log(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=MOST, help="How many, the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    with find_campaign(workflow, state, tracker, campaign) as found:
        for event in reversed(found.store.events(found.campaign.id, limit=lines, newest_first=True)):
            print(json.dumps(event_record(event)) if as_json else event_line(event))


def memory(
    query: Annotated[str | None, typer.Argument(help="Words to search for. Default: the newest lessons.")] = None,
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST)] = 20,
) -> None:
    with find_campaign(workflow, state, tracker, campaign) as found:
        store, id_ = found.store, found.campaign.id
        found_ = store.search_reflections(id_, query, limit) if query else store.reflections(id_, limit=limit)
        lines = [f"- {report.lesson_words(item)}" for item in (() if query else store.lessons(id_))]
        lines += [report.lesson_line(item) for item in found_]
        print("\n".join(lines) or "nothing learned yet")


def event_record(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": event.created_at.isoformat(),
        "name": event.name,
        "round": event.round_id,
        "candidate": event.candidate_id,
        **event.data,
    }


def event_line(event: Event) -> str:
    number = f" c{event.candidate_id.rpartition('.')[2]}" if event.candidate_id else ""
    data = " ".join(f"{key}={one_line(str(value))}" for key, value in event.data.items() if value not in ("", None))
    return f"{event.created_at:%Y-%m-%d %H:%M:%S} {event.name}{number} {data}".rstrip()
