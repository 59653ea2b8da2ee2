"""The campaign's end of `loopsmith mcp`: one worker's tools, on a socket, for whoever has its token.

Lines of JSON: first `{"token": ...}`, answered by `{"tools": [...]}` or `{"error": ...}`; then any number of
`{"id": n, "tool": ..., "arguments": {...}}`, each answered by `{"id": n, "text": ..., "failed": ...}`.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from pydantic import BaseModel

from loopsmith.agents.arguments import Arguments, tool
from loopsmith.agents.campaign_tools import CAMPAIGN_KINDS
from loopsmith.agents.mcp.entry import Entry, server_entry, short
from loopsmith.agents.model import ToolCall
from loopsmith.agents.output import printable
from loopsmith.agents.tools import SearchMemory, Submit, Submitted, Toolbox
from loopsmith.errors import HarnessError
from loopsmith.log import register_secret
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Brief

LINE = 1_000_000  # bytes of one request
CONNECTIONS = 16  # at a time; an agent starts one server, perhaps one more for each helper
SUBMITTED = "submitted. Your work is over: stop here, and change nothing any more"


class GetBrief(Arguments):
    """The brief: your task, the rules, what was kept, lessons and dead ends of earlier workers."""


class ToolHost:
    """The tools of one worker.

    Attributes:
        submitted: the words of the submit that was accepted.
        asked: when the last call began or ended, by the monotonic clock.
        running: calls that run now.
    """

    def __init__(self, brief: Brief, workspace: Workspace, services: Services, deadline: float | None = None):
        self.brief, self.services = brief, services
        self.toolbox = Toolbox(brief, workspace, services, deadline)
        known = {item.name: item for item in self.toolbox.tools}
        kinds: tuple[type[BaseModel], ...] = (SearchMemory, *CAMPAIGN_KINDS, Submit)
        names = [tool(kind).name for kind in kinds]
        self.tools = (tool(GetBrief), *(known[name] for name in names if name in known))
        self.token = secrets.token_urlsafe(32)
        self.socket = workspace.scratch / f"mcp-{brief.attempt}.sock"
        self.submitted: Submit | None = None
        self.asked, self.running = time.monotonic(), 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls: set[asyncio.Task[None]] = set()
        register_secret(self.token)

    @property
    def words(self) -> Submit | None:
        """Of the last submit, also of one that was not accepted."""
        return self.submitted or self.toolbox.offered

    def entry(self) -> Entry:
        """What the agent's configuration needs."""
        return server_entry(self.socket, self.token)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["ToolHost"]:
        """Answer while in the block. `over` is done when a submit was accepted, or holds why the harness broke.

        Raises:
            HarnessError: the socket cannot be made.
        """
        self.socket.unlink(missing_ok=True)
        try:
            with short(self.socket) as path:
                server = await asyncio.start_unix_server(self._accept, path, limit=LINE)
        except OSError as error:
            raise HarnessError(f"cannot listen on {self.socket}: {error.strerror}; pass --state DIR") from error
        try:
            self.socket.chmod(0o600)
            yield self
        finally:
            server.close()
            for call in tuple(self._calls):
                call.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)
            self.socket.unlink(missing_ok=True)
            if self.over.done() and not self.over.cancelled():
                self.over.exception()  # whoever waited has seen it
            self.over.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        if len(self._calls) >= CONNECTIONS:
            writer.close()
            return
        self._calls.add(call)
        try:
            await self._serve(reader, writer)
        except (OSError, ValueError, TypeError):  # it went away, or does not speak as `loopsmith mcp` does
            pass
        except HarnessError as error:
            if not self.over.done():
                self.over.set_exception(error)
        except asyncio.CancelledError:
            pass  # the worker is over
        finally:
            self._calls.discard(call)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(**words: Any) -> None:
            writer.write(json.dumps(words).encode() + b"\n")
            await writer.drain()

        hello = json.loads(await reader.readline() or b"{}")
        given = str(hello.get("token", "")) if isinstance(hello, dict) else ""
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            await say(error="the token is not the one of this worker")
            return
        await say(tools=[{"name": t.name, "description": t.description, "schema": t.parameters} for t in self.tools])
        while line := await reader.readline():
            asked = json.loads(line)
            self.asked, self.running = time.monotonic(), self.running + 1
            try:
                text, failed = await self.call(asked["tool"], asked.get("arguments") or {})
            except (KeyError, AttributeError):
                text, failed = "error: a call names a tool and its arguments", True
            finally:
                self.asked, self.running = time.monotonic(), self.running - 1
            await say(id=asked.get("id"), text=printable(text), failed=failed)
            if self.submitted is not None and not self.over.done():
                self.over.set_result(None)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
        """What a tool says, and whether it failed.

        Raises:
            HarnessError: the machinery under the campaign broke.
        """
        if self.submitted is not None:
            return f"error: you have {SUBMITTED}", True
        self.services.progress(f"asks {name}"[:80])
        if name == "get_brief":
            return self.brief.prompt, False
        if name not in {item.name for item in self.tools}:
            known = ", ".join(item.name for item in self.tools)
            return f"error: there is no tool `{name}`; there are {known}", True
        try:
            with suppress(Submitted):
                result = await self.toolbox.run(ToolCall(id="", name=name, arguments=dict(arguments)))
                return result.text, result.failed
        except (TypeError, ValueError):
            return "error: the arguments are not an object with the tool's fields", True
        self.submitted = self.toolbox.offered
        return SUBMITTED, False
