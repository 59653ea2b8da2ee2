"""Attacks by a worker, through its shell and folder, on what runs after it, each beside an honest twin that is kept."""

import socket
import threading
from pathlib import Path
from typing import NamedTuple

import pytest
from support import run, write_source

from loopsmith import workflow
from loopsmith.records import Status
from loopsmith.tracker import open_store
from loopsmith.workspace import Sandbox

sandboxed = pytest.mark.skipif(not Sandbox.detect("auto").available, reason="needs bubblewrap")
GAIN = "sed -i 's/^X=.*/X=20/' program.sh"


class Attack(NamedTuple):
    """`OUTSIDE` in a command is a file that nobody but we can write, `SOURCE` the source folder."""

    command: str
    twin: str
    status: Status = Status.FAILED  # it changes nothing that counts


ATTACKS = {
    "hooks in the worker's own repository": Attack(
        "mkdir -p .git/hooks; for hook in post-checkout pre-commit post-commit post-index-change reference-transaction;"
        " do printf '#!/bin/sh\\ntouch OUTSIDE\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook; done",
        f"{GAIN}; git commit -qam mine",
    ),
    "programs in the settings of the worker's own repository": Attack(
        "for key in core.fsmonitor core.sshCommand core.editor core.pager diff.external filter.x.clean filter.x.smudge"
        " filter.x.process merge.x.driver diff.x.textconv alias.status; do git config $key 'touch OUTSIDE'; done;"
        " mkdir -p .git/info; echo '* filter=x diff=x merge=x' > .git/info/attributes; touch program.sh",
        f"git config core.quotePath false; {GAIN}",
    ),
    "another repository in the place of its own": Attack(
        "rm -rf .git; git init -q --bare /tmp/other; echo 'gitdir: /tmp/other' > .git", f"{GAIN}; git status -s",
    ),
    "a history that hides the change": Attack(
        f"{GAIN}; git commit -qam hidden; git update-index --skip-worktree program.sh; echo X=10 > program.sh;"
        " echo Y=0 >> program.sh",
        f"{GAIN}; git commit -qam shown",
    ),
    "writes the source, its verifier and the campaign's records": Attack(
        "for file in $(find SOURCE -type f 2>/dev/null) OUTSIDE; do echo 'METRIC score=99' >> $file; done 2>/dev/null",
        f"{GAIN}; echo more > notes.txt; rm notes.txt",
        Status.REJECTED,  # its own copies of them changed
    ),
    "works on after it has ended": Attack(
        "for i in 1 2 3; do setsid sh -c 'sleep 0.3; sed -i s/X=.*/X=99/ program.sh; touch OUTSIDE' & done; true",
        f"{GAIN} & wait",
    ),
    "stops the campaign": Attack(
        "for pid in $PPID -1 $(ls /proc | grep '^[0-9]*$' | grep -v \"^$$\\$\"); do kill -STOP $pid; kill -KILL $pid;"
        " done 2>/dev/null",
        f"sleep 5 & kill $!; {GAIN}",
        Status.CRASHED,
    ),
}  # fmt: skip


def campaign(tmp_path: Path, attack: Attack):
    """The attack alone in a round, then its twin; gives what became of both."""
    source, outside = tmp_path / "source", tmp_path / "outside"
    commands = [
        each.replace("OUTSIDE", str(outside)).replace("SOURCE", str(source)) for each in (attack.command, attack.twin)
    ]
    path = write_source(
        source,
        agent={"kind": "scripted", "commands": commands},
        search={"candidates_per_round": 1},
        budget={"rounds": 2},
        verify={"self_check": False},
    )
    before = {file.name: file.read_bytes() for file in source.iterdir()}
    run(path)
    assert {file.name: file.read_bytes() for file in source.iterdir() if file.is_file()} == before
    assert not outside.exists()
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        candidates = store.candidates(store.campaigns()[0].id)
        return [(candidate, store.decision(candidate.id)) for candidate in candidates]


@sandboxed
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_by_a_worker_changes_nothing_and_its_honest_twin_is_kept(tmp_path, name):
    (attacker, decision), (twin, kept) = campaign(tmp_path, ATTACKS[name])
    assert attacker.status is ATTACKS[name].status, decision.reason
    assert twin.status is Status.KEPT, kept.reason
    assert kept.value == 20


@sandboxed
def test_a_worker_cannot_fetch_an_answer_over_the_network(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                asked.append(1)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        port = server.getsockname()[1]
        fetch = f"bash -c 'echo > /dev/tcp/127.0.0.1/{port}' && {GAIN}; true"
        (attacker, _), (twin, _) = campaign(tmp_path, Attack(fetch, GAIN))
        assert attacker.status is Status.FAILED
        assert twin.status is Status.KEPT
        assert not asked
        server.close()
