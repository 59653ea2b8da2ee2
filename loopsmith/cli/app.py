"""The commands. Each is a few lines over something that a library user can call."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import loopsmith
from loopsmith import report
from loopsmith.cli import take
from loopsmith.cli.adopt import adopt
from loopsmith.cli.check import print_check
from loopsmith.cli.export import export
from loopsmith.cli.find import CampaignOption, StateOption, TrackerOption, WorkflowOption, find_campaign
from loopsmith.cli.init import app as init_app
from loopsmith.cli.report import report as report_command
from loopsmith.cli.run import run_workflow
from loopsmith.cli.serve import serve
from loopsmith.cli.steer import CandidateArgument, approve, pause, reject, resume, set_, steer, stop
from loopsmith.cli.watch import watch
from loopsmith.records import Event
from loopsmith.workflow.quote import one_line

app = typer.Typer(
    name="loopsmith",
    help="Runs generate-verify-refine loops, and keeps only what is really better.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(init_app, name="init")

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
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(loopsmith.__version__)
        raise typer.Exit


@app.command()
def run(
    workflow: WorkflowArgument = None,
    overrides: SetOption = None,
    agent: AgentOption = None,
    new: Annotated[bool, typer.Option("--new", help="Start a new campaign even where one could go on.")] = False,
    state: StateOption = None,
    tracker: TrackerOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Event lines instead of the live view.")] = False,
    watched: Annotated[bool, typer.Option("--watch", help="The full-screen view instead.")] = False,
    accept_noise: Annotated[
        bool, typer.Option("--accept-noise", help="Go on although the baseline's runs differ by half and more.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="DIR", help="Keep each answer of a model in a folder.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option("--replay", metavar="DIR", help="Run a recorded campaign again, without key and network."),
    ] = None,
) -> None:
    """Run a campaign until its budget, its target or Ctrl-C ends it; run it again to go on."""
    raise typer.Exit(
        run_workflow(
            workflow,
            overrides or (),
            agent=agent,
            new=new,
            state=state,
            tracker=tracker,
            plain=plain,
            watch=watched,
            accept_noise=accept_noise,
            record=record,
            replay=replay,
        )
    )


@app.command()
def check(
    workflow: WorkflowArgument = None,
    overrides: SetOption = None,
    agent: AgentOption = None,
    measure: Annotated[
        bool, typer.Option("--calibrate", help="Run the verifier on the source too, and say what its noise allows.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the resolved settings, what the budget affords, and every problem at once."""
    raise typer.Exit(print_check(workflow, overrides or (), agent=agent, as_json=as_json, measure=measure))


app.command()(adopt)
app.command()(watch)
app.command()(serve)


@app.command()
def status(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where a campaign stands."""
    with find_campaign(workflow, state, tracker, campaign) as found:
        view = report.status(found.store, found.campaign, process=found.process)
        print(json.dumps(view, indent=2) if as_json else report.summary(view, found.where))


@app.command()
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
    """Print everything known of one candidate: hypothesis, decision, measurements, patch."""
    with find_campaign(workflow, state, tracker, campaign) as found:
        record = found.store.find_candidate(found.campaign.id, candidate)
        if transcript:
            print(report.transcript(found.store, record))
            return
        print(report.show(found.store, record, report.patch_of(found.repository, record)))


@app.command()
def log(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many, the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Print the newest events, oldest first."""
    with find_campaign(workflow, state, tracker, campaign) as found:
        for event in reversed(found.store.events(found.campaign.id, limit=lines, newest_first=True)):
            print(json.dumps(event_record(event)) if as_json else event_line(event))


@app.command()
def memory(
    query: Annotated[str | None, typer.Argument(help="Words to search for. Default: the newest lessons.")] = None,
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 20,
) -> None:
    """Print what was learned."""
    with find_campaign(workflow, state, tracker, campaign) as found:
        store, id_ = found.store, found.campaign.id
        found_ = store.search_reflections(id_, query, limit) if query else store.reflections(id_, limit=limit)
        lines = [f"- {report.lesson_words(item)}" for item in (() if query else store.lessons(id_))]
        lines += [report.lesson_line(item) for item in found_]
        print("\n".join(lines) or "nothing learned yet")


app.command()(export)


for command in take.COMMANDS:
    app.command()(command)


for command in (steer, pause, resume, stop, approve, reject):
    app.command()(command)
app.command(name="set")(set_)
app.command(name="report")(report_command)


@app.command()
def mcp(socket: Annotated[Path, typer.Option("--socket", help="The worker's socket.")]) -> None:
    """Serve a worker's tools to its agent over MCP; loopsmith configures agents to start this."""
    from loopsmith.agents.mcp.server import run_server

    run_server(socket)


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
