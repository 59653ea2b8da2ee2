"""Asking again: which failures of a provider pass by themselves, how long to wait, and when to give up."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from loopsmith import log
from loopsmith.agents.line import Line
from loopsmith.agents.model import ContextFull, ConversationError
from loopsmith.errors import LoopsmithError, ProviderError

T = TypeVar("T")

FIRST_PATIENCE = 30.0  # seconds; an endpoint that never answered is more likely wrong than ill
PATIENCE = 600.0  # seconds; one that did answer comes back, and the night is long
LONGEST_WAIT = 6 * 3600.0  # seconds that a provider may ask to wait; subscriptions have limits of five hours
BACKOFF = wait_random_exponential(multiplier=1, min=0.25, max=60)

_BILLING = ("insufficient_quota", "spend_limit", "credit balance", "insufficient balance", "no credit")
_CONTEXT = ("context_length", "context length", "context size", "context_size", "context window", "prompt is too long")
_CONTENT = ("content_filter", "content_policy", "content management policy", "invalid_prompt")
_NO_MODEL = ("model_not_found", "not a valid model", "invalid model", "unknown model")


class Unanswered(LoopsmithError):
    """A call brought no answer, and may bring one when asked again.

    Args:
        message: what happened, without the endpoint's name.
        retry_after: seconds that the provider asks to wait.
        charged: the provider may have worked on it, and may charge for it.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, charged: bool = False):
        self.retry_after, self.charged = retry_after, charged
        super().__init__(message)


class RateLimited(Unanswered):
    """The provider turns callers away for a while, by name: nobody's fault, and no failure of the provider."""


Pause = Callable[[float], Awaitable[None]]


async def persist(
    attempt: Callable[[], Awaitable[T]],
    *,
    answered: bool,
    deadline: Callable[[], float | None] = lambda: None,
    line: Line | None = None,
    rest: Pause = asyncio.sleep,
) -> T:
    """Repeat `attempt` while it raises Unanswered: with growing, jittered pauses, or as Retry-After asks.

    Args:
        answered: the endpoint has answered before, so that more patience is due.
        deadline: of the `time.monotonic` clock, asked for anew each time; no pause but one of a rate limit goes beyond.
        line: what others know of the provider; it learns of each failure.
        rest: waits out a rate limit of so many seconds.

    Raises:
        Unanswered: the last one, when patience or time is over, or every call of the last minutes failed.
    """
    line = line or Line()
    rested = 0.0  # seconds spent on rate limits, which are no matter of patience
    last: Unanswered | None = None

    async def once() -> T:
        nonlocal last
        while line.wait:
            await aside(line.wait + random.uniform(0, 0.25))
        begun = time.monotonic()
        try:
            answer = await attempt()
        except Unanswered as error:
            last = error
            if not isinstance(error, RateLimited):
                line.failed(begun)
            elif error.retry_after is not None and error.retry_after <= LONGEST_WAIT:
                line.limited(error.retry_after)
            raise
        line.answered()
        return answer

    async def aside(seconds: float) -> None:
        nonlocal rested
        begun = time.monotonic()
        await rest(seconds)
        rested += time.monotonic() - begun

    def pause(state: RetryCallState) -> float:
        asked = _failure(state).retry_after
        # Workers that were turned away together must not come back together.
        return BACKOFF(state) if asked is None else asked + random.uniform(0, 0.25 + asked / 10)

    def over(state: RetryCallState) -> bool:
        error, end = _failure(state), deadline()
        if _named(error):
            return (error.retry_after or 0) > LONGEST_WAIT
        there = answered or error.retry_after is not None or isinstance(error, RateLimited)
        late = end is not None and time.monotonic() + state.upcoming_sleep >= end
        spent = (state.seconds_since_start or 0) - rested + state.upcoming_sleep
        return late or line.broken or spent > (PATIENCE if there else FIRST_PATIENCE)

    def tell(state: RetryCallState) -> None:
        log.warning("model.retry", attempt=state.attempt_number, pause=state.upcoming_sleep, error=str(_failure(state)))

    again = AsyncRetrying(
        retry=retry_if_exception_type(Unanswered),
        wait=pause,
        stop=over,
        before_sleep=tell,
        sleep=lambda seconds: aside(seconds) if _named(last) else asyncio.sleep(seconds),
        reraise=True,
    )
    return await again(once)


