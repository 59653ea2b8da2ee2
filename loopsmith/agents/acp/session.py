"""One worker's session with an agent: start the program, send the brief, and watch it until it is over."""

import asyncio
import difflib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import acp
from acp import PROTOCOL_VERSION, RequestError, connect_to_agent, text_block
from acp.client import ClientSideConnection
from acp.schema import (
    ClientCapabilities,
    EnvVariable,
    FileSystemCapabilities,
    Implementation,
    McpServerStdio,
    NewSessionResponse,
    SessionConfigOptionSelect,
    SessionConfigSelectOption,
)
from pydantic import ValidationError

import loopsmith
from loopsmith.agents.acp.client import Client, wire
from loopsmith.agents.acp.meter import Meter
from loopsmith.agents.acp.permission import Rules
from loopsmith.agents.acp.prompt import CUT_OFF, GO_ON, opening, refused
from loopsmith.agents.acp.transcript import Transcript
from loopsmith.agents.acp.transport import Lines
from loopsmith.agents.files import Files
from loopsmith.agents.mcp.host import ToolHost
from loopsmith.agents.output import head_and_tail
from loopsmith.errors import HarnessError, LimitReached, LoopsmithError, ProviderError
from loopsmith.process import Piped
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief, Report
from loopsmith.workflow.acp import AcpAgent
from loopsmith.workflow.quote import one_line
from loopsmith.workflow.units import format_duration
from loopsmith.workflow.values import editable_matcher

START = 120.0  # seconds to answer as an agent of the protocol
WIND_DOWN = 10.0  # seconds to end by itself after a submit, or when it was told to stop
PROMPTS = 4  # of one session: the first, and what follows on a stop without a result
NOT_LOGGED_IN = -32000  # the protocol's `auth_required`
STOPS = {"max_turn_requests": "turns", "max_tokens": "tokens", "cancelled": "stopped", "end_turn": "stopped"}


