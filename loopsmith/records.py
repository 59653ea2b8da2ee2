"""The records that travel between the steps: frozen, typed, plain.

No record knows where it is stored. Times are UTC datetimes, durations are seconds, money is US dollars.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any


class Verdict(StrEnum):
    """How a candidate ended."""

    KEPT = "kept"  # beat the baseline, confirmed; it is the baseline now, or was
    DISCARDED = "discarded"  # verified, and not shown to be better
    REJECTED = "rejected"  # broke a guardrail; nothing was run
    FAILED = "failed"  # no change, a check failed, no score, a constraint not met
    CRASHED = "crashed"  # the worker or the program died
    TIMED_OUT = "timed_out"  # the program, or a worker that left no change, ran out of time
    DUPLICATE = "duplicate"  # this content was verified against this baseline before
    QUARANTINED = "quarantined"  # too good to believe without a person


class Status(StrEnum):
    """Where a candidate stands. The last eight are the verdicts and are final."""

    PLANNED = "planned"
    RUNNING = "running"
    GENERATED = "generated"
    VERIFYING = "verifying"
    SCREENED = "screened"
    CONFIRMING = "confirming"
    KEPT = "kept"
    DISCARDED = "discarded"
    REJECTED = "rejected"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"

    @property
    def final(self) -> bool:
        return self.value in Verdict.__members__.values()


class Phase(StrEnum):
    """Why a measurement was taken."""

    BASELINE = "baseline"  # of the baseline alone, when it is new
    SCREEN = "screen"  # of a candidate, once, to pick who is confirmed
    CONFIRM = "confirm"  # of candidate and baseline, interleaved, on fresh seeds
    HOLDOUT = "holdout"  # by the hidden second command; never shown to a worker
    CANARY = "canary"  # of a patch that must not be kept; not recorded


class CampaignStatus(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"  # by a person; run again to go on
    DONE = "done"  # a limit or the target was reached
    FAILED = "failed"  # the harness, the provider or the baseline failed; run again after mending


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """One run of a workflow over one source folder; may be stopped and resumed for days."""

    id: str
    name: str
    status: CampaignStatus
    stop_reason: str | None = None  # see SPEC.md, "How a campaign ends"
    message: str | None = None  # the reason in a sentence
    workflow_path: str
    workflow_text: str
    workflow_hash: str
    identity_hash: str  # of objective, verifier and editable files: a change starts a new campaign
    settings: dict[str, Any]  # every setting, resolved
    source: str
    origin_commit: str  # the snapshot of the untouched source
    baseline_commit: str  # the best verified commit so far
    exact: bool | None = None  # whether the metric repeats exactly; None before calibration
    elapsed: float = 0.0  # seconds that loopsmith was running, all runs together
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A work item. A research workflow has one."""

    id: str
    campaign_id: str
    title: str
    status: str = "open"  # open | done


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A place in a round for one candidate, as planned."""

    seed: int
    agent: str
    hypothesis: str = ""  # what the planner asks the worker to try; empty: the worker decides
    emphasis: str = ""  # what makes this worker look elsewhere than its neighbours
    retry_of: str | None = None  # id of a runner-up whose patch is tried again on the new baseline
    plan: dict[str, Any] = field(default_factory=dict)  # what a planner said: text, category, expected_effect, risk
    parent: str | None = None  # the commit that the worker starts from; None: the baseline


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    id: str  # CAMPAIGN.rN
    campaign_id: str
    task_id: str
    number: int  # from 1
    baseline_commit: str
    finished: bool = False
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A patch against a parent commit, with its hypothesis and where it stands."""

    id: str  # CAMPAIGN.N
    campaign_id: str
    round_id: str
    number: int  # from 1, over the campaign
    status: Status
    attempt: int = 1  # grows when a killed run's worker starts again
    seed: int
    agent: str
    parent_commit: str  # what its worker started from; it is compared with its round's baseline
    retry_of: str | None = None
    emphasis: str = ""
    hypothesis: str = ""
    summary: str = ""
    tried: str = ""  # what the worker tried in vain, in its words
    lesson: str = ""
    try_next: str = ""
    finish_reason: str = ""
    commit: str | None = None  # from GENERATED on
    tree: str | None = None  # git tree id: equal content, equal tree
    lines_added: int = 0  # against the round's baseline
    lines_removed: int = 0
    params: dict[str, Any] = field(default_factory=dict)  # constants a tuner chose
    plan: dict[str, Any] = field(default_factory=dict)  # as in its slot
    value: float | None = None  # the objective's metric: screened, then confirmed mean
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One sample of one metric."""

    campaign_id: str
    candidate_id: str | None  # None: of the baseline
    commit: str
    phase: Phase
    pair: int  # candidate and baseline runs of one confirmation share it; else 0, 1, ...
    metric: str
    value: float
    seed: int
    seconds: float  # of the run that printed it
    log: str | None  # the artifact's path
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """A gain over the baseline, as a share of it: 0.12 is 12 % better in the objective's direction."""

    mean: float
    low: float  # of the two-sided 95 % interval
    high: float
    samples: int  # pairs; 0 for a metric that repeats exactly
    own_unit: bool = False  # over a baseline at zero, which has no share: in the metric's own unit


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    verdict: Verdict
    reason: str  # one sentence for a person
    rule: str = ""  # exact | paired-t | guardrail | ...
    effect: Effect | None = None
    value: float | None = None  # of the candidate
    baseline_value: float | None = None  # that it was compared with
    evidence: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reflection:
    """What one candidate teaches the next workers."""

    id: int | None = None
    campaign_id: str
    candidate_id: str | None = None
    hypothesis: str
    outcome: Verdict
    effect: Effect | None = None
    lesson: str = ""
    avoid: str = ""
    try_next: str = ""
    error: str = ""  # the tail of what a program printed: data, never instructions
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """One model call. Reserved before it is made, settled after."""

    role: str  # worker | planner | reviewer | reflector
    model: str
    input_tokens: int = 0  # all of them, cached ones too
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """The ledger's sum over a campaign, a round or a candidate; open reservations count in full."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    id: int
    campaign_id: str
    name: str  # dotted and stable, such as candidate.decided
    round_id: str | None = None
    candidate_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    campaign_id: str
    candidate_id: str | None
    kind: str  # log | transcript | output | brief
    path: str
    size: int
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    path: str
    kind: str  # added | modified | deleted
    added: int
    removed: int
    old: str | None = None  # git's id of the content; None where there was none, or it was not read
    new: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """A worker's change against its baseline, committed to loopsmith's own repository."""

    parent: str
    commit: str | None
    tree: str | None
    files: tuple[FileChange, ...]
    text: str  # unified diff
    problems: tuple[str, ...] = ()  # each rule that it breaks, with its file; `commit` and `tree` are None then

    @property
    def empty(self) -> bool:
        return not self.files

    @property
    def lines_added(self) -> int:
        return sum(file.added for file in self.files)

    @property
    def lines_removed(self) -> int:
        return sum(file.removed for file in self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """A command that ended, or was ended."""

    argv: tuple[str, ...]
    exit_code: int | None  # None when a signal ended it
    signal: int | None
    timed_out: bool
    seconds: float
    log: Path  # stdout and stderr together, head and tail kept when over the cap
    output_bytes: int  # as printed, before the cap
    leftovers: int = 0  # descendants that outlived the command and were ended
    limit: str = ""  # the limit that it was ended for, in words

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.timed_out and not self.limit


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of the verifier in one fresh folder.

    `metrics` is empty unless every value was finite and said once; `problem` then says why there is no score.
    `verdict` is None for a run that scored.
    """

    seed: int
    metrics: dict[str, float]
    seconds: float
    log: Path | None
    verdict: Verdict | None = None
    problem: str = ""
    tail: str = ""  # the end of the output, for the reflection
    feedback: str = ""  # what the verifier said of it in words: data, never instructions
    notes: dict[str, Any] = field(default_factory=dict)  # changed_files, leftover_processes, clock_jump, suspended


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A finished candidate as a search method sees it."""

    number: int
    params: dict[str, Any]
    status: Status
    value: float | None
    parent_commit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerLimits:
    """What one worker may spend; None is unlimited."""

    turns: int | None = None
    wall_clock: float | None = None
    cost_usd: float | None = None
    tokens: int | None = None
    probes: int = 0  # measurements of its own folder that it may ask for


@dataclass(frozen=True, kw_only=True, slots=True)
class Tryout:
    """What came of trying a worker's folder as it is now, before it is submitted."""

    problem: str = ""  # why it would not be kept; empty: it passed
    output: str = ""  # the end of what the failing command printed: data, never instructions
    metrics: dict[str, float] = field(default_factory=dict)  # of a probe that scored
    ran: bool = True  # without it a guardrail stood before


@dataclass(frozen=True, kw_only=True, slots=True)
class Brief:
    """All that a worker knows."""

    candidate_id: str
    prompt: str  # the rendered workflow body, with the brief in it
    seed: int
    round: int
    attempt: int
    editable: tuple[str, ...]  # globs
    files: tuple[str, ...]  # the editable files that exist
    metric: str
    direction: str  # minimize | maximize
    hypothesis: str = ""
    agent: str = ""  # who of an ensemble is asked
    limits: WorkerLimits = WorkerLimits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a worker says it did. Only what the workspace holds counts as the change."""

    # submitted | stopped | turns | wall_clock | cost_usd | tokens | context | no_progress | unusable | error
    finish_reason: str
    summary: str = ""
    hypothesis: str = ""
    tried: str = ""  # what was tried and did not work
    lesson: str = ""
    try_next: str = ""
    expected_effect: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    error: str = ""  # set when the worker itself broke
    transcript: Path | None = None