def _named(error: Unanswered | None) -> bool:
    """Whether it is a rate limit with its end."""
    return isinstance(error, RateLimited) and error.retry_after is not None


def _failure(state: RetryCallState) -> Unanswered:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Unanswered)
    return error


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """What a failure message needs to name."""

    model: str
    url: str
    key: str  # the variable that holds the key, such as $OPENAI_API_KEY
    secret: str = ""  # the key itself, which must not be shown even when the provider repeats it

    def clean(self, text: str) -> str:
        """One line of what the provider said, without the key."""
        text = " ".join(text.split())
        if len(self.secret) > 4:
            text = text.replace(self.secret, self.key)
        return text[:300]


def failure(endpoint: Endpoint, status: int, text: str, code: str, headers: Mapping[str, str]) -> LoopsmithError:
    """What an HTTP error means: worth asking again, the end of a conversation, or the end of the campaign.

    Args:
        text: the provider's own words.
        code: its machine-readable type and code, joined.
    """
    said = f"{status}: {endpoint.clean(text)}"
    words = f"{code} {text}".lower()

    def any_of(marks: tuple[str, ...]) -> bool:
        return any(mark in words for mark in marks)

    # What is said beside a rate limit tells how to pay for more: that is advice.
    unpaid = any_of(_BILLING) or "billing" in (code.lower() if status == 429 else words)
    if status == 402 or (status < 500 and unpaid):
        return ProviderError(
            f"the account behind {endpoint.key} at {endpoint.url} cannot pay ({said}); add credit, then run again"
        )
    if status in (401, 403):
        return ProviderError(
            f"{endpoint.url} refuses the key in {endpoint.key} ({said}); set one that may use "
            f"`{endpoint.model}`, then run again"
        )
    if status == 404 or (status == 400 and any_of(_NO_MODEL)):
        return ProviderError(
            f"{endpoint.url} has no model `{endpoint.model}` ({said}); correct agent.model or agent.base_url, "
            "then run again"
        )
    if status == 413 or any_of(_CONTEXT):
        return ContextFull(f"the conversation is too long for {endpoint.model} ({said})")
    if status < 500 and any_of(_CONTENT):
        return ConversationError(f"{endpoint.model} refuses the content ({said})")
    if status == 429:
        return RateLimited(said, retry_after=retry_after(headers))
    if status in (408, 409, 425) or (status >= 500 and status != 501):
        return Unanswered(said, retry_after=retry_after(headers))
    return ProviderError(
        f"{endpoint.url} rejects the request for `{endpoint.model}` ({said}); correct the agent's keys"
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After`, a number or a date (RFC 9110, 10.2.3); None: nobody knows.

    A limit that is there and is said to be over has no end that anybody knows.
    """
    exact = headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d+(\.\d+)?", exact):
        return float(exact) / 1000 or None
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value) or None
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return seconds if seconds > 0 else None


def silence(endpoint: Endpoint, error: Exception) -> Unanswered:
    """What it means that no HTTP answer came: nobody is there, it took too long, or it was lost on its way."""
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    names = {type(link).__name__ for link in chain}  # of httpx2, below both SDKs
    last = endpoint.clean(str(chain[-1])) or type(chain[-1]).__name__
    if names & {"ConnectError", "ConnectTimeout"}:
        return Unanswered(f"cannot connect to {endpoint.url}: {last}")
    if names & {"TimeoutError", "APITimeoutError"}:
        return Unanswered(f"{endpoint.url} took too long", charged=True)
    return Unanswered(f"{endpoint.url} broke off: {last}", charged=True)
