"""`loopsmith mcp`, started and asked by the official client, while a real campaign's worker is at work."""

import asyncio
import json
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client
from support import run, setting_x, write_source

from loopsmith import workflow as workflows
from loopsmith.agents.mcp.entry import TOKEN
from loopsmith.agents.mcp.host import ToolHost
from loopsmith.campaign.generate.services import CampaignServices
from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import LimitReached
from loopsmith.records import Report
from loopsmith.tracker import open_store


class Asking:
    """An agent whose workers start `loopsmith mcp` as an agent's program would, and do what `script` says."""

    name = "asking"

    def __init__(self, script):
        self.script, self.hosts = script, {}

    def check(self, folder, files):
        pass

    async def work(self, brief, workspace, services):
        host = ToolHost(brief, workspace, services)
        self.hosts[brief.candidate_id] = host
        async with host.listening():
            await self.script(host, workspace)
        words = host.submitted.model_dump() if host.submitted else {}
        return Report(finish_reason="submitted" if host.submitted else "stopped", **words)


@asynccontextmanager
async def client(host, workspace, **env):
    entry = host.entry()
    parameters = StdioServerParameters(
        command=entry.command, args=list(entry.args), env={**entry.env, **env}, cwd=workspace.path
    )
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def say(session, tool, **arguments):
    result = await session.call_tool(tool, arguments)
    return result.content[0].text, result.is_error


def set_x(workspace, value):
    (workspace.path / "program.sh").write_text(f"X={value}\nY=0\n")


def campaign(tmp_path, script, *, candidates=1, **settings):
    path = write_source(
        tmp_path,
        agent=setting_x(10),
        search={"candidates_per_round": candidates, "workers": 2, "plan": False},
        **settings,
    )
    agent = Asking(script)
    found = run(path, before=lambda context: setattr(context, "agent", agent))
    return path, found, agent


def events(path, name):
    with open_store(workflows.load(path).state / "tracker.db", read_only=True) as store:
        return [event.data for event in store.events(store.campaigns()[0].id, name=name)]


def test_a_worker_does_all_its_work_through_the_tools(tmp_path):
    seen = {}

    async def script(host, workspace):
        async with client(host, workspace) as session:
            seen["tools"] = [tool.name for tool in (await session.list_tools()).tools]
            seen["brief"] = await say(session, "get_brief")
            seen["memory"] = await say(session, "search_memory", query="anything")
            set_x(workspace, 15)
            seen["checks"] = await say(session, "run_checks")
            seen["note"] = await say(session, "note", text="X is the score")
            seen["submit"] = await say(
                session, "submit", hypothesis="a larger X", summary="X is 15", lesson="X matters"
            )
            seen["after"] = await say(session, "run_checks")

    path, found, _ = campaign(tmp_path, script, verify={"command": "sh verify.sh", "checks": ["test -f program.sh"]})
    assert seen["tools"] == ["get_brief", "search_memory", "read_candidate", "run_checks", "note", "submit"]
    assert "Baseline to beat: 10" in seen["brief"][0]
    assert seen["checks"] == ("the checks pass; nothing was measured", False)
    assert seen["note"] == ("noted", False)
    assert seen["submit"][1] is False
    assert seen["after"][1] is True
    assert found["best"]["value"] == 15
    assert found["counts"]["kept"] == 1
    assert events(path, "worker.noted") == [{"text": "X is the score"}]


def test_checks_that_fail_and_rules_that_break_come_back_as_they_would_be_judged(tmp_path):
    seen = {}

    async def script(host, workspace):
        async with client(host, workspace) as session:
            set_x(workspace, 99)
            seen["check"] = await say(session, "run_checks")
            (workspace.path / "verify.sh").write_text("echo METRIC score=1000\n")
            seen["rule"] = await say(session, "run_checks")
            seen["submit"] = await say(session, "submit", hypothesis="cheat", summary="cheat")

    checks = ["if grep -q 99 program.sh; then echo too large; exit 3; fi"]
    _, found, _ = campaign(tmp_path, script, verify={"command": "sh verify.sh", "checks": checks})
    text, failed = seen["check"]
    assert not failed
    assert "exited with code 3" in text
    assert "too large" in text
    assert "it breaks these rules" in seen["rule"][0]
    assert "verify.sh" in seen["rule"][0]
    assert seen["submit"][1] is True  # asked once to mend it
    assert found["counts"]["kept"] == 0


