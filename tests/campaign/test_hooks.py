"""The workflow's hooks run in a worker's folder, and fail as Symphony's do."""

import asyncio

import pytest
from support import run, setting_x, write_source

from loopsmith import workflow
from loopsmith.errors import HarnessError
from loopsmith.records import Status
from loopsmith.search.budget import End
from loopsmith.tracker import open_store
from loopsmith.workspace import Sandbox

ONE = {"candidates_per_round": 1, "workers": 1}


def told(path):
    """The candidates' decisions, and the reasons of the hooks that failed."""
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        campaign = store.campaigns()[-1]
        decisions = [found for item in store.candidates(campaign.id) if (found := store.decision(item.id))]
        failed = [event.data["reason"] for event in store.events(campaign.id, name="hook.failed")]
    return [(str(item.verdict), item.rule, item.reason) for item in decisions], failed


def logs(path, number=1):
    """Each hook's output by its name."""
    folder = next((workflow.load(path).state / "artifacts").glob(f"*/{number}"))
    return {file.name: file.read_text().splitlines() for file in folder.glob("hook-*.log")}


def test_hooks_run_in_their_order_in_the_worker_s_folder_and_know_the_candidate(tmp_path):
    said = 'cat /tmp/order 2>/dev/null; echo {0} >>/tmp/order; grep ^X program.sh; basename "$PWD"; env | grep ^LOOP'
    if not Sandbox.detect("auto").available:
        pytest.skip("without bubblewrap /tmp is the machine's own")
    names = ("after_create", "before_run", "after_run", "before_remove")
    path = write_source(tmp_path, agent=setting_x(12), search=ONE, hooks={name: said.format(name) for name in names})
    assert run(path)["best"]["value"] == 12.0
    found = logs(path)
    for count, name in enumerate(names):
        lines = found[f"hook-{name}-1.log"]
        assert lines[:count] == list(names[:count])
        assert lines[count : count + 2] == ["X=10" if count < 2 else "X=12", "1.worker"]
        env = dict(line.split("=", 1) for line in lines[count + 2 :])
        assert env["LOOPSMITH_HOOK"] == name
        assert (env["LOOPSMITH_CANDIDATE"], env["LOOPSMITH_ROUND"], env["LOOPSMITH_ATTEMPT"]) == ("1", "1", "1")
        assert env["LOOPSMITH_CANDIDATE_ID"] == env["LOOPSMITH_CAMPAIGN"] + ".1"


@pytest.mark.parametrize("name", ["after_create", "before_run"])
def test_a_failure_before_the_agent_ends_the_attempt_and_the_agent_never_starts(tmp_path, name):
    hooks = {name: "echo not; echo ready; exit 3", "after_run": "true", "before_remove": "true"}
    path = write_source(tmp_path, agent=setting_x(12), search=ONE, hooks=hooks)
    assert run(path)["best"]["candidate"] is None
    reason = f"hooks.{name} ended with exit code 3: ready"
    assert told(path) == ([("crashed", "hook", reason)], [reason])
    assert set(logs(path)) == {f"hook-{name}-1.log", "hook-before_remove-1.log"}


@pytest.mark.parametrize("name", ["after_run", "before_remove"])
def test_a_failure_after_the_agent_is_an_event_and_changes_nothing(tmp_path, name):
    path = write_source(
        tmp_path, agent=setting_x(12), search=ONE, hooks={name: "sed -i s/X=.*/X=99/ program.sh; exit 1"}
    )
    assert run(path)["best"]["value"] == 12.0
    assert told(path)[1] == [f"hooks.{name} ended with exit code 1"]
    assert not list((workflow.load(path).state / "work").glob("*/*.worker"))


def test_a_hook_is_ended_at_its_time_limit_with_what_it_started(tmp_path):
    hooks = {"before_run": "sleep 60 & sleep 60", "timeout_ms": 300}
    path = write_source(tmp_path, agent=setting_x(12), search=ONE, hooks=hooks)
    run(path)
    assert told(path)[0] == [("crashed", "hook", "hooks.before_run took longer than 300ms")]


def test_after_run_sees_a_worker_that_broke(tmp_path):
    agent = {"kind": "scripted", "commands": ["exit 7"]}
    path = write_source(tmp_path, agent=agent, search=ONE, hooks={"after_run": "echo here"})
    run(path)
    assert logs(path)["hook-after_run-1.log"] == ["here"]


