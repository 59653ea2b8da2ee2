"""What the API answers with and is asked: the models that both make the answers and describe them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from loopsmith.live import Request, RequestKind
from loopsmith.records import Event, Status
from loopsmith.tracker.reading.browse import SortKey

MOST = 1000  # rows of an answer


class Open(BaseModel):
    """What newer versions may say more of."""

    model_config = ConfigDict(extra="allow")


class CampaignState(Open):
    id: str
    name: str
    status: str = Field(description="running, interrupted (its process is gone), stopped, done, failed, and so on")
    stop_reason: str | None
    message: str | None
    flakes: int
    rate_limited: dict[str, str] = Field(description="models, each with the time until when (ISO 8601)")
    process: int | None
    workflow: str
    created_at: str


class Start(Open):
    commit: str
    value: float | None
    holdout: float | None
    exact: bool | None


class Best(Open):
    value: float | None
    holdout: float | None
    candidate: int | None
    commit: str
    effect: float | None = Field(description="the gain over the untouched source, as a share of it; of one at 0 itself")
    interval: tuple[float, float] | None
    ratio: float | None


class Limited(Open):
    used: float
    limit: float | None


class ModelUsage(Open):
    role: str
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float


class TotalUsage(Open):
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    by_model: list[ModelUsage]


class CampaignStatus(Open):
    """Where a campaign stands: the same as `loopsmith status --json`."""

    campaign: CampaignState
    objective: dict[str, Any]
    baseline: Start
    best: Best
    counts: dict[str, int]
    budget: dict[str, Limited]
    roles: dict[str, Any]
    steering: dict[str, Any] = Field(description="hints, settings that were changed meanwhile, and what waits")
    usage: TotalUsage


@dataclass(frozen=True, kw_only=True, slots=True)
class CampaignEntry:
    """A campaign in the list."""

    id: str
    name: str
    status: str
    stop_reason: str | None
    metric: str
    direction: str
    candidates: int
    kept: int
    workflow: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why there is no answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Events:
    """Events in order, and the id to ask after for the next ones."""

    rows: tuple[Event, ...]
    after: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request, and where it stands in a sentence."""

    request: Request
    said: str


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CandidatesQuery(Strict):
    status: list[Status] | None = Field(None, description="only those; may be given several times")
    search: str = Field("", max_length=200, description="words that hypothesis, summary, lesson or reason hold")
    sort: SortKey = SortKey.NUMBER
    order: Annotated[str, Field(pattern="^(up|down)$")] = "down"
    limit: int = Field(50, ge=1, le=MOST)
    offset: int = Field(0, ge=0, le=10**9)


class EventsQuery(Strict):
    after: int = Field(0, ge=0, le=2**62, description="only events with a larger id")
    name: str | None = Field(None, max_length=100, description="such as candidate.decided")
    limit: int = Field(100, ge=1, le=MOST)


class StreamQuery(Strict):
    after: int | None = Field(None, ge=0, le=2**62, description="default: only what happens from now on")


class CurveQuery(Strict):
    limit: int = Field(2000, ge=1, le=20_000, description="points beside the kept steps, roughly")


class LessonsQuery(Strict):
    retired: bool = Field(False, description="those that were contradicted too")


class RequestsQuery(Strict):
    limit: int = Field(100, ge=1, le=MOST)


class Wish(Strict):
    """What is asked of a campaign."""

    kind: RequestKind
    data: dict[str, Any] = Field(
        default_factory=dict,
        description="stop: now (bool); steer: text, or withdraw (a hint's number); set: key, value; approve and "
        "reject: candidate (number, id or commit)",
    )