def test_probes_measure_are_recorded_and_end_at_their_number(tmp_path):
    seen = []

    async def script(host, workspace):
        async with client(host, workspace) as session:
            assert "probe" in [tool.name for tool in (await session.list_tools()).tools]
            set_x(workspace, 12)
            seen.append(await say(session, "probe"))
            set_x(workspace, 13)
            seen.append(await say(session, "probe"))
            seen.append(await say(session, "probe"))

    path, found, _ = campaign(tmp_path, script, budget={"rounds": 1, "per_worker": {"probes": 2}})
    assert seen[0][0].startswith("score = 12 (one run")
    assert seen[1][0].startswith("score = 13 (one run")
    assert seen[2] == ("error: budget.per_worker.probes reached: 2 of 2", True)
    assert [event["metrics"] for event in events(path, "worker.probed")] == [{"score": 12.0}, {"score": 13.0}]
    assert found["best"]["value"] == 13  # left in the folder, without submit, it is verified all the same


def test_a_candidate_that_started_elsewhere_is_read_as_a_change_of_the_workers_own_files(tmp_path):
    values, seen = [15, 14], []

    async def script(host, workspace):
        if host.brief.round == 1:
            return set_x(workspace, values.pop(0))
        async with client(host, workspace) as session:
            for name in ("c1", "c2"):
                text = (await say(session, "read_candidate", candidate=name))[0]
                seen.append(text.partition("The way from your files, as you got them, to its files.")[2])
        return set_x(workspace, 16)

    campaign(tmp_path, script, candidates=2, budget={"rounds": 2, "candidates": 3})
    way = next(text for text in seen if text)
    assert ("-X=15" in way and "+X=14" in way) or ("-X=14" in way and "+X=15" in way)
    assert "" in seen  # of the one that is the baseline


def test_without_leave_there_is_no_probe(tmp_path):
    seen = []

    async def script(host, workspace):
        async with client(host, workspace) as session:
            seen.append(await say(session, "probe"))

    campaign(tmp_path, script)
    assert seen[0][1] is True
    assert "there is no tool `probe`" in seen[0][0]


def test_holdout_and_other_secrets_are_not_to_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVICE_TOKEN", "planted-secret-value")
    (tmp_path / "hidden.txt").write_text("0.777123\n")
    seen = {}

    async def script(host, workspace):
        if host.brief.round == 1:
            return set_x(workspace, 15)
        async with client(host, workspace) as session:
            seen["candidate"] = await say(session, "read_candidate", candidate="c1")
            seen["missing"] = await say(session, "read_candidate", candidate="77")
            seen["undecided"] = await say(session, "read_candidate", candidate="c2")
            seen["memory"] = await say(session, "search_memory", query="candidate X score")
            seen["brief"] = await say(session, "get_brief")
            set_x(workspace, 16)
            seen["probe"] = await say(session, "probe")
        return None

    _, found, _ = campaign(
        tmp_path,
        script,
        budget={"rounds": 2, "per_worker": {"probes": 1}},
        workspace={"editable": ["program.sh"]},
        verify={
            "command": "sh verify.sh",
            "env": {"PASSWORD": "$SERVICE_TOKEN"},
            "holdout": {"command": 'echo "METRIC score=$(cat hidden.txt)"', "link": ["hidden.txt"]},
        },
    )
    assert found["best"]["holdout"] == 0.777123
    assert "kept" in seen["candidate"][0]
    assert "+X=15" in seen["candidate"][0]
    assert "Your files, as you got them, are its files." in seen["candidate"][0]
    assert "there is no candidate `77`" in seen["missing"][0]
    assert seen["undecided"] == ("error: candidate 2 is not decided yet", True)
    everything = json.dumps(seen)
    assert "0.777" not in everything
    assert "planted-secret-value" not in everything


