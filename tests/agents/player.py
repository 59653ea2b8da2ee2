"""A program that plays back the recorded stream of a real one: a small executable by its name, on PATH."""

import asyncio
from pathlib import Path
from typing import Any

from model_worker import Ledger, make_brief

from loopsmith.agents.coding import CodingAgent
from loopsmith.records import Brief, Report
from loopsmith.workflow.coding import CliAgent
from loopsmith.workspace import WorkerWorkspace

STREAMS = Path(__file__).parent / "streams"
EDIT = "echo '// faster' >> src/kernel.c"


def recorded(name: str) -> str:
    """A command that prints a recording."""
    return f"cat {STREAMS / name}.jsonl"


def player(folder: Path, name: str, *commands: str) -> None:
    """An executable of sh commands in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join(("#!/bin/sh", *commands)) + "\n")
    path.chmod(0o755)


def work(workspace: WorkerWorkspace, ledger: Ledger, brief: Brief | None = None, **settings: Any) -> Report:
    agent = CodingAgent(CliAgent.model_validate({"kind": "cli", **settings}))
    agent.check(workspace.path, ())
    return asyncio.run(agent.work(brief or make_brief(), workspace, ledger))
