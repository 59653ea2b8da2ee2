"""The worker that is a coding agent's program."""

import json
import os
import random
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from loopsmith import log
from loopsmith.agents.coding.home import LARGEST, PROMPT, REPORT, furnish, logged_in, put, words
from loopsmith.agents.coding.meter import Meter
from loopsmith.agents.coding.presets import entry
from loopsmith.agents.coding.price import listed_price, prices
from loopsmith.agents.coding.run import Run
from loopsmith.agents.line import Line
from loopsmith.agents.mcp.entry import TOKEN
from loopsmith.agents.mcp.host import ToolHost
from loopsmith.agents.prompts import for_program
from loopsmith.agents.retry import LONGEST_WAIT
from loopsmith.errors import LimitReached, ProviderError, WorkflowError
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief, Report
from loopsmith.workflow.coding import CliAgent

LONG = 100_000  # bytes of a prompt that an argument can hold
READ_IT = "Read the file {prompt_file}. It holds your task; do all of it."
PAUSE = 30.0  # seconds until a program is started again that met a rate limit without an end; doubled each time
PATIENCE = 1800.0  # seconds of rate limits without an end in one worker
BYTES_PER_TOKEN = 3


class CodingAgent:
    """`Agent` over a program: a preset, or any other that the workflow describes."""

    def __init__(self, settings: CliAgent):
        self.settings, self.entry = settings, entry(settings)
        self.program = settings.program or Path(self.entry.argv[0]).name
        self.name = f"{self.program}/{settings.model}" if settings.model else self.program
        self.price = prices(settings, self.entry)
        self.strict = False
        self.line = Line()
        self.files: Mapping[str, bytes] = {}

    def require_price(self) -> None:
        """Money is limited, so every run must have a price.

        Raises:
            WorkflowError: nobody knows it.
        """
        self.strict = True
        settings, rules = self.settings, tuple(self.entry.usage.rules())
        tokens = any(rule.input or rule.output for rule in rules)
        named = any(rule.model for rule in rules) or listed_price(self.entry.provider, settings.model or "") is not None
        known = settings.cost_per_run is not None or any(rule.cost for rule in rules)
        if not known and not (tokens and (named or settings.price is not None)):
            said = (
                "its output says nothing of tokens or dollars" if not tokens else "the price of its model is not known"
            )
            wanted = "" if not tokens else "a listed agent.model, agent.price (dollars per million tokens) or "
            raise WorkflowError(
                f"agent.cost_per_run: what a run of `{self.program}` costs is not known ({said}), and the budget "
                f"limits money; give {wanted}agent.cost_per_run, such as `cost_per_run: $0.50`"
            )

    def check(self, folder: Path, files: Sequence[str]) -> None:
        """See `protocols.Agent`."""
        problems = []
        if shutil.which(self.entry.argv[0]) is None:
            how = f"install it with `{self.entry.install}`" if self.entry.install else "install it"
            problems.append(
                f"agent.program: `{self.entry.argv[0]}` is not installed (it is not on PATH); {how}, "
                "or give its whole path in agent.argv"
            )
        elif self.entry.log_in and not logged_in(self.settings, self.entry):
            problems.append(f"agent.program: `{self.program}` is not logged in; {self.entry.log_in}")
        given = {}
        for path, source in self.settings.files.items():
            try:
                given[path] = (folder / source).read_bytes()[:LARGEST]
            except OSError as error:
                problems.append(f"agent.files: {source} cannot be read: {error.strerror} (from the source folder)")
        for name in self.settings.env:
            if name not in os.environ:
                problems.append(f"agent.env: ${name} is not set in the environment")
        if problems:
            raise WorkflowError(*problems)
        self.files = given

    async def work(self, brief: Brief, workspace: Workspace, services: Services) -> Report:
        """See `protocols.Agent`. A rate limit is waited out, and the program started again on what it left."""
        limit = brief.limits.wall_clock
        deadline = None if limit is None else time.monotonic() + limit
        async with self.tools(brief, workspace, services, deadline) as host:
            return await self.try_on(brief, workspace, services, deadline, host)

    @asynccontextmanager
    async def tools(
        self, brief: Brief, workspace: Workspace, services: Services, deadline: float | None
    ) -> AsyncIterator[ToolHost | None]:
        """loopsmith's tools for a program that can be told of them."""
        if self.entry.tools is None:
            yield None
            return
        async with ToolHost(brief, workspace, services, deadline).listening() as host:
            yield host

    async def try_on(
        self, brief: Brief, workspace: Workspace, services: Services, deadline: float | None, host: ToolHost | None
    ) -> Report:
        """Run the program until it was not turned away by a rate limit, which costs the worker no time."""
        pause, number = PAUSE, 0
        while True:
            while self.line.wait:
                begun = time.monotonic()
                await services.pause(self.line.wait + random.uniform(0, 0.25))
                deadline = None if deadline is None else deadline + time.monotonic() - begun
                if host is not None:
                    host.toolbox.deadline = deadline
            number += 1
            transcript = workspace.scratch / f"transcript-{brief.attempt}.{number}.jsonl"
            run = await self.run(brief, workspace, services, deadline, transcript, host)
            if isinstance(run, LimitReached):
                return Report(finish_reason=run.limit.rpartition(".")[2], summary=str(run))
            if run.outcome == "not_logged_in":
                how = self.entry.log_in or "log in"
                raise ProviderError(
                    f"{self.program} cannot log in ({run.message or 'so it says'}); {how}, then run again"
                )
            if not run.turned_away:
                return self.report(run, brief, workspace, transcript, host)
            wait = pause if run.retry_after is None else run.retry_after
            if wait > (PATIENCE if run.retry_after is None else LONGEST_WAIT):
                raise ProviderError(
                    f"{self.name} is rate limited ({run.message or 'it gives no reason'}) for longer than a worker may "
                    "wait; run again later"
                )
            self.line.limited(wait)
            if run.retry_after is None:
                pause *= 2

    async def run(
        self,
        brief: Brief,
        workspace: Workspace,
        services: Services,
        deadline: float | None,
        transcript: Path,
        host: ToolHost | None,
    ) -> Run | LimitReached:
        """The program, once; or the limit that does not allow it."""
        prompt = for_program(brief, workspace.home / REPORT, tools=host is not None)
        furnish(workspace.home, self.entry, self.files)
        put(workspace.home / PROMPT, prompt.encode())
        for path, text in (self.entry.tools.files if self.entry.tools else {}).items():
            put(workspace.home / path, fill(text, self.values(workspace, host)).encode())
        meter = self.meter(brief, services)
        try:
            meter.open(len(prompt.encode()) // BYTES_PER_TOKEN)
        except LimitReached as reached:
            return reached
        run = Run(
            entry=self.entry,
            services=services,
            meter=meter,
            home=workspace.home,
            turns=brief.limits.turns,
            silence=self.settings.silence,
            host=host,
        )
        argv, stdin = self.command(prompt, workspace, host)
        limit = None if deadline is None else max(1.0, deadline - time.monotonic())
        await run.work(workspace, argv, self.environment(workspace, host), stdin, limit, transcript)
        if host is not None and host.over.done():
            host.over.result()  # raises what broke under a tool
        return run

    def meter(self, brief: Brief, services: Services) -> Meter:
        rules = [rule for rule in self.entry.usage.rules() if rule.input or rule.output or rule.cost]
        # A program that says nothing before its end may use all that its worker may.
        silent = bool(rules) and all(rule.total for rule in rules)
        return Meter(
            services=services,
            name=self.name,
            price=self.price,
            flat=self.settings.cost_per_run,
            first=brief.limits.cost_usd if silent else None,
            tells=any(rule.cost for rule in rules),
            believed=self.settings.price is None,
            strict=self.strict,
        )

    def command(self, prompt: str, workspace: Workspace, host: ToolHost | None) -> tuple[list[str], bytes]:
        """The command line, and what it reads from standard input."""
        entry, settings = self.entry, self.settings
        words = [*entry.argv, *(entry.confined if workspace.confined else entry.unconfined)]
        words += [
            *(entry.tools.argv if entry.tools else ()),
            *(entry.model_argv if settings.model else ()),
            *settings.args,
        ]
        values = self.values(workspace, host)
        task = prompt if len(prompt.encode()) < LONG else READ_IT.format(**values)
        asked = any("{prompt}" in word or "{prompt_file}" in word for word in words)
        argv = [fill(word, {**values, "prompt": task}) for word in words]
        program = shutil.which(argv[0])
        if program is None:
            raise ProviderError(f"`{argv[0]}` is no longer on PATH; install it, then run again")
        return [os.path.abspath(program), *argv[1:]], b"" if asked else prompt.encode()

    def environment(self, workspace: Workspace, host: ToolHost | None) -> dict[str, str]:
        passed = {name: os.environ[name] for name in (*self.entry.keys, *self.settings.env) if name in os.environ}
        for name, value in passed.items():
            if name.endswith(("KEY", "TOKEN", "SECRET")):
                log.register_secret(value)
        given = {**self.entry.set, **(self.entry.tools.set if self.entry.tools else {})}
        own = {name: fill(value, self.values(workspace, host)) for name, value in given.items()}
        return {**own, **passed, "LOOPSMITH_REPORT": str(workspace.home / REPORT)}

    def values(self, workspace: Workspace, host: ToolHost | None) -> dict[str, str]:
        server = host.entry() if host else None
        told = (
            {}
            if server is None
            else {
                "mcp_command": json.dumps(server.command),
                "mcp_args": json.dumps(server.args),
                "mcp_line": json.dumps([server.command, *server.args]),
                "mcp_env": json.dumps(server.env),
                "mcp_token": json.dumps(server.env[TOKEN]),
            }
        )
        return {
            **told,
            "prompt_file": str(workspace.home / PROMPT),
            "model": self.settings.model or "",
            "folder": str(workspace.path),
            "home": str(workspace.home),
        }

    def report(self, run: Run, brief: Brief, workspace: Workspace, transcript: Path, host: ToolHost | None) -> Report:
        said = words(workspace.home).model_dump()
        if host is not None and host.words is not None:
            said |= {name: text for name, text in host.words.model_dump().items() if text}
        timed_out = run.done is not None and run.done.timed_out
        error = run.problem(self.program)
        reason = "wall_clock" if timed_out else "error" if error else run.ended or "submitted"
        return Report(
            finish_reason=reason,
            error=error,
            transcript=transcript,
            **{
                **said,
                "summary": said["summary"] or run.words[:1000],
                "hypothesis": said["hypothesis"] or brief.hypothesis,
            },
        )


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its `{name}`s replaced; other braces are left alone."""
    for name, value in values.items():
        if text == f"{{{name}}}":
            return value
    for name, value in values.items():
        if name != "prompt":
            text = text.replace(f"{{{name}}}", value)
    return text.replace("{prompt}", values.get("prompt", "{prompt}"))
