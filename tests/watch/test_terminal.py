"""`loopsmith watch` and `run --watch` in a real terminal (tmux), on real campaigns in processes of their own."""

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

import pytest
from support import setting_x, write_source

from loopsmith.tracker import open_store

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
LOOPSMITH = f"{sys.executable} -m loopsmith"
PATIENCE = 60  # seconds until something must be on the screen, on a machine that is busy


class Terminal:
    """A tmux session with a shell: keys in, the screen out."""

    def __init__(self, folder, width=80, height=24):
        self.name, self.folder = f"loopsmith-{uuid.uuid4().hex[:8]}", folder
        env = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PS1": "$ ", "ENV": "", "TERM": "xterm-256color"}
        for name in ("NO_COLOR", "TMUX", "COLUMNS", "LINES"):
            env.pop(name, None)
        self.tmux("-f", os.devnull, "new-session", "-d", "-x", str(width), "-y", str(height), "sh", env=env)

    def tmux(self, *arguments, env=None):
        line = ["tmux", "-L", self.name, *arguments]
        return subprocess.run(line, cwd=self.folder, env=env, capture_output=True, text=True, check=True).stdout

    def write(self, text):
        self.tmux("send-keys", "-l", text)

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    @property
    def screen(self):
        return self.tmux("capture-pane", "-p")

    @property
    def alternate(self):
        return self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split()

    def until(self, pattern):
        """The screen, once it matches."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, screen := self.screen, re.MULTILINE):
            assert time.monotonic() < end, f"{pattern!r} did not come:\n{screen}"
            time.sleep(0.1)
        return screen

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.tmux("kill-server")


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def open_(folder=tmp_path, *size):
        opened.append(Terminal(folder, *size))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def slow(tmp_path):
    """A campaign that takes long: each run of the verifier half a second."""
    verify = {"command": "sleep 0.5; sh verify.sh", "self_check": False}
    return write_source(tmp_path / "slow", verify=verify, agent=setting_x(*range(11, 400)), budget={"rounds": 200})


@needs_tmux
def test_a_running_campaign_is_watched_steered_and_left_running(slow, terminal):
    line = [sys.executable, "-m", "loopsmith", "run", str(slow), "--plain"]
    campaign = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        tty = terminal(slow.parent)
        tty.write("echo before; until [ -f .loopsmith/tracker.db ]; do sleep 0.1; done; sleep 1; ")
        tty.write(f"{LOOPSMITH} watch; echo code $?")
        tty.press("Enter")
        tty.until(r"^measuring c\d")
        assert tty.alternate[0] == "1"
        tty.press("2")
        tty.until(r"^c\d+ +(kept|discarded)")
        tty.press("3")
        tty.until("round.planned")
        tty.resize(150, 45)
        tty.until(r"candidates, \d.*\n(.*\n)*.*round.planned")
        tty.resize(2, 1)
        tty.resize(80, 24)
        tty.press("s")
        tty.until("hint for the next workers")
        tty.write("try [bold]fusing[/]")
        tty.press("Enter")
        tty.until("hint 1 ")
        tty.press("4")
        tty.until(r"steer +try \[bold\]fusing\[/\]")
        tty.press("q")
        screen = tty.until("^code 0")
        assert "before" in screen, "the terminal is as it was"
        assert tty.alternate == ["0", "1"]
        assert campaign.poll() is None, "the campaign goes on"
        tty.write("stty -a | grep -o ' icanon'")
        tty.press("Enter")
        tty.until("^ icanon")
    finally:
        campaign.send_signal(signal.SIGTERM)
        campaign.wait(timeout=60)
    with open_store(slow.parent / ".loopsmith" / "tracker.db", read_only=True) as store:
        (request,) = store.requests(store.campaigns()[0].id)
    assert (request.by, request.data) == ("watch", {"text": "try [bold]fusing[/]"})


@needs_tmux
def test_run_watch_asks_what_becomes_of_the_campaign_and_prints_its_summary(slow, terminal):
    tty = terminal(slow.parent)
    tty.write(f"{LOOPSMITH} run --watch; echo code $?")
    tty.press("Enter")
    tty.until(r"^measuring c\d")
    tty.press("q")
    tty.until("the campaign runs in this process")
    tty.press("b")
    tty.until(r"\A(?!(?s:.*)the campaign runs in this process)")
    tty.press("q")
    tty.until("the campaign runs in this process")
    tty.press("a")
    screen = tty.until("^code 130")
    assert "stopped by a person" in screen
    assert "go on where it stopped" in screen
    assert tty.alternate == ["0", "1"]


@needs_tmux
def test_run_watch_ends_with_the_summary_after_its_campaign_did(tmp_path, terminal):
    path = write_source(tmp_path / "quick", agent=setting_x(12, 15), verify={"self_check": False})
    tty = terminal(path.parent, 100, 30)
    tty.write(f"{LOOPSMITH} run --watch; echo code $?")
    tty.press("Enter")
    tty.until("the campaign has ended; q closes the view")
    tty.until(" done ")
    tty.press("q")
    screen = tty.until("^code 0")
    assert "score 10 -> 15" in screen
    assert "loopsmith apply" in screen


@needs_tmux
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_on_a_read_only_disk_it_is_shown_and_a_key_says_why_it_cannot_be_steered(source, terminal):
    tty = terminal(source.state.root.parent)
    tty.write(f"bwrap --ro-bind / / --dev-bind /dev /dev --proc /proc {LOOPSMITH} watch; echo code $?")
    tty.press("Enter")
    tty.until("score 10 -> 15")
    tty.press("s")
    tty.until("hint for the next workers")
    tty.write("faster")
    tty.press("Enter")
    tty.until("cannot be (written|opened)")
    tty.press("Escape")
    tty.until(r"\A(?![\s\S]*hint for the next workers)")  # the dialog, which would take the key, is gone
    tty.press("C-c")
    tty.until("^code 0")


def test_a_dumb_terminal_and_a_pipe_are_told_in_one_line_what_to_use(made):
    main, side = pty.openpty()
    for terminal, word in (("dumb", "TERM=dumb"), ("", "not set")):
        line = [sys.executable, "-m", "loopsmith", "watch", "--state", str(made / ".loopsmith")]
        done = subprocess.run(
            line, stdin=side, stdout=side, stderr=side, env={**os.environ, "TERM": terminal}, timeout=PATIENCE
        )
        said = os.read(main, 65536).decode()
        assert done.returncode == 2
        assert word in said
        assert "loopsmith status" in said
        assert said.count("\n") == 1
        assert "\x1b" not in said
    os.close(side)
    os.close(main)
    piped = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert (piped.returncode, piped.stdout) == (2, "")
    assert "needs a terminal" in piped.stderr
