"""A person is told what happens: over real HTTP, by real commands, once, and without holding anything up."""

import json
import os
import shlex
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from killing import FOREVER, killed_at
from support import NOISY, run, setting_x, write_source

from loopsmith import workflow
from loopsmith.campaign.live import telling
from loopsmith.errors import BaselineError, WorkflowError
from loopsmith.observers.notify import build
from loopsmith.observers.notify.delivery import Delivery
from loopsmith.observers.notify.targets import Desktop, NotTold, Webhook
from loopsmith.search.budget import End
from loopsmith.tracker import open_store
from loopsmith.workflow import Secret
from loopsmith.workflow.notify import Notify


@contextmanager
def hook(*answers, after=()):
    """A webhook on loopback: its URL, and what it got. Each answer is a status; the last repeats."""
    got, statuses = [], list(answers or (200,))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            if status == 200:
                got.append(body)
            self.send_response(status)
            for name, value in after:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok" if status == 200 else b"no\nsuch channel")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/services/T000/B000/XXXXSECRETXXXX", got
    finally:
        server.shutdown()
        server.server_close()


def events(path, name):
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return [event.data for event in store.events(store.campaigns()[-1].id, name=name)]


def texts(got):
    return [body["text"] for body in got]


def message_of(occasion):
    from loopsmith.observers.notify.message import Message

    return Message(
        occasion=occasion, key="k", title="t", lines=("l",), record={"campaign": {"id": "c"}, "candidate": None}
    )


def test_a_keep_and_the_end_reach_a_webhook_and_a_command_with_all_that_a_phone_should_show(tmp_path, monkeypatch):
    with hook() as (url, got):
        monkeypatch.setenv("MY_HOOK", url)
        monkeypatch.setenv("MY_TOKEN", "a-token-of-mine")
        tell = {"command": 'cat > "$LOOPSMITH_EVENT.json"; echo "$MY_TOKEN $LOOPSMITH_TITLE" > "$LOOPSMITH_EVENT.txt"'}
        targets = [{"webhook": "$MY_HOOK"}, {**tell, "on": ["kept"]}]
        path = write_source(tmp_path, agent=setting_x(12, 15), notify=targets)
        run(path)
    kept, finished = texts(got)
    assert kept.splitlines()[:2] == ["tiny: c2 kept, +50.0 %", "score 10 → 15"]
    assert "sed -i 's/^X=.*/X=15/' program.sh" in kept
    assert kept.splitlines()[-1] == f"loopsmith show 2 -w {path}"
    assert finished.startswith("tiny: finished, +50.0 %\n1 of 1 rounds used (budget.rounds)\nso far score 10 → 15")
    assert "2 candidates, 1 kept" in finished
    assert f"loopsmith apply -w {path}" in finished
    # The command is the person's own: their folder, their environment, outside the sandbox.
    record = json.loads((tmp_path / "kept.json").read_text())
    assert (tmp_path / "kept.txt").read_text() == "a-token-of-mine tiny: c2 kept, +50.0 %\n"
    assert not (tmp_path / "finished.json").exists()
    assert (record["event"], record["candidate"]["candidate"], record["candidate"]["effect"]) == ("kept", 2, 0.5)
    assert record["candidate"]["metrics"] == {"score": 15.0}
    assert record["campaign"]["name"] == "tiny"
    sent = {(data["key"], data["to"]) for data in events(path, "notify.sent")}
    assert sent == {("kept:2", "1.webhook"), ("kept:2", "2.command"), ("finished:rounds:2", "1.webhook")}
    # No secret stands in the workflow, and so none in the tracker; nor does the variable's value.
    assert b"SECRET" not in b"".join(file.read_bytes() for file in workflow.load(path).state.glob("tracker.db*"))


def test_the_interval_of_a_noisy_metric_is_told(tmp_path):
    with hook() as (url, got):
        path = write_source(tmp_path, command=NOISY, agent=setting_x(30, 5), notify={"webhook": url, "on": ["kept"]})
        run(path)
    (kept,) = texts(got)
    assert " % (+" in kept.splitlines()[0]
    assert " % to +" in kept.splitlines()[0]


