"""`loopsmith mcp`: a worker's tools, for the agent that works there."""

from pathlib import Path
from typing import Annotated

import typer

from loopsmith.agents.mcp.server import run_server


def mcp(socket: Annotated[Path, typer.Option("--socket", help="The worker's socket.")]) -> None:
    run_server(socket)
