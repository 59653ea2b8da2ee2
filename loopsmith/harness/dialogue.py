"""A conversation with the candidate: its function is called again and again, in one process that keeps its state.

For verifiers whose metric is not a time: a training that gets its batches one by one, a player that answers moves.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from loopsmith.harness.batch import Batch
from loopsmith.harness.candidate import Candidate
from loopsmith.harness.channel import Child, Rejected
from loopsmith.harness.lockdown import MEMORY, keep_out
from loopsmith.harness.measurement import ARRAYS, home_of
from loopsmith.harness.values import unpack


class Session:
    """The candidate's function, to be called as if it were here.

    `seconds` are those of the last call, by the verifier's clock. `missing` says what the candidate was not kept from.
    """

    def __init__(self, child: Child, candidate: Candidate):
        self._child, self._candidate = child, candidate
        self.seconds = 0.0
        self.missing = tuple(child.missing)

    def __call__(self, *args: Any) -> Any:
        """One call; gives its result, of the types that harness values may have. It stands still until the next.

        Raises:
            Rejected: no answer, too late, or one that is not a value.
        """
        with Batch([args], self._candidate) as asked:
            answer = asked.ask(self._child)
        self.seconds = answer.seconds
        try:
            return unpack(answer.results[0], answer.memory)
        except (ValueError, RecursionError, MemoryError):
            raise Rejected("wrong: an answer that is not one") from None

    @property
    def cpu(self) -> float:
        """Seconds of CPU time that the candidate's process has used so far; 0 where the system does not tell."""
        return self._child.cpu()


@contextmanager
def session(
    candidate: Candidate,
    *,
    timeout: float = 60.0,
    hide: Sequence[str] = (),
    processes: bool = False,
    size_limit: int = 1 << 30,
    folder: str | os.PathLike[str] | None = None,
) -> Iterator[Session]:
    """Start a process for the candidate, as `measure` does, and end it with all that it started.

    Args:
        candidate: from `python` or `library`, without a device.
        timeout: seconds for each call, and for loading.
        hide: files and folders beside the verifier itself that it cannot see.
        processes: whether it may start processes.
        size_limit: bytes of one answer, and of what it prints.
        folder: of the candidate; by default the verifier's.

    Raises:
        Rejected: it cannot be loaded.
    """
    home, script = home_of(folder)
    hidden = [os.path.realpath(os.path.join(home, each)) for each in hide] + ([script] if script else [])
    with Child(home, hide=hidden, processes=processes, timeout=timeout, size_limit=size_limit) as child:
        if MEMORY in child.missing:
            keep_out()
        child.prepare([name for name in ARRAYS if name in sys.modules], None)
        child.ask("load", what=candidate.what(home))
        yield Session(child, candidate)