def test_the_later_hooks_run_when_a_stop_cuts_the_worker_short(tmp_path):
    agent = {"kind": "scripted", "commands": ["touch started; sleep 60"]}
    hooks = {"after_run": "ls started", "before_remove": "echo bye"}
    path = write_source(tmp_path, agent=agent, search=ONE, hooks=hooks)

    def stop_once_it_works(context):
        def look():
            if (context.state.work(context.id) / "1.worker/started").exists():
                context.stop.request(End(reason="stopped", message="by a person"))
            else:
                asyncio.get_running_loop().call_later(0.05, look)

        context.observers.append(lambda name, *_: look() if name == "worker.started" else None)

    assert run(path, before=stop_once_it_works)["campaign"]["status"] == "stopped"
    assert logs(path) == {"hook-after_run-1.log": ["started"], "hook-before_remove-1.log": ["bye"]}


def test_a_stop_while_a_failed_hook_s_folder_is_put_away_puts_the_candidate_back(tmp_path):
    hooks = {"before_run": "exit 3", "before_remove": "touch leaving; sleep 60"}
    path = write_source(tmp_path, agent=setting_x(12), search=ONE, hooks=hooks)

    def stop_once_it_leaves(context):
        def look():
            if (context.state.work(context.id) / "1.worker/leaving").exists():
                context.stop.request(End(reason="stopped", message="by a person"))
            else:
                asyncio.get_running_loop().call_later(0.05, look)

        context.observers.append(lambda name, *_: look() if name == "worker.started" else None)

    assert run(path, before=stop_once_it_leaves)["campaign"]["status"] == "stopped"
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        (candidate,) = store.candidates(store.campaigns()[0].id)
    assert (candidate.status, candidate.attempt) == (Status.PLANNED, 2)


def test_what_a_hook_writes_for_the_worker_is_there_and_editable_files_count_as_the_candidate_s(tmp_path):
    (tmp_path / ".gitignore").write_text("deps/\n")
    hooks = {"after_create": "mkdir deps; echo 14 > deps/x; sed -i s/Y=0/Y=1/ program.sh"}
    agent = {"kind": "scripted", "commands": ['sed -i "s/^X=.*/X=$(cat deps/x)/" program.sh']}
    path = write_source(tmp_path, agent=agent, search=ONE, hooks=hooks, command='echo "METRIC score=$((X + Y))"')
    assert run(path)["best"]["value"] == 15.0


def test_a_hook_that_changes_a_protected_file_is_blamed_before_the_worker_starts(tmp_path):
    path = write_source(tmp_path, agent=setting_x(12), search=ONE, hooks={"after_create": "echo 'true' >> verify.sh"})
    run(path)
    ((verdict, rule, reason),) = told(path)[0]
    assert (verdict, rule) == ("crashed", "hook")
    assert reason.startswith("hooks.after_create changed what a candidate may not: ")
    assert "verify.sh" in reason


@pytest.mark.parametrize("others", [{}, {"after_create": "true"}])
def test_hooks_that_end_every_attempt_stop_the_campaign_and_it_goes_on_once_they_are_mended(tmp_path, others):
    settings = {"agent": setting_x(*range(11, 31)), "search": ONE, "budget": {"rounds": 6}}
    path = write_source(tmp_path, **settings, hooks={**others, "before_run": "exit 1"})
    with pytest.raises(HarnessError, match=r"4 attempts in a row.*hooks\.before_run ended with exit code 1; mend"):
        run(path)
    assert len(told(path)[1]) == 4
    write_source(tmp_path, **settings)
    view = run(path)
    assert view["counts"]["crashed"] == 3
    assert view["counts"]["kept"] == 3


def test_a_failure_now_and_then_stops_nothing(tmp_path):
    hooks = {"before_run": "test $((LOOPSMITH_CANDIDATE % 2)) = 0"}
    path = write_source(tmp_path, agent=setting_x(*range(11, 31)), hooks=hooks, search={**ONE}, budget={"rounds": 10})
    view = run(path)
    assert (view["counts"]["crashed"], view["counts"]["kept"]) == (5, 5)


def test_hooks_have_no_key_no_network_and_cannot_write_elsewhere(tmp_path, monkeypatch):
    if not Sandbox.detect("auto").available:
        pytest.skip("no bubblewrap here")
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    writes = f"echo x > {tmp_path}/program.sh; echo x > /etc/made || echo refused"
    script = f"env | grep -c hush; grep -c : /proc/net/dev; {writes}"
    path = write_source(tmp_path, agent=setting_x(12), search=ONE, hooks={"after_create": script})
    run(path)
    lines = logs(path)["hook-after_create-1.log"]
    assert lines[:2] == ["0", "1"]  # no key, and the loopback device alone
    assert lines[-1] == "refused"
    assert "X=10" in (tmp_path / "program.sh").read_text()
