"""The hook after each decision: a person's own command, for every candidate, which can change no decision."""

import json
import os
import signal

import pytest
from killing import FOREVER, killed_at
from support import run, setting_x, write_source

from loopsmith import workflow
from loopsmith.campaign.live.after_decision import AfterDecision
from loopsmith.tracker import open_store
from loopsmith.workspace import Sandbox

TELL = {"after_decision": 'cat >> "$LOOPSMITH_STATE/../told.jsonl"'}


def told(path):
    return [json.loads(line) for line in (path.parent / "told.jsonl").read_text().splitlines()]


def events(path, name):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return [(event.candidate_id, event.data) for event in store.events(store.campaigns()[-1].id, name=name)]


def test_it_reads_the_record_of_every_decided_candidate_also_of_those_that_nothing_was_run_of(tmp_path):
    commands = ["sed -i s/X=10/X=15/ program.sh", "true", "echo x > verify.sh", "exit 7"]
    agent = {"kind": "scripted", "commands": commands}
    path = write_source(tmp_path, agent=agent, search={"candidates_per_round": 4}, hooks=TELL)
    view = run(path)
    records = {record["candidate"]: record for record in told(path)}
    assert {number: record["status"] for number, record in records.items()} == {
        1: "kept",
        2: "failed",
        3: "rejected",
        4: "crashed",
    }
    first = records[1]
    assert (first["hook"], first["metric"], first["direction"]) == ("after_decision", "score", "maximize")
    assert (first["value"], first["effect"], first["metrics"]) == (15.0, 0.5, {"score": 15.0})
    assert first["campaign"] == view["campaign"]["id"]
    assert "guardrail" in records[3]["rule"]


def test_it_is_the_person_s_own_command(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "a-token-of-mine")
    hook = 'cp "$LOOPSMITH_ARTIFACTS"/*.log .; echo "$MY_TOKEN $LOOPSMITH_VERDICT $LOOPSMITH_CANDIDATE $PWD" > said'
    path = write_source(tmp_path, agent=setting_x(12), hooks={"after_decision": hook})
    run(path, "search.candidates_per_round=1")
    assert (tmp_path / "said").read_text() == f"a-token-of-mine kept 1 {tmp_path}\n"
    assert list(tmp_path.glob("*.log"))


def test_its_failure_is_an_event_and_changes_no_decision(tmp_path):
    hook = {"after_decision": "echo first; echo no; exit $LOOPSMITH_CANDIDATE", "timeout_ms": 5000}
    path = write_source(tmp_path, agent=setting_x(12, 15), hooks=hook)
    assert run(path)["counts"]["kept"] == 1
    reasons = {candidate[-2:]: data["reason"] for candidate, data in events(path, "hook.failed")}
    assert reasons == {
        ".1": "hooks.after_decision ended with exit code 1: no",
        ".2": "hooks.after_decision ended with exit code 2: no",
    }


def test_it_is_ended_at_its_time_limit_with_what_it_started(tmp_path):
    hook = {"after_decision": "sleep 300 & sleep 300", "timeout_ms": 300}
    path = write_source(tmp_path, agent=setting_x(12), hooks=hook)
    run(path, "search.candidates_per_round=1")
    ((_, data),) = events(path, "hook.failed")
    assert data["reason"] == "hooks.after_decision took longer than 300ms"


@pytest.mark.parametrize("moment", ["before it ran", "while it runs"])
def test_a_kill_forgets_no_candidate(tmp_path, monkeypatch, moment):
    def in_the_child():
        async def die(self, candidate):
            if moment == "while it runs":
                await ran(self, candidate)
            os.kill(os.getpid(), signal.SIGKILL)

        ran = AfterDecision._run
        monkeypatch.setattr(AfterDecision, "_run", die)

    path = write_source(tmp_path, agent=setting_x(12, 15, 20, 30), budget={"rounds": 2}, hooks=TELL)
    assert killed_at(path, FOREVER, after=True, prepare=in_the_child)
    run(path)
    assert sorted(record["candidate"] for record in told(path)) == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["after_create", "before_run", "after_run", "before_remove"])
def test_the_hooks_around_a_worker_read_the_record_too(tmp_path, name):
    if not Sandbox.detect("auto").available:
        pytest.skip("without bubblewrap the log may hold what others print")
    path = write_source(tmp_path, agent=setting_x(12), hooks={name: "cat"})
    run(path, "search.candidates_per_round=1")
    (log,) = (workflow.load(path).state / "artifacts").glob(f"*/1/hook-{name}-1.log")
    record = json.loads(log.read_text())
    assert (record["hook"], record["candidate"], record["status"]) == (name, 1, "running")
    assert record["holdout"] is None
