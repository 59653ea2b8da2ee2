"""The options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

WorkflowArgument = Annotated[
    Path | None, typer.Argument(metavar="[WORKFLOW.md]", help="Default: ./WORKFLOW.md, then ./program.md.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any setting, such as budget.rounds=5.")
]
AgentOption = Annotated[
    str | None,
    typer.Option(
        "--agent",
        metavar="KIND[:NAME]",
        help="Another agent than the workflow's, such as anthropic, openai:gpt-5 or cli:codex.",
    ),
]
WorkflowOption = Annotated[
    Path | None, typer.Option("--workflow", "-w", help="The workflow whose campaign is meant. Default: this folder's.")
]
StateOption = Annotated[
    Path | None, typer.Option("--state", help="Where loopsmith keeps its things. Default: .loopsmith by the workflow.")
]
TrackerOption = Annotated[
    str | None, typer.Option("--tracker", help="A SQLAlchemy URL. Default: tracker.db in the state folder.")
]
CampaignOption = Annotated[str | None, typer.Option("--campaign", help="A campaign's id. Default: the newest.")]
CandidateArgument = Annotated[str, typer.Argument(help="A candidate's number, id or commit.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]
