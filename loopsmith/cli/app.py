"""The commands: what each is called and for, and where it is. One is imported only when it is called."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import loopsmith

COMMANDS = {
    "Start": {
        "init": (
            "init:app",
            "Write a ready workflow into a folder, fitted to the program that is there; without a template, list them.",
        ),
        "adopt": (
            "adopt:adopt",
            "Draft a WORKFLOW.md from a plain program.md: every guess quotes its line, and what is missing is listed.",
        ),
        "check": ("check:check", "Print the resolved settings, what the budget affords, and every problem at once."),
        "run": ("run:run", "Run a campaign until its budget, its target or Ctrl-C ends it; run it again to go on."),
    },
    "Look": {
        "watch": (
            "watch:watch",
            "Watch a campaign in a full-screen view, and say a word to it; q closes it, and the campaign goes on.",
        ),
        "serve": ("serve:serve", "Show the campaigns as a web page, with a JSON API and metrics."),
        "status": ("look:status", "Say where a campaign stands."),
        "show": ("look:show", "Print everything known of one candidate: hypothesis, decision, measurements, patch."),
        "log": ("look:log", "Print the newest events, oldest first."),
        "memory": ("look:memory", "Print what was learned."),
        "report": (
            "report:report",
            "Write what was gained, whether to believe it, how to take it: a page, Markdown, and a picture.",
        ),
        "export": ("export:export", "Print all candidates, or another table, for a spreadsheet, pandas or Datasette."),
    },
    "Steer": {
        "steer": ("steer:steer", "Say a word to the workers: a hint that enters the next briefs."),
        "pause": (
            "steer:pause",
            "Let a running campaign start nothing new; paused time does not count against its budget.",
        ),
        "resume": ("steer:resume", "End a pause. A campaign that was stopped goes on with `loopsmith run`."),
        "stop": ("steer:stop", "End the running campaign as Ctrl-C does; run it again to go on."),
        "set": (
            "steer:set_",
            "Change a setting of a campaign that goes on, until the workflow itself says something else for it.",
        ),
        "approve": (
            "steer:approve",
            "Keep a quarantined candidate; while its campaign runs, when the round has ended.",
        ),
        "reject": ("steer:reject", "Discard a quarantined candidate."),
    },
    "Take": {
        "apply": (
            "take:apply",
            "Write the kept changes as a branch of your repository, one commit each, or as a patch file.",
        ),
        "verify": (
            "take:verify",
            "Measure a candidate, a folder or a git ref against the baseline, with the campaign's verifier.",
        ),
        "ablate": (
            "take:ablate",
            "Tell what each kept change contributes in the final state, by measuring that state without it.",
        ),
    },
    "For agents": {
        "mcp": ("mcp:mcp", "Serve a worker's tools to its agent over MCP; loopsmith configures agents to start this."),
    },
}


class Commands(TyperGroup):
    """The group of them all, which imports the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for title, panel in COMMANDS.items():
            for name, (_, words) in panel.items():
                self.add_command(TyperCommand(name, help=words, rich_help_panel=title))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, name and loaded(name), rest


def loaded(name: str) -> Any:
    """The command itself."""
    where, words = next(panel[name] for panel in COMMANDS.values() if name in panel)
    module, _, attribute = where.partition(":")
    found = getattr(import_module(f"loopsmith.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, context_settings=CONTEXT)
        single.command(name)(found)
        found = single
    command = get_command(found)
    command.help = words
    return command


CONTEXT = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="loopsmith",
    cls=Commands,
    help="Runs generate-verify-refine loops, and keeps only what is really better.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT,
)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(loopsmith.__version__)
        raise typer.Exit
