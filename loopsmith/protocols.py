"""The roles that can be swapped. Third parties register theirs through entry points (see SPEC.md)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from loopsmith.process import Piped
from loopsmith.records import Brief, Campaign, Completed, Reflection, Report, Spent, Trial, Tryout, Usage


class Workspace(Protocol):
    """A worker's own folder: the baseline as one commit, linked inputs read-only."""

    path: Path  # what the worker may change
    scratch: Path  # for transcripts and whole tool outputs; outside `path`, readable from its shell

    async def shell(self, command: str, timeout: float) -> Completed:
        """Run `command` with sh in `path`: sandboxed, no secret in its environment, every descendant ended.

        Args:
            timeout: seconds; afterwards the command is ended and `timed_out` is set.

        Raises:
            HarnessError: the command could not be started at all.
        """
        ...

    @property
    def network(self) -> bool:
        """Whether its commands have one."""
        ...

    def piped(
        self, argv: Sequence[str], *, env: Mapping[str, str], home: Mapping[str, Path]
    ) -> AbstractAsyncContextManager[Piped]:
        """Run an agent's own program in `path` while in the block: sandboxed as `shell`, but with a network.

        Its home folder is new and goes with the workspace.

        Args:
            env: variables beside those that every program gets.
            home: files to copy into its home folder, by their paths there.

        Raises:
            HarnessError: the program could not be started, or not ended.
        """
        ...

    @property
    def home(self) -> Path:
        """The home folder of a coding agent's program; gone with the workspace."""
        ...

    @property
    def confined(self) -> bool:
        """Whether programs can write nowhere but where they are meant to."""
        ...

    async def program(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: bytes,
        timeout: float | None,
        log: Path,
        feed: Callable[[bytes], None],
    ) -> Completed:
        """Run a coding agent's program in `path`, with the network, and a home folder of its own in `home`.

        Args:
            env: what it finds in its environment, beside what every program needs; keys.
            timeout: seconds; None: no limit.
            log: file that gets its standard output, masked.
            feed: gets the standard output as it comes. Standard error goes to `errors.log` in `home`.

        Raises:
            HarnessError: it could not be started at all.
        """
        ...


class Services(Protocol):
    """What a worker may ask of the campaign. Bound to one candidate."""

    def search_memory(self, query: str, limit: int = 5) -> Sequence[Reflection]:
        """The reflections of this campaign nearest to a few words, best first."""
        ...

    def search_lessons(self, query: str, limit: int = 5) -> Sequence[str]:
        """The lessons that stand and share words with a query, best first, each with the candidates that show it."""
        ...

    def history(self) -> Sequence[Trial]:
        """Every decided candidate of the campaign, oldest first."""
        ...

    def reserve(self, usage: Usage) -> int:
        """Write a model call into the ledger before it is made, at the most it can cost.

        Returns:
            the ledger row, for `settle`.

        Raises:
            LimitReached: a limit of the worker, the round or the campaign does not allow it. Nothing was spent.
        """
        ...

    def settle(self, row: int, usage: Usage) -> None:
        """Replace a reservation by what the call really used."""
        ...

    def problems(self) -> Sequence[str]:
        """The guardrails that the folder as it is now breaks, each with file, line and rule; nothing is stored.

        Raises:
            HarnessError: the folder could not be compared with the baseline.
        """
        ...

    async def pause(self, seconds: float) -> None:
        """Wait out a provider's rate limit: it costs the worker no time, and another may work in its place."""
        ...

    async def ready(self) -> None:
        """Wait while a person has paused the campaign, before a model is asked: it costs the worker no time."""
        ...

    async def review(self, hypothesis: str) -> Sequence[str]:
        """A reviewer's objections to the change in the folder; none without a reviewer, or when it was asked before.

        Args:
            hypothesis: the worker's own words for what the change does.

        Raises:
            HarnessError: as `problems`, or the reviewer's provider refuses for good.
        """
        ...

    async def run_checks(self) -> Tryout:
        """Setup and checks of the workflow on the folder as it is now, in a fresh copy; nothing is measured.

        Raises:
            HarnessError: they could not be run at all.
        """
        ...

    async def probe(self) -> Tryout:
        """As `run_checks`, and one measurement, on a seed that no decision uses; it is recorded and counted.

        Raises:
            LimitReached: the worker has had as many as `budget.per_worker.probes` allows. Nothing was run.
            HarnessError: it could not be run at all.
        """
        ...

    def note(self, text: str) -> None:
        """Write down at once what was learned; it stays when the worker is ended before it submits."""
        ...

    def read_candidate(self, name: str) -> str:
        """A decided candidate of this campaign, by number: what it tried, how it ended, what it taught, its patch.

        Raises:
            UsageError: there is no such candidate, or it is not decided yet.
        """
        ...

    def progress(self, text: str) -> None:
        """Say in a few words what the worker is doing now, for the live line."""
        ...


