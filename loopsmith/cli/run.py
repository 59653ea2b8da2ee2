"""`loopsmith run`: a campaign in this terminal."""

import asyncio
import io
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from loopsmith import log, report, workflow
from loopsmith.agents.recording import Tape, to_record, to_replay
from loopsmith.campaign.context import Context
from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.state import StateFolder
from loopsmith.cli.find import where
from loopsmith.cli.options import AgentOption, SetOption, StateOption, TrackerOption, WorkflowArgument
from loopsmith.cli.watch import check_terminal, run_watched
from loopsmith.errors import LoopsmithError, UsageError
from loopsmith.library.progress import LiveView
from loopsmith.library.run import Running, agent_named
from loopsmith.search.budget import End

INTERRUPTED = 130


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


def run_workflow(
    path: Path | None,
    overrides: Sequence[str],
    *,
    agent: str | None,
    new: bool,
    state: Path | None,
    tracker: str | None,
    plain: bool,
    watch: bool = False,
    accept_noise: bool = False,
    record: Path | None = None,
    replay: Path | None = None,
) -> int:
    """Run or resume the workflow's campaign, show it, and print its summary; gives the exit code."""
    if watch:
        check_terminal()
    tape = tape_of(record, replay)
    chosen = workflow.find(path)
    loaded = workflow.load(chosen, [*agent_override(agent), *overrides])
    folder = StateFolder(state.expanduser().absolute() if state else loaded.state)
    live = sys.stdout.isatty() and not plain
    log.configure(level="warning" if live else "info", stream=sys.stderr)
    for notice in loaded.notices:
        print(notice, file=sys.stderr)
    opened = open_campaign(loaded, folder, tracker=tracker, new=new, tape=tape)
    again = where(path, state, tracker, None)
    if watch:
        with kept_for_later():
            view, page = run_watched(opened, folder, tracker, again, accept_noise=accept_noise)
            return ended(view, again, page)
    with opened as context:
        context.accept_noise = accept_noise
        shown = LiveView(context) if live else nullcontext()
        running = Running()
        try:
            with shown:
                asyncio.run(supervised(context, running))
        except asyncio.CancelledError:
            pass  # the summary says that it was stopped, and how to go on
        except LoopsmithError:
            if running.report is not None:
                print(f"the report is {running.report}", file=sys.stderr)
            raise
        state_now = report.status(context.store, context.store.campaign(context.id))
    return ended(state_now, again, running.report)


def ended(view: dict[str, Any], again: str, page: Path | None) -> int:
    """Print the summary of a campaign that has ended, and where its report is; gives the exit code."""
    print(report.summary(view, again, report=page))
    return INTERRUPTED if view["campaign"]["status"] == "stopped" else 0


@contextmanager
def kept_for_later() -> Iterator[None]:
    """Log lines of the block, which would fall into the full-screen view, come after it."""
    kept = io.StringIO()
    log.configure(level="warning", stream=kept)
    try:
        yield
    finally:
        log.configure(level="warning", stream=sys.stderr)
        sys.stderr.write(kept.getvalue())


def tape_of(record: Path | None, replay: Path | None) -> Tape | None:
    """What records or replays the models, if anything does.

    Raises:
        UsageError: both are asked for, or the folder will not do.
    """
    if record and replay:
        raise UsageError("--record and --replay exclude each other: a replay makes no call that could be recorded")
    if record:
        return to_record(record.expanduser())
    return to_replay(replay.expanduser()) if replay else None


async def supervised(context: Context, running: Running) -> End:
    """The campaign, with Ctrl-C once finishing what is being decided, and twice stopping now; SIGTERM stops now."""

    def prepare(running: Running) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, running.interrupt)
        loop.add_signal_handler(signal.SIGTERM, running.cancel)

    return await running.run(context, prepare)


def agent_override(agent: str | None) -> list[str]:
    """`--agent KIND[:NAME]` as a setting."""
    if agent is None:
        return []
    kind, *rest = agent_named(agent).items()
    words = [f"{kind[0]}: {kind[1]}", *(f"{key}: {value!r}" for key, value in rest)]
    return [f"agent={{{', '.join(words)}}}"]