def test_two_workers_reach_their_own_folders_alone(tmp_path):
    both, seen = asyncio.Event(), {}
    hosts = []

    async def script(host, workspace):
        hosts.append((host, workspace))
        if len(hosts) == 2:
            both.set()
        await both.wait()
        number = int(host.brief.candidate_id.rpartition(".")[2])
        other = next(item for item, _ in hosts if item is not host)
        set_x(workspace, 20 + number)
        async with client(host, workspace) as session:
            seen[number] = await say(session, "submit", hypothesis=f"of {number}", summary="done")
        entry = other.entry()
        wrong = [*entry.args]
        process = await asyncio.create_subprocess_exec(
            entry.command,
            *wrong,
            env={**os.environ, TOKEN: host.token},
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        seen[f"wrong {number}"] = ((await process.communicate())[1].decode(), process.returncode)

    _, found, agent = campaign(tmp_path, script, candidates=2)
    assert {host.submitted.hypothesis for host in agent.hosts.values()} == {"of 1", "of 2"}
    for number in (1, 2):
        message, code = seen[f"wrong {number}"]
        assert code == 2
        assert message == "loopsmith: the campaign refuses: the token is not the one of this worker\n"
    assert found["best"]["value"] == 22


def test_what_speaks_nonsense_on_the_socket_harms_nobody(tmp_path):
    seen = []

    async def script(host, workspace):
        hello = json.dumps({"token": host.token}).encode()
        for sent in (
            b"\xff\xfe\n",
            b"[]\n",
            b"null\n",
            b"{" * 2_000_000 + b"\n",
            hello + b"\n[1]\n",
            hello + b"\n{}\n",
        ):
            reader, writer = await asyncio.open_unix_connection(str(short_path(host.socket)))
            with suppress(OSError):
                writer.write(sent)
                await writer.drain()
                seen.append(await reader.read(200))
            writer.close()
        async with client(host, workspace) as session:
            seen.append(await say(session, "nonsense", a=1))
            seen.append(await say(session, "submit", summary=5))

    def short_path(path: Path):
        link = tmp_path / "s"
        link.unlink(missing_ok=True)
        link.symlink_to(path.parent)
        return Path(os.path.relpath(link / path.name))

    campaign(tmp_path / "source", script)
    assert "there is no tool `nonsense`" in seen[-2][0]
    assert "bad arguments for `submit`" in seen[-1][0]


@pytest.mark.parametrize(
    ("environment", "message"), [({}, f"{TOKEN} is not set"), ({TOKEN: "x"}, "no campaign answers")]
)
def test_started_by_hand_it_says_what_it_is_for(tmp_path, loopsmith, monkeypatch, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = loopsmith("mcp", "--socket", str(tmp_path / "none.sock"))
    assert result.code == 2
    assert message in result.err


def test_the_notes_of_a_worker_that_breaks_are_its_lesson(tmp_path):
    async def script(host, workspace):
        async with client(host, workspace) as session:
            await say(session, "note", text="unrolling spills registers")

    path, _, _ = campaign(tmp_path, script)
    with open_store(workflows.load(path).state / "tracker.db", read_only=True) as store:
        reflections = store.reflections(store.campaigns()[0].id)
    assert [item.lesson for item in reflections] == ["unrolling spills registers"]


def test_a_worker_that_starts_again_has_its_notes_and_no_further_probes(tmp_path):
    async def script(host, workspace):
        async with client(host, workspace) as session:
            await say(session, "note", text="one finding")
            set_x(workspace, 12)
            await say(session, "probe")

    path, _, _ = campaign(tmp_path, script, budget={"rounds": 1, "per_worker": {"probes": 1}})
    loaded = workflows.load(path)
    with open_campaign(loaded, StateFolder(loaded.state)) as context:
        (first,) = context.store.candidates(context.id)
        again = CampaignServices(context, replace(first, attempt=2), tmp_path)
        with pytest.raises(LimitReached):
            asyncio.run(again.probe())
        assert again.with_notes(Report(finish_reason="stopped")).lesson == "one finding"
