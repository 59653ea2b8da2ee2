"""`loopsmith mcp`: an MCP server on standard input and output that passes every call on to the campaign."""

import asyncio
import itertools
import json
import os
from pathlib import Path
from typing import Any

import mcp.types as types
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.server.stdio import stdio_server

import loopsmith
from loopsmith.agents.mcp.entry import NAME, TOKEN, short
from loopsmith.errors import UsageError

Context = ServerRequestContext[Any]
ANSWER = 10_000_000  # bytes of one answer of the campaign
INSTRUCTIONS = (
    "Your worker's line to the campaign that you work for: get_brief says what to do, search_memory and read_candidate "
    "what others tried, run_checks whether your change would be accepted; note keeps a finding, submit ends your work."
)
GONE = "error: the campaign no longer answers; this worker's work is over"


class Line:
    """A connection to the campaign."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)
        self._one_at_a_time = asyncio.Lock()
        self.tools: list[dict[str, Any]] = []

    @classmethod
    async def open(cls, socket: Path, token: str) -> "Line":
        """Connect, and show the token.

        Raises:
            UsageError: nobody listens there, or the token is another's.
        """
        try:
            with short(socket) as path:
                line = cls(*await asyncio.open_unix_connection(path, limit=ANSWER))
            hello = await line._exchange(token=token)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"no campaign answers on {socket} ({reason}); loopsmith itself starts this command, for a worker"
            ) from error
        if "tools" not in hello:
            raise UsageError(f"the campaign refuses: {hello.get('error', 'it gives no reason')}")
        line.tools = hello["tools"]
        return line

    async def call(self, tool: str, arguments: dict[str, Any] | None) -> tuple[str, bool]:
        """What the tool says, and whether it failed."""
        try:
            async with self._one_at_a_time:
                answer = await self._exchange(id=next(self._numbers), tool=tool, arguments=arguments or {})
        except (OSError, ValueError):
            return GONE, True
        return str(answer.get("text", "")), bool(answer.get("failed"))

    async def _exchange(self, **words: Any) -> dict[str, Any]:
        self._writer.write(json.dumps(words).encode() + b"\n")
        await self._writer.drain()
        line = await self._reader.readline()
        if not line:
            raise ConnectionResetError("it closed the connection")
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("it does not answer as a campaign does")
        return answer


def run_server(socket: Path) -> None:
    """Serve until standard input ends.

    Raises:
        UsageError: there is no token in the environment, or no campaign that takes it.
    """
    token = os.environ.get(TOKEN)
    if not token:
        raise UsageError(f"{TOKEN} is not set; loopsmith itself starts this command, for a worker")
    asyncio.run(serve(socket, token))


async def serve(socket: Path, token: str) -> None:
    line = await Line.open(socket, token)

    async def listed(
        _: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(name=item["name"], description=item["description"], input_schema=item["schema"])
                for item in line.tools
            ]
        )

    async def called(_: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        text, failed = await line.call(params.name, params.arguments)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=failed)

    server: Server[Any] = Server(
        NAME,
        version=loopsmith.__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=listed,
        on_call_tool=called,
    )
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