class Session:
    """One run of an agent."""

    def __init__(self, settings: AcpAgent, name: str, brief: Brief, workspace: Workspace, services: Services):
        self.settings, self.name, self.brief = settings, name, brief
        self.workspace, self.services = workspace, services
        self.began = self.heard = time.monotonic()
        limit = brief.limits.wall_clock
        self.deadline = None if limit is None else self.began + limit
        self.transcript = Transcript(workspace.scratch / f"transcript-{brief.attempt}.jsonl")
        self.host = ToolHost(brief, workspace, services, self.deadline)
        self.stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.session = ""
        self.asked = False

    async def run(self) -> Report:
        """From the start of the program until nothing of it is left.

        Raises:
            ProviderError: the agent cannot work here: it does not start, is not logged in, has no such model.
            HarnessError: the machinery under the campaign broke.
        """
        try:
            meter = Meter(self.services, self.name, self.settings.cost_per_run)
        except LimitReached as reached:
            return self.report(reached.limit.rpartition(".")[2])
        try:
            async with self.host.listening(), self.program() as program:
                report = await self.hold(program, meter)
        finally:
            meter.end(time.monotonic() - self.began, began=self.asked)
        if self.asked and self.settings.cost_per_run is None and self.settings.reports_cost and not meter.reported:
            raise ProviderError(
                f"{self.name} reported no cost, although agent.reports_cost says that it does; set agent.cost_per_run"
            )
        return report

    def program(self) -> Any:
        known = self.settings.known
        passed = {name: os.environ[name] for name in (*known.keys, *self.settings.env) if name in os.environ}
        own = Path.home()
        home = {name: own / name for name in self.settings.copied if (own / name).is_file()}
        argv = (*known.argv, *self.settings.args, *(known.confined if self.workspace.confined else ()))
        return self.workspace.piped(argv, env={**dict(known.env), **passed}, home=home)

    async def hold(self, program: Piped, meter: Meter) -> Report:
        """The conversation with a running program."""
        editable = editable_matcher(self.brief.editable)
        client = Client(
            workspace=self.workspace,
            services=self.services,
            transcript=self.transcript,
            meter=meter,
            files=Files(self.workspace.path, (self.workspace.scratch,), editable, ", ".join(self.brief.editable)),
            rules=Rules(
                root=self.workspace.path,
                readable=(self.workspace.scratch, Path("/tmp")),
                editable=editable,
                network=self.workspace.network,
                tools=tuple(tool.name for tool in self.host.tools),
            ),
            stop=self.stop,
            deadline=self.deadline,
        )
        lines = Lines(program, self.hear, self.transcript.note)
        connection = connect_to_agent(cast(acp.Client, client), lines)
        try:
            await self.open(connection, program, lines)
            return await self.watch(connection, client, meter, program, lines)
        finally:
            await connection.close()
            await client.close()

    async def open(self, connection: ClientSideConnection, program: Piped, lines: Lines) -> None:
        """Shake hands, open a session, choose the model.

        Raises:
            ProviderError: it cannot work here.
        """
        self.services.progress("starting")
        limit = START if self.deadline is None else min(START, self.deadline - time.monotonic())
        entry = self.host.entry()
        env = [EnvVariable(name=name, value=value) for name, value in entry.env.items()]
        server = McpServerStdio(name=entry.name, command=entry.command, args=list(entry.args), env=env)
        try:
            async with asyncio.timeout(limit):
                hello = await connection.initialize(
                    protocol_version=PROTOCOL_VERSION,
                    client_capabilities=ClientCapabilities(
                        fs=FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=True
                    ),
                    client_info=Implementation(name="loopsmith", version=loopsmith.__version__),
                )
                if hello.protocol_version != PROTOCOL_VERSION:
                    raise ProviderError(
                        f"{self.name} speaks version {hello.protocol_version} of the Agent Client Protocol, and "
                        f"loopsmith version {PROTOCOL_VERSION}; install another version of either"
                    )
                self.transcript.add("Agent", name=self.name, info=hello.agent_info and hello.agent_info.model_dump())
                opened = await connection.new_session(cwd=str(self.workspace.path), mcp_servers=[server])
                self.session = opened.session_id
                if self.settings.model:
                    await self.choose(connection, opened, self.settings.model)
        except TimeoutError:
            raise ProviderError(
                f"{self.name} did not open a session within {format_duration(round(limit))}; perhaps it waits for a "
                f"login or a terminal: try `{' '.join(self.settings.known.argv)}` by hand{errors_of(program)}"
            ) from None
        except RequestError as error:
            raise self.unusable(error) from error
        except ValidationError as error:
            raise ProviderError(
                f"{self.name} does not answer as the Agent Client Protocol says: {one_line(str(error))}"
            ) from error
        except OSError as error:
            raise ProviderError(await self.why_gone(program, lines)) from error

    async def choose(self, connection: ClientSideConnection, opened: NewSessionResponse, model: str) -> None:
        """Set the session's model, where the agent lets its client do that."""
        option = next(
            (
                option
                for option in opened.config_options or []
                if isinstance(option, SessionConfigOptionSelect) and option.category == "model"
            ),
            None,
        )
        if option is None:
            raise ProviderError(
                f"{self.name} does not let loopsmith choose its model; leave out agent.model, and choose it in the "
                "agent's own settings"
            )
        values = []
        for item in option.options:
            values += [item.value] if isinstance(item, SessionConfigSelectOption) else [o.value for o in item.options]
        if model not in values:
            near = difflib.get_close_matches(model, values, n=3, cutoff=0.3) or values[:5]
            raise ProviderError(f"{self.name} has no model `{model}`; it has {', '.join(near)}")
        await connection.set_config_option(config_id=option.id, session_id=self.session, value=model)

    async def watch(
        self, connection: ClientSideConnection, client: Client, meter: Meter, program: Piped, lines: Lines
    ) -> Report:
        """Wait for the end of the work, or for a limit that ends it."""
        work = asyncio.create_task(self.converse(connection, client, meter))
        try:
            reason = await self.until_over(work, client, program)
            if reason and not work.done():
                with suppress(OSError):
                    await connection.cancel(session_id=self.session)
                    await asyncio.wait([work], timeout=WIND_DOWN)
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait([work])
        if self.stopped.done() and not isinstance(broken := self.stopped.exception(), LimitReached):
            raise broken or HarnessError("the session was stopped")
        if reason == "silence":
            return self.report("error", error=f"the agent said nothing for {format_duration(self.settings.silence)}")
        if reason.startswith("limit:"):
            return self.report("error", error=f"the agent {reason.removeprefix('limit:')}")
        if reason:
            return self.report(reason)
        try:
            return self.report(work.result())
        except Refusal as refusal:
            return self.report("error", error=str(refusal))
        except RequestError as error:
            if error.code == NOT_LOGGED_IN:
                raise self.unusable(error) from error
            return self.report("error", error=f"the agent failed: {details(error)}")
        except ValidationError as error:
            return self.report("error", error=f"the agent's answer is none of the protocol: {one_line(str(error))}")
        except OSError:
            return self.report("error", error=await self.why_gone(program, lines))

    async def until_over(self, work: "asyncio.Task[str]", client: Client, program: Piped) -> str:
        """Why the session is to be ended: a limit's name, `silence`; empty when it ended by itself, or submitted."""
        while True:
            now = time.monotonic()
            if client.busy or self.host.running:
                self.heard = now
            self.heard = max(self.heard, self.host.asked)
            quiet = self.heard + self.settings.silence
            until = quiet if self.deadline is None else min(quiet, self.deadline)
            awaited: tuple[asyncio.Future[Any], ...] = (work, self.host.over, self.stopped)
            done, _ = await asyncio.wait(
                awaited, timeout=max(0.0, min(until - now, 1.0)), return_when=asyncio.FIRST_COMPLETED
            )
            if self.host.over in done:
                self.host.over.result()
                await asyncio.wait([work], timeout=WIND_DOWN)
                return "" if work.done() else "submitted"
            if self.stopped in done:
                error = self.stopped.exception()
                return error.limit.rpartition(".")[2] if isinstance(error, LimitReached) else "stopped"
            if work in done:
                return f"limit:{program.limit}" if program.limit else ""
            now = time.monotonic()
            if self.deadline is not None and now >= self.deadline:
                return "wall_clock"
            if now >= max(self.heard, self.host.asked) + self.settings.silence and not client.busy:
                return "silence"

    async def converse(self, connection: ClientSideConnection, client: Client, meter: Meter) -> str:
        """Prompt until the work is done; gives the reason of the end."""
        words = opening(self.brief, self.workspace.path, network=self.workspace.network)
        stop = "end_turn"
        for _ in range(PROMPTS):
            self.transcript.add("Prompt", text=words)
            client.rejected.clear()
            self.asked = True
            answer = await connection.prompt(session_id=self.session, prompt=[text_block(words)])
            stop = answer.stop_reason
            self.transcript.add("Stop", answer=wire(answer))
            if used := answer.usage:
                cached, written = used.cached_read_tokens or 0, used.cached_write_tokens or 0
                meter.tokens(used.input_tokens, cached, written, used.output_tokens + (used.thought_tokens or 0))
            if stop == "refusal":
                raise Refusal(f"the model refuses: {self.transcript.last_words()[:200] or 'it gives no reason'}")
            if self.host.submitted is not None:
                return "submitted"
            if stop == "max_tokens":
                words = CUT_OFF
            elif stop != "end_turn":
                break
            elif client.rejected:
                words = refused(client.rejected)
            elif not self.host.toolbox.touched and words != GO_ON:
                words = GO_ON
            else:
                break
        return STOPS[stop]

    def hear(self) -> None:
        self.heard = time.monotonic()

    def stop(self, error: LoopsmithError) -> None:
        if not self.stopped.done():
            self.stopped.set_exception(error)

    def unusable(self, error: RequestError) -> ProviderError:
        if error.code == NOT_LOGGED_IN:
            return ProviderError(f"{self.name} is not logged in: {self.settings.known.login} ({details(error)})")
        return ProviderError(f"{self.name} does not open a session: {details(error)}")

    async def why_gone(self, program: Piped, lines: Lines) -> str:
        """Why nothing more comes from the program."""
        if lines.problem:
            return f"{self.name} {lines.problem}"
        await program.ended(1.0)
        code = program.exit_code
        how = "closed its output" if code is None else f"ended with exit code {code}"
        if program.limit:
            how = program.limit
        return f"{self.name} {how}{errors_of(program)}"

    def report(self, reason: str, *, error: str = "") -> Report:
        """The end, with the words of its submit, or else the agent's last words as the summary."""
        given = self.host.words
        words: Mapping[str, Any] = given.model_dump() if given else {"summary": self.transcript.last_words()[:1000]}
        hypothesis = words.get("hypothesis") or self.brief.hypothesis
        reason = "submitted" if self.host.submitted is not None and not error else reason
        transcript = self.transcript.path
        return Report(
            **{**words, "hypothesis": hypothesis, "finish_reason": reason, "error": error, "transcript": transcript}
        )


class Refusal(Exception):
    """The model does not do what it is asked."""


def details(error: RequestError) -> str:
    """What an agent's error says, with what stands in its data."""
    data = error.data if isinstance(error.data, dict) else {"data": error.data} if error.data else {}
    more = [str(value) for value in data.values() if isinstance(value, str | int) and str(value) not in str(error)]
    return one_line("; ".join([str(error), *more]))


def errors_of(program: Piped) -> str:
    """The end of a program's standard error, for a message."""
    text = one_line(" ".join(head_and_tail(program.errors).strip().splitlines()[-3:]))
    return f": {text}" if text else ""
