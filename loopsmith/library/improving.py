"""`loopsmith.improve`: a campaign from a program or a notebook, without a workflow file."""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml

from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import HarnessError, LoopsmithError, NoiseError, UsageError
from loopsmith.library.progress import NotebookView, notebook_display, view_of
from loopsmith.library.result import Result, result_of
from loopsmith.library.run import Running, agent_named, in_thread
from loopsmith.library.shipping import ship
from loopsmith.workflow import Workflow, from_values
from loopsmith.workflow.load import STATE_FOLDER

METRIC = "score"  # of a function that returns a number
RESERVED = {"workspace": ("source", "editable", "root"), "verify": ("command",)}

Evaluate = Callable[[Path], Any] | str
Agent = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def improve(
    source: str | os.PathLike[str] = ".",
    *,
    editable: str | Sequence[str],
    evaluate: Evaluate | None = None,
    objective: Literal["minimize", "maximize"] | Mapping[str, Any] | None = None,
    budget: Mapping[str, Any] | None = None,
    agent: Agent = "tuner",
    prompt: str = "",
    state: str | os.PathLike[str] | None = None,
    new: bool = False,
    accept_noise: bool = False,
    progress: bool = True,
    **settings: Any,
) -> Result:
    """Improve the files of a folder until the budget, the target or Ctrl-C ends it; call it again to go on.

    Ctrl-C, or a notebook's stop button, finishes what is being decided and returns what there is; twice stops now.

    Args:
        source: the folder; it is never changed.
        editable: the files that may change, as patterns of `.gitignore`.
        evaluate: a function that gets a copy of the folder and returns a number, a map of numbers (metrics) and texts
            (feedback), or a pair of one of these and more information; or a shell command that prints the metric; or
            None, with `verify={"command": ...}`, or `{"openevolve": ...}` and the like. A function runs in a process
            of its own, as a copy made now, without network, keys and home folder, with `LOOPSMITH_SEED` in the
            environment. It must not import the candidate where that could lie: see `loopsmith.harness`.
        objective: minimize or maximize; or the section of a workflow, such as `{"metric": "loss", "direction": ...}`.
        budget: the section of a workflow, such as `{"wall_clock": "1h", "cost_usd": 5}`.
        agent: `KIND` or `KIND:NAME`, or the section of a workflow.
        prompt: what workers are told beside the brief; a template as a workflow's body.
        state: where loopsmith keeps its things; default `.loopsmith` in the source.
        new: start a new campaign even where one could go on.
        accept_noise: go on although the baseline's runs differ by half and more.
        progress: show what happens: in a notebook below the cell, on a terminal live, elsewhere as plain lines.
        settings: further sections of a workflow, such as `verify={"timeout": "1m"}`, `search=...`, `guardrails=...`.

    Raises:
        LoopsmithError: with what to do. What was done by then stays; call it again to go on.
    """
    workflow = workflow_of(source, editable, evaluate, objective, budget, agent, prompt, state, settings)
    folder, running = StateFolder(workflow.state), Running()
    display = notebook_display() if progress else None
    shown: list[NotebookView] = []

    def work() -> Result:
        with open_campaign(workflow, folder, new=new) as context:
            write_workflow(workflow)
            context.accept_noise = accept_noise
            view = view_of(context, display) if progress else nullcontext()
            if isinstance(view, NotebookView):
                shown.append(view)
            with view:
                try:
                    asyncio.run(running.run(context))
                except asyncio.CancelledError:
                    pass  # its status says that it was stopped
            return result_of(context, running.report)

    def tick(*, last: bool = False) -> None:
        for view in shown:
            view.tick(last=last)

    try:
        return in_thread(work, interrupted=running.interrupt, tick=tick)
    except LoopsmithError as error:
        if isinstance(error, NoiseError):
            error.add_note("From a program that is improve(..., accept_noise=True)")
        if folder.tracker.exists():
            error.add_note(f"What was done so far: loopsmith status --state {folder.root}")
        raise error.with_traceback(None) from None
    finally:
        tick(last=True)


def workflow_of(
    source: str | os.PathLike[str],
    editable: str | Sequence[str],
    evaluate: Evaluate | None,
    objective: str | Mapping[str, Any] | None,
    budget: Mapping[str, Any] | None,
    agent: Agent,
    prompt: str,
    state: str | os.PathLike[str] | None,
    settings: Mapping[str, Any],
) -> Workflow:
    """The arguments of `improve` as a workflow, in a file of the state folder that is not written yet.

    Raises:
        WorkflowError: with every problem.
        UsageError: an argument that another one says already, or a function that cannot be copied.
    """
    for section, keys in RESERVED.items():
        given = settings.get(section, {})
        if not isinstance(given, Mapping):
            raise UsageError(f"{section} is a map, as the section of a workflow, not {given!r}")
        taken = [key for key in keys if key in given and (key != "command" or evaluate is not None)]
        if taken:
            raise UsageError(f"give {taken[0]} as an argument of improve(), not in {section}")
    folder = Path(source).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; source is the folder that is to be improved")
    root = Path(state).expanduser().absolute() if state is not None else folder / STATE_FOLDER
    verify = dict(settings.get("verify", {}))
    goal = {"direction": objective} if isinstance(objective, str) else dict(objective or {})
    function = ""
    if isinstance(evaluate, str):
        verify["command"] = evaluate
    elif evaluate is not None:
        if not callable(evaluate):
            raise UsageError(f"evaluate is a function or a shell command, not {evaluate!r}")
        goal.setdefault("metric", METRIC)
        StateFolder(root).create()
        shipped = ship(evaluate, root, str(goal["metric"]))
        verify |= {"command": shipped.command, "read": [*verify.get("read", ()), str(shipped.path)]}
        function = shipped.source
    if "read" in verify:
        verify["read"] = [text if str(text)[:1] in "/~$" else str(folder / text) for text in verify["read"]]
    values = {
        "name": folder.name or "campaign",
        **settings,
        "objective": goal,
        "workspace": {
            **settings.get("workspace", {}),
            "source": str(folder),
            "editable": [editable] if isinstance(editable, str) else list(editable),
            "root": str(root),
        },
        "verify": verify,
        "budget": dict(budget or {}),
        "agent": agent_named(agent) if isinstance(agent, str) else agent,
    }
    if not goal:
        del values["objective"]
    body = f"{prompt}\n" if prompt else ""
    if function:
        body += "\nThe verifier calls this function with a folder that holds your change.\n"
        body += "{% raw %}\n```python\n" + function.replace("{%", "{ %") + "\n```\n{% endraw %}\n"
    values = json.loads(json.dumps(values, default=str))
    text = f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n{body}"
    workflow = from_values(values, path=root / "improve.md", text=text, body=body)
    # One file for each campaign that could go on: what is measured otherwise is another one.
    return replace(workflow, path=root / f"improve-{workflow.identity[:12]}.md")


def write_workflow(workflow: Workflow) -> None:
    """Write the workflow's file, so that the command line finds the campaign too."""
    try:
        workflow.path.write_text(workflow.text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"cannot write {workflow.path}: {(error.strerror or str(error)).lower()}") from error
