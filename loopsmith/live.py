"""The records of a campaign as a person sees and steers it: what goes on now, and what was asked of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from loopsmith.records import Candidate, Effect, Status


class RequestKind(StrEnum):
    """What a person may ask of a campaign while it runs."""

    STOP = "stop"  # data: now (bool)
    PAUSE = "pause"
    RESUME = "resume"
    STEER = "steer"  # data: text, a hint for the next briefs; or withdraw, the number of a hint
    SET = "set"  # data: key, value, both as of `--set KEY=VALUE`; without a value the workflow's own counts again
    APPROVE = "approve"  # data: candidate (its id)
    REJECT = "reject"  # data: candidate (its id)


class RequestStatus(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """Something that a person asked of a campaign, and what became of it."""

    id: int
    campaign_id: str
    kind: RequestKind
    data: dict[str, Any] = field(default_factory=dict)
    by: str  # where it was asked: terminal | watch | page
    status: RequestStatus = RequestStatus.WAITING
    answer: str = ""  # one sentence, once it is answered
    created_at: datetime
    answered_at: datetime | None = None


class HintStatus(StrEnum):
    """Where a hint stands."""

    WAITING = "waiting"  # no campaign has heard it yet
    OPEN = "open"  # in the briefs
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """What a person asked the workers of a campaign to try."""

    number: int  # from 1, over the campaign
    text: str
    request: Request
    status: HintStatus
    taken: tuple[Candidate, ...] = ()  # the candidates whose hypothesis took it up

    @property
    def mark(self) -> str:
        """What a hypothesis that takes it up begins with."""
        return f"(steer {self.number})"


class Doing(StrEnum):
    """What a part of the campaign does."""

    WORKING = "working"  # an agent, or a role beside it
    QUEUED = "queued"  # waits for the machine, to be measured
    MEASURING = "measuring"  # holds a lease


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """What goes on now in one part of a running campaign."""

    campaign_id: str
    subject: str  # c12, or baseline, or the name of a role
    candidate_id: str | None = None
    doing: Doing
    text: str  # in words; what an agent said of it is data
    lease: tuple[str, ...] = ()  # what it holds of the machine, such as core 3
    since: datetime  # when it began with this
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """A candidate as a row of a list. Long texts are cut."""

    id: str
    number: int
    round: int
    status: Status
    agent: str
    category: str  # as the planner said; empty without one
    hypothesis: str
    value: float | None
    effect: Effect | None
    reason: str  # of its decision; empty while it has none
    cost_usd: float
    tokens: int
    lines_added: int
    lines_removed: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A part of a list of candidates."""

    rows: tuple[Overview, ...]
    total: int  # that fit what was asked for