def test_what_a_worker_says_can_mention_nobody_and_link_nowhere(tmp_path):
    evil = "<!channel> @everyone [click](http://evil.example) <http://evil.example|x> & more"
    text = evil + " long" * 100
    with hook() as (url, got):
        agent = {"kind": "scripted", "commands": [f": '{text}'; sed -i s/X=10/X=12/ program.sh"]}
        path = write_source(tmp_path, agent=agent, notify={"webhook": url, "on": ["kept"]})
        run(path, "search.candidates_per_round=1")
    (kept,) = texts(got)
    assert "<" not in kept
    assert "@everyone" not in kept
    assert "](" not in kept
    assert "&lt;!channel&gt;" in kept
    assert max(map(len, kept.splitlines())) < 250


def test_a_webhook_that_is_busy_is_asked_again_and_its_message_arrives_once(tmp_path):
    with hook(503, 429, 200, after=[("Retry-After", "0")]) as (url, got):
        path = write_source(tmp_path, agent=setting_x(12, 15), notify={"webhook": url, "on": ["finished"]})
        run(path)
    assert len(got) == 1
    assert events(path, "notify.failed") == []


def test_a_webhook_that_refuses_is_said_once_without_its_url_and_changes_nothing(tmp_path):
    with hook(404) as (url, _):
        path = write_source(tmp_path, agent=setting_x(12, 15, 20, 30), budget={"rounds": 2}, notify={"webhook": url})
        assert run(path)["counts"]["kept"] == 2
    (failed,) = events(path, "notify.failed")
    assert failed["reason"] == "the webhook answered 404: no such channel"
    assert (failed["occasion"], failed["to"]) == ("kept", "1.webhook")
    assert events(path, "notify.sent") == []
    state = workflow.load(path).state
    assert b"XXXXSECRETXXXX" not in b"".join(file.read_bytes() for file in state.glob("tracker.db*"))


def test_a_url_that_cannot_be_used_is_not_quoted():
    url = "http://me:hush-hush-hush@127.0.0.1/x"
    with pytest.raises(NotTold) as caught:
        Webhook("w", Notify(webhook=Secret(url)), url).send(message_of("kept"))
    assert str(caught.value) == "the webhook cannot be used: InvalidURL"


def test_a_redirect_is_no_delivery():
    with hook(302, after=[("Location", "/login")]) as (url, got):
        target = Webhook("w", Notify(webhook=Secret(url)), url)
        with pytest.raises(NotTold, match="answered 302"):
            target.send(message_of("kept"))
    assert got == []


def test_a_command_that_fails_or_hangs_is_ended_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(telling, "LAST_WORD", 0.5)
    slow = {"command": "sleep 300 & echo $! > pid; sleep 300", "timeout": "300ms", "on": ["finished"]}
    path = write_source(tmp_path, agent=setting_x(12, 15), notify=[slow, {"command": "echo no >&2; exit 3"}])
    run(path)
    reasons = {data["to"]: data["reason"] for data in events(path, "notify.failed")}
    assert reasons["2.command"] == "the command ended with exit code 3: no"
    assert reasons["1.command"] == "the command took longer than 300ms"
    assert not alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("moment", ["before it was sent", "when that it was sent is written"])
def test_nobody_is_told_twice_after_kill_9_and_nothing_is_forgotten(tmp_path, monkeypatch, moment):
    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def in_the_child():
        if moment == "before it was sent":
            monkeypatch.setattr(Delivery, "_deliver", lambda *_: die())
        else:
            tell = Delivery.__init__

            def init(self, target, said, **more):
                tell(self, target, lambda name, **data: (said(name, **data), die()), **more)

            monkeypatch.setattr(Delivery, "__init__", init)

    settings = {"agent": setting_x(20, 5, 30), "budget": {"candidates": 3, "rounds": None}}
    with hook() as (url, got):
        path = write_source(tmp_path, **settings, notify={"webhook": url, "on": ["kept", "finished"]})
        assert killed_at(path, FOREVER, after=True, prepare=in_the_child)
        run(path)
    titles = [text.splitlines()[0] for text in texts(got)]
    assert sorted(titles) == ["tiny: c1 kept, +100.0 %", "tiny: c3 kept, +50.0 %", "tiny: finished, +200.0 %"]


def test_a_run_that_finds_the_campaign_done_says_nothing_again(tmp_path):
    with hook() as (url, got):
        path = write_source(tmp_path, agent=setting_x(12, 15), notify={"webhook": url})
        run(path)
        run(path)
    assert len(got) == 2


