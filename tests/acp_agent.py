"""A coding agent of the Agent Client Protocol that behaves as its argument says, through the SDK's agent side.

    python acp_agent.py BEHAVIOUR

What it sees it says in its message, as JSON, so that a test finds it in the transcript and the summary.
"""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from acp import RequestError, run_agent, update_agent_message_text
from acp.helpers import start_edit_tool_call, start_tool_call, tool_diff_content
from acp.schema import (
    AgentCapabilities,
    AuthMethodAgent,
    Cost,
    InitializeResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    SessionConfigOptionSelect,
    SessionConfigSelectOption,
    SetSessionConfigOptionResponse,
    ToolCallUpdate,
    Usage,
    UsageUpdate,
)
from mcp import ClientSession, StdioServerParameters, stdio_client

BEHAVIOUR = sys.argv[1]
OPTIONS = [
    PermissionOption(option_id="always", kind="allow_always", name="Always"),
    PermissionOption(option_id="yes", kind="allow_once", name="Yes"),
    PermissionOption(option_id="no", kind="reject_once", name="No"),
]


class Agent:
    def __init__(self):
        self.prompts, self.model, self.cancelled = [], "small", asyncio.Event()

    def on_connect(self, connection):
        self.client = connection

    async def initialize(self, protocol_version, **_):
        if BEHAVIOUR == "never-answers":
            await asyncio.sleep(3600)
        version = 99 if BEHAVIOUR == "other-version" else protocol_version
        return InitializeResponse(
            protocol_version=version,
            agent_capabilities=AgentCapabilities(),
            auth_methods=[AuthMethodAgent(id="login", name="Log in")],
        )

    async def new_session(self, cwd, mcp_servers=None, **_):
        if BEHAVIOUR == "logged-out":
            raise RequestError.auth_required({"details": "no account"})
        self.cwd, self.servers = Path(cwd), mcp_servers
        options = [SessionConfigSelectOption(value=value, name=value) for value in ("small", "large")]
        choice = SessionConfigOptionSelect(
            id="the-model", name="Model", category="model", type="select", current_value="small", options=options
        )
        return NewSessionResponse(session_id="s1", config_options=[] if BEHAVIOUR == "no-models" else [choice])

    async def set_config_option(self, config_id, session_id, value, **_):
        assert config_id == "the-model"
        self.model = value
        return SetSessionConfigOptionResponse(config_options=[])

    async def cancel(self, session_id, **_):
        self.cancelled.set()

    async def prompt(self, session_id, prompt, **_):
        self.prompts.append(prompt[0].text)
        return await getattr(self, BEHAVIOUR.replace("-", "_"))()

    async def say(self, words):
        await self.client.session_update("s1", update_agent_message_text(json.dumps(words)))

    async def change(self, value="8"):
        text = (self.cwd / "src/kernel.c").read_text()
        await self.client.write_text_file(
            "s1", str(self.cwd / "src/kernel.c"), text.replace("UNROLL 4", f"UNROLL {value}")
        )

    async def works(self):
        await self.change()
        await self.say({"model": self.model})
        usage = Usage(total_tokens=60, input_tokens=10, output_tokens=20, cached_read_tokens=30)
        return PromptResponse(stop_reason="end_turn", usage=usage)

    async def no_models(self):
        return await self.works()

    async def asks(self):
        """Permission for many things; says which were given."""
        given = {}
        wishes = {
            "edit": (start_edit_tool_call("1", "Edit", str(self.cwd / "src/kernel.c"), "x"), {}),
            "edit verifier": (start_edit_tool_call("2", "Edit", str(self.cwd / "verify.py"), "x"), {}),
            "edit outside": (start_edit_tool_call("3", "Edit", "/etc/passwd", "x"), {}),
            "edit above": (start_edit_tool_call("4", "Edit", "../source/src/kernel.c", "x"), {}),
            "edit nothing": (start_tool_call("5", "Edit", kind="edit"), {}),
            "move out": (start_tool_call("6", "Move", kind="move"), {"destination": "/tmp/x", "path": "src/kernel.c"}),
            "diff": (
                start_tool_call(
                    "7", "Edit", kind="edit", content=[tool_diff_content(str(self.cwd / "verify.py"), "x")]
                ),
                {},
            ),
            "command": (start_tool_call("8", "make", kind="execute"), {"command": "make"}),
            "fetch": (start_tool_call("9", "http://example.org", kind="fetch"), {}),
            "read": (start_tool_call("10", "Read", kind="read"), {"path": "verify.py"}),
            "read outside": (start_tool_call("11", "Read", kind="read"), {"file_path": "/root/.ssh/id_rsa"}),
            "tool of ours": (start_tool_call("12", "mcp__loopsmith__submit", kind="other"), {}),
            "tool of theirs": (start_tool_call("13", "mcp__mail__send", kind="other"), {}),
            "mode": (start_tool_call("14", "yolo", kind="switch_mode"), {}),
        }
        for name, (call, raw) in wishes.items():
            await self.client.session_update("s1", call)
            asked = ToolCallUpdate(tool_call_id=call.tool_call_id, raw_input=raw or None)
            answer = await self.client.request_permission("s1", asked, OPTIONS)
            given[name] = getattr(answer.outcome, "option_id", "cancelled")
        if len(self.prompts) == 1:
            await self.say(given)
        await self.change()
        return PromptResponse(stop_reason="end_turn")

    async def files(self):
        """Reads and writes through the client; says what came of it."""
        seen = {}
        for path in ("src/kernel.c", "../state/config", "/etc/hostname", "none.c"):
            try:
                found = await self.client.read_text_file("s1", str(self.cwd / path), line=1, limit=1)
                seen[path] = found.content
            except RequestError as error:
                seen[path] = f"error {error.code}"
        for path in ("verify.py", "/tmp/loopsmith-planted", "src/new.c"):
            try:
                await self.client.write_text_file("s1", str(self.cwd / path), "planted\n")
                seen[f"write {path}"] = "written"
            except RequestError as error:
                seen[f"write {path}"] = f"error {error.code}"
        await self.say(seen)
        return PromptResponse(stop_reason="end_turn")

    async def commands(self):
        """Terminals."""
        made = await self.client.create_terminal("s1", "sh", args=["-c", "pwd; echo $GIVEN; exit 3"], env=[])
        ended = await self.client.wait_for_terminal_exit("s1", made.terminal_id)
        shown = await self.client.terminal_output("s1", made.terminal_id)
        long = await self.client.create_terminal("s1", "sleep 1000")
        running = await self.client.terminal_output("s1", long.terminal_id)
        await self.client.kill_terminal("s1", long.terminal_id)
        killed = await self.client.wait_for_terminal_exit("s1", long.terminal_id)
        await self.client.release_terminal("s1", long.terminal_id)
        missing = ""
        try:
            await self.client.terminal_output("s1", "terminal-77")
        except RequestError as error:
            missing = str(error)
        await self.change()
        status = running.exit_status
        await self.say([ended.exit_code, shown.output, status and status.exit_code, killed.signal, missing])
        return PromptResponse(stop_reason="end_turn")

    async def refuses(self):
        await self.client.session_update("s1", update_agent_message_text("I would rather not."))
        return PromptResponse(stop_reason="refusal")

    async def cut_off(self):
        if len(self.prompts) > 1:
            return await self.works()
        return PromptResponse(stop_reason="max_tokens")

    async def out_of_turns(self):
        return PromptResponse(stop_reason="max_turn_requests")

    async def empty(self):
        await self.say(len(self.prompts))
        return PromptResponse(stop_reason="end_turn")

    async def rate_limited(self):
        raise RequestError(-32603, "Internal error", {"status": 429, "details": "too many requests"})

    async def logs_out(self):
        raise RequestError.auth_required()

    async def crashes(self):
        print("segmentation fault, core dumped", file=sys.stderr, flush=True)
        os._exit(139)

    async def hangs(self):
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        (self.cwd.parent / "child.pid").write_text(str(child.pid))
        await asyncio.sleep(3600)

    async def spends(self):
        """Ten cents a step, until it is told to stop."""
        for step in range(1, 100):
            cost = Cost(amount=0.1 * step, currency="USD")
            await self.client.session_update(
                "s1", UsageUpdate(session_update="usage_update", used=1, size=9, cost=cost)
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self.cancelled.wait(), 0.05)
                return PromptResponse(stop_reason="cancelled")
        return PromptResponse(stop_reason="end_turn")

    async def babbles(self):
        """Says much that is no message, and works all the same."""
        out = sys.stdout.buffer
        os.set_blocking(out.fileno(), True)
        out.write(b'Welcome!\n\xff\xfe\x00 bytes\n[1, 2]\n\n{"method": 5}\n' + b"[" * 100_000 + b"\n")
        out.write(b"x" * 20_000_000 + b"\n")
        update = {"sessionUpdate": "hologram", "beam": 1}
        strange = {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s1", "update": update}}
        out.write(json.dumps(strange).encode() + b"\n")
        out.write(b'{"jsonrpc": "2.0", "id": 900, "method": "no/such", "params": {}}\n')
        out.write(b'{"jsonrpc": "2.0", "id": 901, "method": "fs/read_text_file", "params": {"path": 5}}\n')
        out.flush()
        return await self.works()

    async def looks_around(self):
        home = Path.home()
        files = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
        (home / "left").write_text("by the agent")
        names = [name for name in ("PASSED", "PLANTED_TOKEN") if name in os.environ]
        outside = "refused"
        with suppress(OSError):
            Path(os.environ.get("PASSED", "/nowhere"), "planted").write_text("x")
            outside = "written"
        for path in self.cwd.glob("**/[kp]*.[cs]*"):
            path.write_text("X=11\nY=0\n")
        await self.say({"home": files, "env": names, "outside": outside, "servers": len(self.servers)})
        return PromptResponse(stop_reason="end_turn")

    async def submits(self):
        """Uses the tools of its MCP server, as it was told to start it."""
        entry = self.servers[0]
        env = {variable.name: variable.value for variable in entry.env}
        server = StdioServerParameters(command=entry.command, args=entry.args, env=env)
        (self.cwd / "program.sh").write_text("X=14\nY=0\n")
        async with stdio_client(server) as (read, write), ClientSession(read, write) as tools:
            await tools.initialize()
            checked = await tools.call_tool("run_checks", {})
            await self.say(checked.content[0].text)
            await tools.call_tool("submit", {"hypothesis": "fourteen", "summary": "through the tools"})
        return PromptResponse(stop_reason="end_turn")


if BEHAVIOUR == "exits":
    print("this program needs a terminal", file=sys.stderr)
    sys.exit(3)
if BEHAVIOUR == "speaks-something-else":
    for number in range(100_000):
        print("progress", number, flush=True)
asyncio.run(run_agent(Agent()))
