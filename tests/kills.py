"""Campaigns that are killed at a chosen write of the tracker, in processes of their own."""

import os
import signal
from contextlib import contextmanager, suppress
from pathlib import Path

from support import run

from loopsmith.tracker.database import Database


def killed_at(path: Path, commit: int, *, after: bool) -> bool:
    """Run the campaign in a process of its own that kills itself at a commit; False when it ended before."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            arm(commit, after=after)
            run(path)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    reap()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the campaign failed by itself"
    return False


def reap() -> None:
    """Take in what the killed process left dead: this process adopts it once it has run a command itself."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def arm(commit: int, *, after: bool) -> None:
    """Let this process die at the n-th write of the tracker."""
    count, writing = 0, Database.writing

    @contextmanager
    def deadly(self):
        nonlocal count
        count += 1
        with writing(self) as connection:
            yield connection
            if count == commit and not after:
                os.kill(os.getpid(), signal.SIGKILL)
        if count == commit and after:
            os.kill(os.getpid(), signal.SIGKILL)

    Database.writing = deadly
