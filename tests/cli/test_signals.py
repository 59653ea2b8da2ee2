"""A running campaign, from another terminal: Ctrl-C once and twice, stop, kill -9, and the live view."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest
from running import ended, start, status, wait_for_event
from support import setting_x, write_source


def test_ctrl_c_once_finishes_what_is_decided_and_run_goes_on(slow, loopsmith):
    process = start(slow)
    wait_for_event(process, "candidate.generated")
    process.send_signal(signal.SIGINT)
    code, out = ended(process)
    assert code == 130
    assert "stopped" in out
    assert "loopsmith run" in out
    before = status(loopsmith, slow)
    assert before["campaign"]["status"] == "stopped"
    assert loopsmith("run", slow).code == 0
    after = status(loopsmith, slow)
    assert after["campaign"]["id"] == before["campaign"]["id"]
    assert after["counts"]["candidates"] == 12


def test_ctrl_c_twice_stops_at_once(tmp_path, loopsmith):
    path = write_source(
        tmp_path,
        verify={
            "command": 'if [ -n "$(grep 10 program.sh)" ]; then sh verify.sh; else sleep 600; fi',
            "timeout": "1h",
            "self_check": False,
        },
        agent=setting_x(12, 13),
    )
    process = start(path)
    wait_for_event(process, "candidate.generated")
    process.send_signal(signal.SIGINT)
    wait_for_event(process, "campaign.stopping")
    process.send_signal(signal.SIGINT)
    code, _ = ended(process)
    assert code == 130
    assert status(loopsmith, path)["campaign"]["status"] == "stopped"


@pytest.mark.parametrize("now", [False, True])
def test_stop_from_another_terminal_ends_it(slow, loopsmith, now):
    process = start(slow)
    wait_for_event(process, "candidate.generated")
    result = loopsmith("stop", "-w", slow, *(["--now"] if now else []))
    assert result.code == 0
    assert str(process.pid) in result.out
    code, _ = ended(process)
    assert code == 130
    assert status(loopsmith, slow)["campaign"]["status"] == "stopped"


def test_a_second_run_names_the_process_and_status_reads_meanwhile(slow, loopsmith):
    process = start(slow)
    try:
        wait_for_event(process, "candidate.generated")
        second = loopsmith("run", slow)
        assert second.code == 2
        assert str(process.pid) in second.err
        view = status(loopsmith, slow)
        assert view["campaign"]["status"] == "running"
        assert view["campaign"]["process"] == process.pid
    finally:
        process.kill()
        process.communicate()
    view = status(loopsmith, slow)
    assert view["campaign"]["status"] == "interrupted"
    assert "loopsmith run" in loopsmith("status", "-w", slow).out


def test_a_terminal_shows_a_line_for_each_decision_and_the_summary(tmp_path):
    path = write_source(tmp_path, verify={"command": "sleep 0.2; sh verify.sh"}, agent=setting_x(12, 15))
    main, side = pty.openpty()
    line = [sys.executable, "-m", "loopsmith", "run", str(path)]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(line, stdout=side, stderr=subprocess.PIPE, stdin=side, env=env)
    os.close(side)
    shown = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            data = os.read(main, 65536)
        except OSError:  # the other side was closed
            break
        if not data:
            break
        shown += data
    assert process.wait(timeout=10) == 0
    assert process.stderr.read() == b""
    text = shown.decode(errors="replace")
    for words in ("baseline measured 2 times", "c2 kept", "c1 discarded", "round 1", "score 10 -> 15", "1.50x"):
        assert words in text, words
