"""`loopsmith check`: the resolved settings, what the budget affords, and every problem at once."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopsmith import log, observers, workflow
from loopsmith.agents import registry
from loopsmith.campaign.measure.calibration import calibrate, findings, noise_words
from loopsmith.campaign.measure.leases import Leases
from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.roles.profiling import check_profiler
from loopsmith.campaign.state import StateFolder
from loopsmith.cli.options import AgentOption, JsonOption, SetOption, WorkflowArgument
from loopsmith.cli.run import agent_override
from loopsmith.errors import LoopsmithError, WorkflowError
from loopsmith.observers import notify
from loopsmith.process.environment import clean_environment
from loopsmith.workspace import Sandbox, source_files


def check(
    workflow: WorkflowArgument = None,
    overrides: SetOption = None,
    agent: AgentOption = None,
    measure: Annotated[
        bool, typer.Option("--calibrate", help="Run the verifier on the source too, and say what its noise allows.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    raise typer.Exit(print_check(workflow, overrides or (), agent=agent, as_json=as_json, measure=measure))


def print_check(
    path: Path | None, overrides: Sequence[str], *, agent: str | None, as_json: bool, measure: bool = False
) -> int:
    """Print what would run; gives the exit code, 2 when something is wrong.

    Args:
        measure: run the verifier on the untouched source too, as a campaign does at its start, and say how noisy it is.
    """
    noise = None
    notices: Sequence[str] = ()
    try:
        loaded = workflow.load(workflow.find(path), [*agent_override(agent), *overrides])
        problems, notices = problems_of(loaded), loaded.notices
    except WorkflowError as error:
        loaded, problems, notices = None, list(error.problems), error.notices
    if loaded and measure and not problems:
        noise = measured(loaded)
    if as_json:
        print(json.dumps(as_record(loaded, problems, noise, notices), indent=2))
    else:
        print_people(loaded, problems, noise, notices)
    return 2 if problems else 0


def measured(loaded: workflow.Workflow) -> dict[str, Any]:
    """What calibrating finds, in a state folder of its own that is gone afterwards.

    Raises:
        LoopsmithError: the source does not verify, or the machine is not ready.
    """
    log.configure(level="warning", stream=sys.stderr)
    with (
        tempfile.TemporaryDirectory(prefix="loopsmith-") as name,
        open_campaign(loaded, StateFolder(Path(name).resolve())) as context,
    ):
        context.accept_noise = True
        asyncio.run(calibrate(context))
        return findings(context)


def problems_of(loaded: workflow.Workflow) -> list[str]:
    """What is wrong beyond the file itself: the source, the agent, the machine."""
    problems: list[str] = []
    files: list[str] = []

    def attempt(action: Callable[[], Any]) -> Any:
        try:
            return action()
        except LoopsmithError as error:
            problems.extend(getattr(error, "problems", (str(error),)))
        return None

    def editable() -> None:
        workspace = loaded.settings.workspace
        hidden = loaded.links(holdout=True)
        found = source_files(loaded.source, exclude=workspace.exclude, links=hidden, state=loaded.state)
        files.extend(filter(loaded.editable, found))
        if not files:
            raise WorkflowError(
                f"no file in {loaded.source} matches workspace.editable ({', '.join(workspace.editable)})"
            )

    def agent() -> None:
        built, _ = registry.build(loaded.settings)
        if files:
            built.check(loaded.source, files)

    attempt(editable)
    attempt(agent)
    attempt(lambda: check_profiler(loaded, Sandbox.detect(loaded.settings.sandbox)))
    attempt(lambda: Leases(loaded.settings.verify.resources))
    attempt(lambda: check_programs(loaded))
    attempt(lambda: observers.build(loaded.settings.observe))
    attempt(lambda: notify.build(loaded.settings.notify, loaded.folder))
    return problems


def check_programs(loaded: workflow.Workflow) -> None:
    """Whether the verifier's commands name programs that are there; only plain names are looked at.

    Raises:
        WorkflowError: one line for each that is not.
    """
    verify = loaded.settings.verify
    if "PATH" in verify.env:
        return
    commands = [("command", verify.command), *(("setup", each) for each in verify.setup)]
    commands += [("checks", each) for each in verify.checks]
    path = clean_environment({})["PATH"]
    missing = []
    for key, command in commands:
        name = next((word for word in words_of(command) if not re.match(r"\w+=", word)), "")
        if re.fullmatch(r"[\w.+-]+", name) and not known_to_shell(name, path):
            missing.append(f"verify.{key}: there is no program `{name}` on PATH; install it, or write another command")
    if missing:
        raise WorkflowError(*dict.fromkeys(missing))


def words_of(command: str) -> list[str]:
    """The words of a command as the shell has them; none where a quotation mark is not closed."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def known_to_shell(name: str, path: str) -> bool:
    """Whether sh finds a program, a builtin or a keyword of that name."""
    asked = ["/bin/sh", "-c", 'command -v -- "$1" >/dev/null', "sh", name]
    return subprocess.run(asked, env={"PATH": path}, check=False).returncode == 0


def as_record(
    loaded: workflow.Workflow | None, problems: list[str], noise: dict[str, Any] | None, notices: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "ok": not problems,
        "problems": problems,
        "notices": list(notices),
        "workflow": str(loaded.path) if loaded else None,
        "affords": workflow.affordance(loaded) if loaded else None,
        "noise": noise,
        "settings": loaded.settings.model_dump(mode="json") if loaded else None,
    }


def print_people(
    loaded: workflow.Workflow | None, problems: list[str], noise: dict[str, Any] | None, notices: Sequence[str] = ()
) -> None:
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    if loaded:
        table = Table.grid(padding=(0, 2))
        for key, value, default in workflow.describe(loaded):
            table.add_row(key, Text(value, overflow="fold"), Text("default" if default else "", style="dim"))
        console.print(table)
        mode = "auto" if loaded.settings.sandbox == "required" else loaded.settings.sandbox
        sandbox = Sandbox.detect(mode, limits=loaded.settings.verify.limits.bounds())
        for missing in sandbox.missing:
            console.print(f"not protected: {missing}", style="yellow", markup=False)
        console.print(f"affords {workflow.affordance(loaded)}", style="bold", markup=False)
        console.print(
            "(counting all the time that a worker and a run may take; most take less)", style="dim", markup=False
        )
    for sentence in noise_words(noise) if noise else ():
        console.print(sentence, markup=False, soft_wrap=True)
    for notice in notices:
        errors.print(notice, style="yellow", markup=False, soft_wrap=True)
    for problem in problems:
        errors.print(f"loopsmith: {problem}", style="red", markup=False, soft_wrap=True)
    if not problems:
        console.print("no problem found", style="green")
