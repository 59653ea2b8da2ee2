"""One run of a coding agent's program: watched while it works, and what it came to."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from loopsmith.agents.coding.home import end_of
from loopsmith.agents.coding.meter import Meter
from loopsmith.agents.coding.stream import Event, Files, Reader
from loopsmith.agents.mcp.host import ToolHost
from loopsmith.errors import LimitReached, ProviderError
from loopsmith.process import plain
from loopsmith.protocols import Services, Workspace
from loopsmith.records import Completed
from loopsmith.workflow.coding import Entry
from loopsmith.workflow.units import format_duration

LOOK = 0.5  # seconds between two looks at the files that it writes, and at the clock
AT_ONCE = ("not_logged_in", "needs_person")  # the program will not get over it
WORDS = 4000  # characters of an agent's last words


@dataclass
class Run:
    """A program at work.

    Args:
        turns: how many answers its model may give; None: no limit.
        silence: seconds without any output after which it is ended.
    """

    entry: Entry
    services: Services
    meter: Meter
    home: Path
    turns: int | None
    silence: float
    host: ToolHost | None = None  # of the tools that it was told of
    means: str = ""  # what the last event with a meaning said
    message: str = ""
    retry_after: float | None = None
    words: str = ""
    ended: str = ""  # why we ended it: turns, cost_usd, tokens, silence, or what it said
    failure: ProviderError | None = None
    done: Completed | None = None  # None: we ended it
    _seen: set[str] = field(default_factory=set)  # turns by id
    _turn: int = 0
    _heard: float = field(default_factory=time.monotonic)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reader = Reader(self.entry.usage.events if self.entry.usage.format == "jsonl" else ())
        self.files = Files(self.home, self.entry.usage)

    async def work(
        self,
        workspace: Workspace,
        argv: Sequence[str],
        env: dict[str, str],
        stdin: bytes,
        limit: float | None,
        log: Path,
    ) -> None:
        """Run it to its end, or to the first limit.

        Args:
            limit: seconds.

        Raises:
            HarnessError: it could not be started.
        """
        program = asyncio.create_task(
            workspace.program(argv, env=env, stdin=stdin, timeout=limit, log=log, feed=self.feed)
        )
        stopped = asyncio.create_task(self._stop.wait())
        try:
            while not program.done() and not self._stop.is_set():
                await asyncio.wait((program, stopped), timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                self.take(self.files.poll())
                if self.host is not None:  # a program that waits for a tool is not silent
                    self._heard = time.monotonic() if self.host.running else max(self._heard, self.host.asked)
                if time.monotonic() - self._heard > self.silence:
                    self.stop("silence")
            if program.done():
                self.done = await program
        finally:
            stopped.cancel()
            if not program.done():
                program.cancel()
                with suppress(asyncio.CancelledError):
                    await program
            self.take(self.reader.end())
            self.take(self.files.poll(last=True))
            # A program that ended by itself, or said that it was done, has no call under way.
            by_itself = self.done is not None and not self.done.timed_out
            self.meter.close(whole=by_itself or self.means == "completed")
        if self.failure:
            raise self.failure

    def feed(self, data: bytes) -> None:
        self._heard = time.monotonic()
        self.take(self.reader.feed(data))

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._heard = time.monotonic()
            if event.text.strip():
                self.words = event.text.strip()[-WORDS:]
            if event.turn:
                self.answer(event.turn)
            if event.amount:
                try:
                    self.meter.count(event.amount)
                except LimitReached as reached:
                    self.stop(reached.limit.rpartition(".")[2])
                except ProviderError as error:
                    self.failure = self.failure or error
                    self.stop("price")
            if event.means and not (event.means == "failed" and self.means not in ("", "completed")):
                self.means, self.message, self.retry_after = event.means, event.message, event.retry_after
                if event.means in AT_ONCE:
                    self.stop(event.means)

    def answer(self, turn: str) -> None:
        """One more answer of the model, unless it is a further part of one."""
        if turn != "new" and turn in self._seen:
            return
        self._seen.add(turn)
        self._turn += 1
        self.services.progress(f"turn {self._turn}")
        if self.turns is not None and self._turn > self.turns:
            self.stop("turns")

    def stop(self, reason: str) -> None:
        self.ended = self.ended or reason
        self._stop.set()

    @property
    def outcome(self) -> str:
        """What the run came to, as one of the meanings of an event; empty where it said nothing of it."""
        if self.means or self.done is None or self.done.timed_out:
            return self.means
        return self.entry.exits.get(str(self.done.exit_code), "")

    @property
    def turned_away(self) -> bool:
        """Whether a rate limit is why it ended, rather than a limit of the worker."""
        timed_out = self.done is not None and self.done.timed_out
        return self.outcome == "rate_limited" and self.ended in ("", "silence") and not timed_out

    def problem(self, name: str) -> str:
        """Why the run is no piece of work, for a person; empty when it is one, or ended at a limit of the worker."""
        said = f": {self.message}" if self.message else ""
        if self.ended == "silence":
            return f"{name} said nothing for {format_duration(round(self.silence))} and was ended" + self._last()
        if self.outcome == "needs_person":
            return f"{name} wants a person{said}; nobody is there to answer"
        if self.done is None or self.done.timed_out:
            return ""
        if self.done.limit:
            return f"{name} {self.done.limit}"
        match self.outcome:
            case "completed":
                return ""
            case "refused":
                return f"{name} refuses{said or ': it gives no reason'}"
            case "failed":
                return f"{name} failed{said}" + ("" if said else self._last())
        how = f"exit code {self.done.exit_code}" if self.done.signal is None else f"signal {self.done.signal}"
        if not self._known:
            return f"{name} printed no event that is known ({self._unread}it ended with {how}){self._last()}"
        if self._promises or self.done.exit_code != 0:
            return f"{name} ended with {how} without saying that it was done{self._last()}"
        return ""

    @property
    def _known(self) -> bool:
        return bool(self.reader.known or any(reader.known for reader, _ in self.files.readers.values()))

    @property
    def _promises(self) -> bool:
        return any(rule.means == "completed" for rule in self.entry.usage.rules())

    @property
    def _unread(self) -> str:
        parts = {"too long": self.reader.lines.skipped, "no JSON object": self.reader.unknown}
        return "".join(f"{count} lines were {what}; " for what, count in parts.items() if count)

    def _last(self) -> str:
        """The end of what it said on standard error."""
        lines = plain(end_of(self.home / "errors.log", 1000)).splitlines()
        return f"; it last said: {' '.join(lines[-3:])}" if lines else ""
