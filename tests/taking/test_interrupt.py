"""Ctrl-C and SIGTERM in a terminal: what was measured is kept where it is used again, and nothing else stays."""

import json
import os
import pty
import select
import signal
import subprocess
import sys

import pytest
from keeping import EXACT, make
from support import run

from loopsmith import process, workflow
from loopsmith.tracker import open_store


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *words):
        self.end, other = pty.openpty()
        line = [sys.executable, "-m", "loopsmith", *map(str, words)]
        self.process = subprocess.Popen(line, stdin=other, stdout=other, stderr=other, start_new_session=True)
        os.close(other)
        self.seen = ""

    def until(self, text):
        """Read until `text` was shown."""
        while text not in self.seen:
            assert select.select([self.end], [], [], 60)[0], self.seen
            self.seen += os.read(self.end, 1000).decode()

    def ended(self, number):
        """Send a signal; gives the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        while select.select([self.end], [], [], 0)[0]:
            try:
                self.seen += os.read(self.end, 10_000).decode()
            except OSError:
                break
        os.close(self.end)
        assert "Traceback" not in self.seen
        return code


@pytest.fixture
def hanging(tmp_path):
    """A campaign that ran, and the file that says which state's run never ends from now on."""
    gate = tmp_path / "source" / "gate.sh"
    command = f'. ./gate.sh\n[ "$A$B" != "$HANG" ] || sleep 600\n{EXACT}'
    path = make(tmp_path / "source", command=command, workspace={"link": ["gate.sh"]}, verify={"timeout": "1h"})
    gate.write_text("HANG=\n")
    assert run(path)["best"]["value"] == 26
    return path, gate


def left(path):
    """What a command may have left: work folders, logs, and processes."""
    state = workflow.load(path).state
    with open_store(state / "tracker.db", read_only=True) as store:
        campaign = store.campaigns()[0].id
        names = [event.name for event in store.events(campaign)]
    assert process.sweep(f"{campaign}.") == 0
    assert not any((state / "work").glob("*/*"))
    return names, list((state / "artifacts" / campaign / "remeasured").glob("*/*.log"))


def test_an_ablation_goes_on_where_ctrl_c_ended_it(hanging, loopsmith):
    path, gate = hanging
    gate.write_text("HANG=90\n")  # without the second change
    terminal = Terminal("ablate", "-w", path)
    terminal.until("change 2 of 3, one run: the final state without c2")
    assert terminal.ended(signal.SIGINT) == 130
    names, logs = left(path)
    assert names.count("commit.measured") == 2
    assert "campaign.ablated" not in names
    assert len(logs) == 2
    assert "stopped; what was measured is used when it is run again" in terminal.seen
    gate.write_text("HANG=\n")
    view = json.loads(loopsmith("ablate", "-w", path, "--json").out)
    assert view["runs"] == 4  # one of them to see whether the recorded ones still hold
    assert view["parts"][0]["finding"]["runs"] == 0
    assert view["parts"][1]["finding"]["effect"] == pytest.approx(7 / 19)


def test_a_verification_that_is_ended_leaves_nothing(hanging):
    path, gate = hanging
    gate.write_text("HANG=57\n")
    terminal = Terminal("verify", "2", "-w", path, "--repeats", "3")
    terminal.until("pair 1 of at most 3: candidate 2")
    assert terminal.ended(signal.SIGTERM) == 130
    names, logs = left(path)
    assert not {"commit.measured", "commit.verified"} & set(names)
    assert not logs
