"""`loopsmith serve`: the tracker as a web page."""

import os
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from loopsmith.cli.find import state_folder
from loopsmith.cli.options import StateOption, TrackerOption, WorkflowOption
from loopsmith.errors import UsageError

PORT = 8765


def serve(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = PORT,
    host: Annotated[
        str, typer.Option("--host", help="Another than 127.0.0.1 lets others read it, with the token.")
    ] = "127.0.0.1",
    allow_control: Annotated[
        bool, typer.Option("--allow-control", help="Also stop, pause, steer, approve and reject, with the token.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="PATH", help="Holds the token. Default: LOOPSMITH_TOKEN, or a new one."),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Ask for the token for reading too.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    from loopsmith.serve.server import access_for, listen, read_token, run
    from loopsmith.serve.site import Site
    from loopsmith.serve.source import Source

    folder = state_folder(workflow, state)
    if tracker is None and not folder.tracker.exists():
        raise UsageError(
            f"no campaign in {folder.root}; start one with `loopsmith run`, or name its workflow with -w PATH"
        )
    given = read_token(token_file, os.environ.get("LOOPSMITH_TOKEN"))
    access_for(host, port, control=allow_control, given=given, private=private)
    source = Source(folder, tracker)
    source.store()
    with listen(host, port) as listening:
        number = listening.getsockname()[1]
        access = access_for(host, number, control=allow_control, given=given, private=private)
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{number}/"
        shown = f"{url}#token={access.token}" if access.token and given is None else url
        print(shown, flush=True)
        if open_:
            webbrowser.open(shown)
        run(Site(source, access), listening)