def test_a_failure_and_a_quarantine_say_what_to_do(tmp_path):
    with hook() as (url, got):
        path = write_source(
            tmp_path / "a", agent=setting_x(99, 5), notify={"webhook": url}, guardrails={"max_gain": "3x"}
        )
        run(path)
        broken = write_source(tmp_path / "b", agent=setting_x(12), notify={"webhook": url})
        (tmp_path / "b/verify.sh").write_text("exit 1\n")
        with pytest.raises(BaselineError, match="does not verify"):
            run(broken)
    quarantined, finished, failed = texts(got)
    assert quarantined.startswith("tiny: c1 waits for you, +890.0 %\n")
    assert "9.9x is more than guardrails.max_gain" in quarantined
    assert f"loopsmith approve 1 -w {path}  (or reject)" in quarantined
    assert "1 waits for you" in finished
    assert failed.startswith("tiny: failed (baseline)\n")
    assert f"loopsmith run {broken}  (goes on)" in failed


def test_the_commands_in_a_message_find_a_campaign_whose_tracker_is_elsewhere(tmp_path, loopsmith):
    shared = ["--state", tmp_path / "my state", "--tracker", tmp_path / "tracker.db"]
    with hook() as (url, got):
        path = write_source(tmp_path / "a", agent=setting_x(12), notify={"webhook": url})
        assert loopsmith("run", path, *shared).code == 0
        (path.parent / "verify.sh").write_text("exit 1\n")
        assert loopsmith("run", path, *shared, "--new").code == 3
    kept, _, failed = texts(got)
    (look,) = (line for line in kept.splitlines() if line.startswith("loopsmith show"))
    (again,) = (line for line in failed.splitlines() if line.startswith("loopsmith run"))
    for command, code in ((look, 2), (again.removesuffix("  (goes on)"), 3)):  # the newest has no candidate yet
        assert loopsmith(*shlex.split(command)[1:]).code == code, command
    assert shlex.split(look)[3:] == ["-w", str(path), *map(str, shared)]
    assert not (path.parent / ".loopsmith").exists()


def test_a_person_s_stop_is_told_as_such(tmp_path):
    with hook() as (url, got):
        path = write_source(tmp_path, agent=setting_x(12, 15), notify={"webhook": url})
        run(path, before=lambda context: context.stop.request(End(reason="stopped", message="stopped by a person")))
    assert texts(got)[0].startswith("tiny: stopped, no gain\nstopped by a person\nnothing was shown to be better")


def test_what_cannot_work_is_said_before_anything_is_spent(tmp_path, monkeypatch, loopsmith):
    monkeypatch.delenv("NO_HOOK", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    path = write_source(tmp_path, agent=setting_x(1), notify=[{"webhook": "$NO_HOOK"}, {"desktop": True}])
    loaded = workflow.load(path)  # readers of the tracker need no webhook
    with pytest.raises(WorkflowError) as caught:
        build(loaded.settings.notify, tmp_path)
    first, second = caught.value.problems
    assert first == "notify item 1: set the environment variable $NO_HOOK, the webhook's URL"
    assert second.startswith(f"notify item 2: there is no program `{Desktop('d', Notify(desktop=True)).program}`")
    monkeypatch.undo()
    assert "NO_HOOK" in loopsmith("check", path).err
    assert "NO_HOOK" in loopsmith("run", path).err


def test_the_desktop_is_told_by_arguments_that_no_shell_or_script_reads(tmp_path, monkeypatch):
    for program in ("notify-send", "osascript"):
        told = tmp_path / program
        (tmp_path / "bin").mkdir(exist_ok=True)
        script = tmp_path / "bin" / program
        script.write_text(f'#!/bin/sh\nfor word; do echo "[$word]"; done > {told}\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    message = replace(message_of("failed"), title='a "title" $(touch x)', lines=("<b>bold</b>", "--help"))
    for platform, program in (("linux", "notify-send"), ("darwin", "osascript")):
        monkeypatch.setattr(sys, "platform", platform)
        (target,) = build([Notify(desktop=True)], tmp_path)
        target.send(message)
        told = (tmp_path / program).read_text()
        assert '[a "title" $(touch x)]' in told
        if platform == "linux":
            assert "[--urgency=critical]\n[--]\n" in told
            assert "[&lt;b&gt;bold&lt;/b&gt;\n--help]" in told


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
