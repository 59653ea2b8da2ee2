"""loopsmith's side of a session: it answers what the agent asks for, and listens to what it does."""

import asyncio
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acp import RequestError
from acp.schema import (
    AllowedOutcome,
    CreateTerminalResponse,
    DeniedOutcome,
    EnvVariable,
    KillTerminalResponse,
    PermissionOption,
    ReadTextFileResponse,
    ReleaseTerminalResponse,
    RequestPermissionResponse,
    TerminalExitStatus,
    TerminalOutputResponse,
    ToolCallUpdate,
    UsageUpdate,
    WaitForTerminalExitResponse,
    WriteTextFileResponse,
)
from pydantic import BaseModel

from loopsmith.agents.acp.meter import Meter
from loopsmith.agents.acp.permission import Rules, Wish, paths_in
from loopsmith.agents.acp.transcript import Transcript
from loopsmith.agents.files import Files, Refused
from loopsmith.agents.output import head_and_tail, lines_of, printable
from loopsmith.errors import LoopsmithError
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Completed

TERMINALS = 32  # of one session, at a time


@dataclass
class Terminal:
    running: asyncio.Task[Completed]
    shown: int


class Client:
    """Implements the SDK's `Client`.

    Args:
        stop: told what ends the session: a limit that was met, or the harness that broke.
        deadline: of its commands, by the monotonic clock.
    """

    def __init__(
        self,
        *,
        workspace: Workspace,
        services: Services,
        transcript: Transcript,
        meter: Meter,
        files: Files,
        rules: Rules,
        stop: Callable[[LoopsmithError], None],
        deadline: float | None,
    ):
        self._workspace, self._services, self._transcript, self._meter = workspace, services, transcript, meter
        self._files, self._rules, self._stop, self._deadline = files, rules, stop, deadline
        self._calls: dict[str, dict[str, Any]] = {}
        self._terminals: dict[str, Terminal] = {}
        self._made = 0
        self.rejected: list[str] = []  # since it was last emptied

    @property
    def busy(self) -> bool:
        """Whether a command runs for the agent here, so that its silence means nothing."""
        return any(not terminal.running.done() for terminal in self._terminals.values())

    async def close(self) -> None:
        """End every command."""
        for terminal in self._terminals.values():
            terminal.running.cancel()
        await asyncio.gather(*(terminal.running for terminal in self._terminals.values()), return_exceptions=True)

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        record = wire(update)
        self._transcript.update(record)
        if isinstance(update, UsageUpdate):
            if update.cost is not None and update.cost.currency.upper() == "USD":
                try:
                    self._meter.cost(update.cost.amount)
                except LoopsmithError as error:
                    self._stop(error)
        elif "toolCallId" in record:
            call = self._calls.setdefault(record["toolCallId"], {})
            call.update({key: value for key, value in record.items() if value})
            self._services.progress(f"{call.get('kind', 'tool')} {' '.join(str(call.get('title', '')).split())[:60]}")

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        asked = wire(tool_call)
        known = self._calls.get(tool_call.tool_call_id, {})
        call = {**known, **{key: value for key, value in asked.items() if value}}
        titles = tuple(dict.fromkeys(str(source["title"]) for source in (asked, known) if source.get("title")))
        paths = tuple(dict.fromkeys((*paths_in(known), *paths_in(asked))))
        wish = Wish(str(call.get("kind") or "other"), titles, paths)
        answer = self._rules.answer(wish)
        wanted = ("allow_once", "allow_always") if answer.allowed else ("reject_once", "reject_always")
        chosen = next((option for kind in wanted for option in options if option.kind == kind), None)
        self._transcript.add(
            "Permission", asked=titles, of=wish.kind, paths=paths, allowed=answer.allowed, reason=answer.reason
        )
        if not answer.allowed:
            self.rejected.append(f"{wish.kind} {titles[0] if titles else ''}".strip()[:200] + f": {answer.reason}")
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen.option_id))

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **_: Any
    ) -> ReadTextFileResponse:
        try:
            text = self._files.read(self._files.readable_path(path), path)
        except (Refused, OSError) as problem:
            raise RequestError(-32602, str(problem)) from None
        if line is not None or limit is not None:
            first = max(1, line or 1) - 1
            text = "\n".join(lines_of(text)[first : None if limit is None else first + limit])
        return ReadTextFileResponse(content=printable(text))

    async def write_text_file(self, session_id: str, path: str, content: str, **_: Any) -> WriteTextFileResponse:
        try:
            self._files.write(self._files.editable_path(path), content)
        except (Refused, OSError) as problem:
            self._transcript.note(f"a write was refused: {problem}")
            raise RequestError(-32602, str(problem)) from None
        return WriteTextFileResponse()

    async def create_terminal(
        self,
        session_id: str,
        command: str,
        args: list[str] | None = None,
        env: list[EnvVariable] | None = None,
        cwd: str | None = None,
        output_byte_limit: int | None = None,
        **_: Any,
    ) -> CreateTerminalResponse:
        if sum(not terminal.running.done() for terminal in self._terminals.values()) >= TERMINALS:
            raise RequestError(-32602, f"{TERMINALS} commands run already; end one first")
        words = shlex.join([command, *args]) if args else command  # alone, it is a command line
        if cwd is not None and Path(cwd) != self._workspace.path:
            words = f"cd {shlex.quote(cwd)} && {words}"
        if env:
            words = "".join(f"export {item.name}={shlex.quote(item.value)}; " for item in env if named(item)) + words
        self._made += 1
        name = f"terminal-{self._made}"
        left = 3600.0 if self._deadline is None else max(1.0, self._deadline - time.monotonic())
        running = asyncio.create_task(self._shell(words, left))
        self._terminals[name] = Terminal(running, output_byte_limit or 100_000)
        self._transcript.add("Command", terminal=name, command=words)
        return CreateTerminalResponse(terminal_id=name)

    async def terminal_output(self, session_id: str, terminal_id: str, **_: Any) -> TerminalOutputResponse:
        terminal = self._terminal(terminal_id)
        if not terminal.running.done() or terminal.running.cancelled() or terminal.running.exception():
            return TerminalOutputResponse(output="", truncated=False)
        done = terminal.running.result()
        text = head_and_tail(done.log, terminal.shown)
        return TerminalOutputResponse(
            output=text, truncated=done.output_bytes > terminal.shown, exit_status=TerminalExitStatus(**ending(done))
        )

    async def wait_for_terminal_exit(self, session_id: str, terminal_id: str, **_: Any) -> WaitForTerminalExitResponse:
        terminal = self._terminal(terminal_id)
        await asyncio.wait([terminal.running])
        if terminal.running.cancelled() or terminal.running.exception():
            return WaitForTerminalExitResponse(signal="SIGKILL")
        return WaitForTerminalExitResponse(**ending(terminal.running.result()))

    async def kill_terminal(self, session_id: str, terminal_id: str, **_: Any) -> KillTerminalResponse:
        self._terminal(terminal_id).running.cancel()
        return KillTerminalResponse()

    async def release_terminal(self, session_id: str, terminal_id: str, **_: Any) -> ReleaseTerminalResponse:
        terminal = self._terminals.pop(terminal_id, None)
        if terminal is not None:
            terminal.running.cancel()
            await asyncio.wait([terminal.running])
        return ReleaseTerminalResponse()

    async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        raise RequestError.method_not_found(method)

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        """Nobody here listens to an agent's own notifications."""

    async def _shell(self, command: str, timeout: float) -> Completed:
        try:
            return await self._workspace.shell(command, timeout)
        except LoopsmithError as error:
            self._stop(error)
            raise

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            raise RequestError(-32602, f"there is no terminal `{name[:100]}`")
        return self._terminals[name]


def wire(model: BaseModel) -> dict[str, Any]:
    """A message as the protocol writes it."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def named(variable: EnvVariable) -> bool:
    return variable.name.isidentifier() and variable.name.isascii()


def ending(done: Completed) -> dict[str, Any]:
    """How a command ended, as the protocol has it."""
    if done.exit_code is not None:
        return {"exit_code": done.exit_code}
    return {"signal": "SIGTERM" if done.timed_out else str(done.signal or "SIGKILL")}
