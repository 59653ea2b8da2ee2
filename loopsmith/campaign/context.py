"""What the steps of a campaign share, put together once when it starts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from loopsmith import log
from loopsmith.agents.model import Model
from loopsmith.agents.recording import Tape
from loopsmith.campaign.live.board import Board
from loopsmith.campaign.live.overrides import Override
from loopsmith.campaign.live.pause import Pause
from loopsmith.campaign.measure.leases import Leases
from loopsmith.campaign.state import StateFolder
from loopsmith.campaign.stop import Stop
from loopsmith.errors import LimitReached
from loopsmith.observers.notify import Target
from loopsmith.protocols import Agent
from loopsmith.protocols import Observer as Outsider
from loopsmith.records import Campaign, Candidate, Phase
from loopsmith.search.budget import Used
from loopsmith.search.policy import Policy
from loopsmith.tracker import Store
from loopsmith.verify.noise import Noise
from loopsmith.verify.runner import Verifier
from loopsmith.workflow import Settings, Workflow
from loopsmith.workspace import Repository, Sandbox

Observer = Callable[[str, Candidate | None, dict[str, Any]], None]


@dataclass(kw_only=True)
class Context:
    """The campaign's parts. Only the round and the campaign write to the store through it."""

    campaign: Campaign  # as it was when this run began; `baseline` and `exact` below are as they are now
    workflow: Workflow  # with `overrides`
    filed: Workflow  # as the file and the command line say
    store: Store
    repository: Repository
    state: StateFolder
    sandbox: Sandbox
    verifier: Verifier
    holdout: Verifier | None  # runs the hidden command; the other one cannot see what it reads
    agent: Agent
    roles: dict[str, Model]  # of the roles that a model plays
    policy: Policy  # where workers start
    leases: Leases
    stop: Stop
    pause: Pause = field(init=False)
    workers: asyncio.Semaphore
    overrides: tuple[Override, ...] = ()  # settings that a person changed while it ran
    seed: str = ""  # what all seeds are made from: the campaign's id, or in a replay the recorded one's
    tape: Tape | None = None  # records or replays the models
    observers: list[Observer] = field(default_factory=list)
    outsiders: dict[str, Outsider] = field(default_factory=dict)  # of the section `observe`; see telling.py
    targets: list[Target] = field(default_factory=list)  # of the section `notify`
    drained: Callable[[], Awaitable[None]] | None = None  # waits for `hooks.after_decision`
    at_end: list[Callable[[], None]] = field(default_factory=list)  # called when it has ended, while others listen
    used: Used | None = None  # of the limits, when the last round ended
    limit: LimitReached | None = None  # a limit of the whole campaign that a worker met
    accept_noise: bool = False  # go on although the baseline's runs differ by half and more
    noise: dict[str, Noise] = field(default_factory=dict)  # by metric, as `replicates` last worked it out
    said: dict[str, str] | None = None  # by the verifier, by commit, oldest first; None: not read yet
    end_now: Callable[[], object] = lambda: None  # ends the campaign without finishing anything
    between_rounds: bool = False  # nothing is planned or decided now, so that the baseline may move
    silent: set[str] = field(default_factory=set)  # roles that met their share of the budget in this run
    hook_failures: int = 0  # attempts in a row that a hook ended
    exact_values: dict[str, float] = field(default_factory=dict)  # of baselines, where the metric repeats exactly
    screens: int = 10**6  # screening runs since the baseline was last measured; many, as nobody knows, when resumed
    board: Board = field(init=False)  # what goes on now
    _bases: dict[str, str] = field(default_factory=dict)  # by round

    def __post_init__(self) -> None:
        self.seed = self.seed or self.campaign.id
        self.board, self.pause = Board(self.campaign.id), Pause(self.stop)

    @property
    def settings(self) -> Settings:
        return self.workflow.settings

    @property
    def id(self) -> str:
        return self.campaign.id

    def emit(self, name: str, candidate: Candidate | None = None, *, round_id: str | None = None, **data: Any) -> None:
        """Write an event to the tracker, the log and whoever watches."""
        candidate_id = candidate.id if candidate else None
        round_id = round_id or (candidate.round_id if candidate else None)
        self.store.record_event(self.id, name, round_id=round_id, candidate_id=candidate_id, **data)
        log.info(name, campaign=self.id, candidate=candidate.number if candidate else None, **data)
        self.show(name, candidate, **data)

    def show(self, name: str, candidate: Candidate | None = None, **data: Any) -> None:
        """Tell whoever watches, without a record."""
        for observer in self.observers:
            observer(name, candidate, data)

    def keep_artifact(self, candidate: Candidate | None, kind: str, path: Path) -> None:
        """Note a file that belongs to a candidate, or to the baseline."""
        candidate_id = candidate.id if candidate else None
        size = path.stat().st_size if path.exists() else 0
        self.store.record_artifact(campaign_id=self.id, candidate_id=candidate_id, kind=kind, path=path, size=size)

    def baseline(self) -> str:
        return self.store.campaign(self.id).baseline_commit

    @cached_property
    def exact(self) -> bool:
        """Whether the metric repeats exactly, as far as is known: a confirmation may find that it does not."""
        return bool(self.store.campaign(self.id).exact)

    def base(self, candidate: Candidate) -> str:
        """The baseline that a candidate is compared with, whatever its worker started from."""
        if candidate.round_id not in self._bases:
            self._bases[candidate.round_id] = self.store.round(candidate.round_id).baseline_commit
        return self._bases[candidate.round_id]

    def measured(self, commit: str, phase: Phase | None = None, limit: int = 200) -> dict[str, list[float]]:
        """What was measured of a commit: its metrics, newest values last. The holdout's only when asked for."""
        found: dict[str, list[float]] = {}
        for item in self.store.measurements(self.id, commit=commit, phase=phase):
            if phase is None and item.phase is Phase.HOLDOUT:
                continue
            found.setdefault(item.metric, []).append(item.value)
        return {metric: values[-limit:] for metric, values in found.items()}
