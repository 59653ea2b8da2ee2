import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from model_server import (
    DROP,
    NO_BALANCE,
    NO_QUOTA,
    NO_SUCH_MODEL,
    OVERLOADED,
    RATE_LIMITED,
    SERVER_ERROR,
    WRONG_KEY,
    fail,
    model_server,
    say,
)
from model_worker import Ledger, model
from tenacity import wait_random_exponential

from loopsmith.agents import line, retry
from loopsmith.agents.conversation import Conversation
from loopsmith.agents.model import UserMessage
from loopsmith.errors import ProviderError


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Pauses of milliseconds, where the provider does not ask for one."""
    monkeypatch.setattr(retry, "BACKOFF", wait_random_exponential(multiplier=0.01, max=0.1))


KINDS = pytest.mark.parametrize("kind", ["anthropic", "openai", "responses"])


def ask(kind, url, ledger, deadline=None, **more):
    talk = Conversation(
        model=model(kind, url, **more),
        role="worker",
        reserve=ledger.reserve,
        settle=ledger.settle,
        system="s",
        tools=(),
        deadline=deadline,
        messages=[UserMessage(text="hello")],
    )
    return asyncio.run(talk.ask())


ADVICE = fail(
    429,
    "You can increase your rate limit by adding a payment method at https://platform.openai.com/account/billing.",
    type="requests",
    code="rate_limit_exceeded",
)


@KINDS
@pytest.mark.parametrize("trouble", [RATE_LIMITED, ADVICE, SERVER_ERROR, OVERLOADED, fail(503), fail(408), DROP])
def test_passing_trouble_is_asked_again_and_charged_once(kind, trouble):
    ledger = Ledger()
    with model_server([trouble, say("hi")]) as url:
        assert ask(kind, url, ledger).text == "hi"
    assert len(url.requests) == 2
    if trouble is not DROP:
        assert len(ledger.rows) == 1


def test_a_call_that_was_lost_on_its_way_keeps_its_reservation():
    ledger = Ledger()
    with model_server([DROP, say("hi")]) as url:
        ask("anthropic", url, ledger)
    assert ledger.settled == {1}
    assert ledger.rows[0].cost_usd > ledger.rows[1].cost_usd > 0


def test_a_call_that_times_out_is_asked_again():
    with model_server([{**say("late"), "delay": 5}, say("hi")]) as url:
        assert ask("openai", url, Ledger(), timeout=0.5).text == "hi"


def test_retry_after_is_waited_for():
    waits = []

    async def attempt():
        if not waits:
            waits.append(asyncio.get_running_loop().time())
            raise retry.Unanswered("429", retry_after=0.7)
        return asyncio.get_running_loop().time() - waits[0]

    assert asyncio.run(retry.persist(attempt, answered=False)) >= 0.7


@KINDS
def test_a_rate_limit_that_ends_at_once_and_does_not_is_given_up_after_the_patience_of_one_without_an_end(
    kind, monkeypatch
):
    monkeypatch.setattr(retry, "PATIENCE", 0.3)
    asked = 0

    def limited(_body):
        nonlocal asked
        asked += 1
        return fail(429, "slow down", type="rate_limit_error", retry_after="0") if asked < 50 else say("at last")

    with model_server(limited) as url, pytest.raises(ProviderError, match="slow down"):
        ask(kind, url, Ledger())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after-ms": "0"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert retry.retry_after(headers) == seconds


def test_retry_after_may_be_a_date():
    soon = datetime.now(UTC) + timedelta(seconds=90)
    assert retry.retry_after({"retry-after": format_datetime(soon, usegmt=True)}) == pytest.approx(90, abs=5)


@KINDS
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (WRONG_KEY, "refuses the key in $KEY_FOR_TESTS"),
        (fail(403, "not for you", type="permission_error"), "refuses the key"),
        (NO_SUCH_MODEL, "has no model `test-model`"),
        (NO_BALANCE, "cannot pay"),
        (NO_QUOTA, "cannot pay"),
        (fail(429, "Your account is not active", type="billing_not_active"), "cannot pay"),
        (fail(402, "Insufficient Balance"), "cannot pay"),
        (fail(400, "temperature is not supported"), "temperature is not supported"),
    ],
)
def test_lasting_trouble_stops_at_once_with_one_line_that_says_what_to_do(kind, trouble, words, monkeypatch):
    monkeypatch.setenv("KEY_FOR_TESTS", "sk-very-secret")
    ledger = Ledger()
    with model_server([trouble]) as url, pytest.raises(ProviderError) as caught:
        ask(kind, url, ledger, api_key="$KEY_FOR_TESTS")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(url.requests) == 1
    assert [row.cost_usd for row in ledger.rows] == [0]


@KINDS
def test_a_key_that_the_provider_repeats_is_not_shown(kind, monkeypatch):
    monkeypatch.setenv("KEY_FOR_TESTS", "sk-very-secret")
    with (
        model_server([fail(401, "Incorrect API key provided: sk-very-secret.")]) as url,
        pytest.raises(ProviderError) as caught,
    ):
        ask(kind, url, Ledger(), api_key="$KEY_FOR_TESTS")
    assert "sk-very-secret" not in str(caught.value)


@KINDS
def test_a_server_that_is_not_there_is_named_after_some_patience(kind, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PATIENCE", 0.5)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ledger = Ledger()
        with pytest.raises(ProviderError, match=f"cannot connect to {url}") as caught:
            ask(kind, url, ledger)
    assert "check agent.base_url" in str(caught.value)
    assert [row.cost_usd for row in ledger.rows] == [0]  # nothing was sent, nothing is charged


@KINDS
def test_a_page_that_is_no_api_is_told_from_a_model(kind):
    with model_server([{"raw": "<html>log in</html>"}]) as url, pytest.raises(ProviderError, match=r"base_url"):
        ask(kind, url, Ledger())


@pytest.mark.parametrize(
    ("kind", "usage"),
    [
        *((kind, {"total_tokens": 7}) for kind in ("anthropic", "openai", "responses")),
        *((kind, {"prompt_tokens": None, "output_tokens": 3}) for kind in ("anthropic", "openai", "responses")),
        ("openai", {"prompt_tokens": 7}),
    ],
)
def test_an_endpoint_that_counts_in_part_is_charged_what_was_reserved(kind, usage):
    ledger = Ledger()
    with model_server([{**say("hi"), "usage": usage}]) as url:
        assert ask(kind, url, ledger).text == "hi"
    assert ledger.rows[0].output_tokens == 8192


def test_an_endpoint_that_does_not_count_is_charged_what_was_reserved():
    ledger = Ledger()
    with model_server([{**say("hi"), "usage": None}]) as url:
        ask("openai", url, ledger)
    assert ledger.rows[0].output_tokens == 8192


def test_a_rate_limit_is_waited_out_by_all_and_costs_no_time_of_the_worker():
    limited = fail(429, "slow down", type="rate_limit_error", retry_after="1.5")
    told = []

    async def talk(url, ledger):
        one = model("openai", url)
        one.line.listeners.append(told.append)

        def conversation(deadline):
            return Conversation(
                model=one,
                role="worker",
                reserve=ledger.reserve,
                settle=ledger.settle,
                system="s",
                tools=(),
                deadline=deadline,
                messages=[UserMessage(text="hello")],
                pause=ledger.pause,
            )

        first = conversation(time.monotonic() + 1.0)  # less than it must wait
        task = asyncio.create_task(first.ask())
        while not told:
            await asyncio.sleep(0.01)
        answers = await asyncio.gather(task, conversation(None).ask())
        assert [answer.text for answer in answers] == ["hi", "hi"]
        return first

    ledger = Ledger()
    with model_server([limited, say("hi")]) as url:
        first = asyncio.run(talk(url, ledger))
    assert len(url.requests) == 3  # the second conversation did not ask while it was closed
    assert told == [1.5]
    assert len(ledger.paused) == 2
    assert first.deadline > time.monotonic()
    assert first.rested >= 1.5


def test_a_wait_that_is_too_long_ends_the_campaign_with_its_time():
    later = fail(429, "weekly limit", type="rate_limit_error", retry_after="100000")
    with model_server([later]) as url, pytest.raises(ProviderError, match=r"is rate limited for 1d 3h.*run again then"):
        ask("anthropic", url, Ledger())
    assert len(url.requests) == 1


def test_the_breaker_ends_all_conversations_when_every_call_of_the_last_minutes_failed(monkeypatch):
    monkeypatch.setattr(line, "BREAKER", 0.3)

    async def talk(url):
        one = model("openai", url)

        async def ask_it():
            talk = Conversation(
                model=one, role="w", reserve=lambda usage: 1, settle=lambda row, usage: None, system="s", tools=()
            )
            await talk.ask()

        one.answered = True  # so that each alone would be patient for minutes
        return await asyncio.gather(*(ask_it() for _ in range(5)), return_exceptions=True)

    with model_server([SERVER_ERROR]) as url:
        ends = asyncio.run(talk(url))
    assert {type(end) for end in ends} == {ProviderError}
    assert "every call of openai/test-model in the last minutes failed" in str(ends[0])


def test_one_answer_closes_the_breaker_again(monkeypatch):
    monkeypatch.setattr(line, "BREAKER", 0.0)
    known = line.Line()
    for _ in range(line.FEWEST):
        known.failed(begun=0.0)
    assert known.broken
    known.answered()
    assert not known.broken