class Agent(Protocol):
    """Turns a brief into a change of the files in a workspace.

    One that does not read its brief has the attribute `resolves_conflicts = False`, and gets no files with conflict
    markers of a crossover.
    """

    name: str  # as it is shown and stored, such as `tuner` or `anthropic/claude-sonnet-4-5`

    def check(self, folder: Path, files: Sequence[str]) -> None:
        """Fail before anything is spent.

        Args:
            folder: a checkout of the baseline.
            files: the editable files in it, relative paths.

        Raises:
            WorkflowError: the settings cannot work: no key, unknown price, nothing to tune.
        """
        ...

    async def work(self, brief: Brief, workspace: Workspace, services: Services) -> Report:
        """Change files under `workspace.path` and say what was done.

        A worker that fails returns a report with `error`; it keeps within `brief.limits` itself.

        Raises:
            ProviderError: the provider refuses for good; the campaign stops and can be resumed.
            asyncio.CancelledError: the campaign stops now.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """Something that happened in a campaign, as those who watch are told."""

    name: str  # of an event, such as candidate.decided
    at: datetime
    round: int | None = None  # its number
    candidate: int | None = None  # its number
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of a model that is settled."""

    usage: Usage
    round: int | None
    candidate: int | None
    created_at: datetime  # when it was made; it took `usage.seconds`


class Watched(Protocol):
    """A campaign as those see it who watch; every answer is read from the tracker when it is asked for."""

    @property
    def campaign(self) -> Campaign:
        """As it is now."""
        ...

    @property
    def state(self) -> Path:
        """The state folder, absolute."""
        ...

    @property
    def baseline(self) -> float | None:
        """The objective's metric of the untouched source; None before it was measured."""
        ...

    def record(self, candidate: int) -> dict[str, Any]:
        """Everything known of a candidate, as `loopsmith export --format json` has it.

        Raises:
            UsageError: there is no such candidate.
        """
        ...

    def decided(self) -> Iterable[dict[str, Any]]:
        """The records of the decided candidates, by number."""
        ...

    def patch(self, candidate: int) -> str:
        """A candidate's change against its baseline, as a unified diff."""
        ...

    def report(self) -> Sequence[Path]:
        """The files of the campaign's report; none before it was written, which is when the campaign has ended."""
        ...

    def calls(self, *, round: int | None = None, candidate: int | None = None) -> Sequence[Call]:
        """The settled model calls of a candidate, or those of a round that are no candidate's, oldest first."""
        ...

    def spent(self) -> Spent:
        """What models have used so far."""
        ...


class Observer(Protocol):
    """Is told what happens in a campaign while it runs: an experiment tracker, a dashboard.

    It runs in a thread that it shares with the other observers, so it may wait and may fail; what it raises ends it,
    and nothing else. Registered under the entry point group `loopsmith.observers`: a callable that takes its settings
    (for another maker's a map, as it stands in the workflow) and returns it, or raises WorkflowError with what to do.
    """

    def start(self, campaign: Watched) -> None:
        """Begin, or go on with a campaign that it saw before. The campaign waits for this, but not for long."""
        ...

    def observe(self, happening: Happening) -> None:
        """Take in what happened. What came while it was busy waits, as long as there is room."""
        ...

    def close(self) -> None:
        """Send what is left; the campaign is over for now. It has a few seconds."""
        ...
