"""`loopsmith report`: the morning report of any campaign, running or ended."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from loopsmith.cli.find import find_campaign
from loopsmith.cli.options import CampaignOption, StateOption, TrackerOption, WorkflowOption
from loopsmith.report.morning.files import ALL, ReportFormat, write_report
from loopsmith.report.morning.report import morning


def report(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write it. Default: reports/ in the state folder."),
    ] = None,
    forms: Annotated[
        list[ReportFormat] | None, typer.Option("--format", help="Only this; may be given more than once.")
    ] = None,
) -> None:
    with find_campaign(workflow, state, tracker, campaign) as found:
        folder = output.expanduser() if output else found.state.report(found.campaign.id)
        repository = found.repository if (found.state.root / "repository.git").exists() else None
        it = morning(found.store, found.campaign, repository, state=found.state.root, process=found.process)
        written, problems = write_report(it, folder, forms or ALL)
    for path in written:
        print(path)
    for problem in problems:
        print(f"loopsmith: {problem}", file=sys.stderr)
