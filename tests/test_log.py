"""What a log line shows, and what it never shows."""

import io
import json

import pytest
import structlog

from loopsmith import log as logs

KEY = 'sk-ant-"quoted"-0123456789'


@pytest.fixture
def stream():
    yield io.StringIO()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logs._secrets.clear()


def logger():
    return structlog.get_logger("loopsmith")


def test_an_event_is_one_line_with_its_name_and_ids(stream):
    logs.configure(stream=stream)
    logger().info("candidate.decided", campaign="c1", candidate=17, value=12.345678901, round_id=None)
    time, line = stream.getvalue()[:19], stream.getvalue()[19:]
    assert time[4] == time[7] == "-"
    assert line == " info    candidate.decided campaign=c1 candidate=17 value=12.3457\n"


def test_json_lines_hold_the_same_event(stream):
    logs.configure(json=True, stream=stream)
    logger().info("round.planned", campaign="c1", slots=[1, 2])
    event = json.loads(stream.getvalue())
    assert (event["event"], event["campaign"], event["slots"], event["level"]) == (
        "round.planned",
        "c1",
        [1, 2],
        "info",
    )


def test_events_under_the_level_are_left_out(stream):
    logs.configure(level="warning", stream=stream)
    logger().info("round.planned")
    logger().warning("model.retry")
    assert "model.retry" in stream.getvalue()
    assert "round.planned" not in stream.getvalue()


def test_a_level_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="choose from debug, info"):
        logs.configure(level="loud")


def test_a_logger_made_before_the_set_up_obeys_it(stream):
    log = logger()
    logs.configure(level="warning", stream=io.StringIO())
    log.warning("first")
    logs.configure(stream=stream)
    log.info("second")
    assert "second" in stream.getvalue()


@pytest.mark.parametrize(
    "key", ["api_key", "ANTHROPIC_API_KEY", "apikey", "token", "auth_token", "password", "x-api-key", "Authorization"]
)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_value_under_a_secret_looking_key_is_masked_at_any_depth(stream, key, as_json):
    logs.configure(json=as_json, stream=stream)
    logger().info("started", **{key: "s3cret"}, settings={"agent": [{key: "s3cret"}]}, headers={key: ["s3cret"]})
    assert "s3cret" not in stream.getvalue()
    assert stream.getvalue().count("***") == 3


def test_counts_of_tokens_are_not_secrets(stream):
    logs.configure(stream=stream)
    logger().info("spent", tokens=12, input_tokens=7, max_tokens="8192", token_count=3, secretary="Ann")
    for shown in ("tokens=12", "input_tokens=7", "max_tokens=8192", "secretary=Ann"):
        assert shown in stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_registered_secret_is_masked_wherever_it_turns_up(stream, as_json):
    logs.configure(json=as_json, stream=stream)
    logs.register_secret(KEY)
    try:
        raise RuntimeError(f"refused: {KEY}")
    except RuntimeError:
        logger().exception("provider.failed", error=f"401 with {KEY}", data={"list": [KEY]}, url=f"http://x?k={KEY}")
    assert "0123456789" not in stream.getvalue()
    assert "RuntimeError" in stream.getvalue()
    assert logs.mask(f"a {KEY} b") == "a *** b"


def test_a_short_placeholder_is_not_taken_for_a_secret(stream):
    logs.configure(stream=stream)
    logs.register_secret("none")
    logs.register_secret("")
    logger().info("nonesuch")
    assert "nonesuch" in stream.getvalue()


def test_text_of_a_program_cannot_forge_a_line_or_colour_the_terminal(stream):
    logs.configure(stream=stream)
    logger().info("verifier.ran", tail="ok\n2026-01-01 00:00:00 info    candidate.kept \x1b[31m a=b")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_bound_context_is_in_every_line(stream):
    logs.configure(stream=stream)
    structlog.contextvars.bind_contextvars(campaign="c9")
    logger().info("round.planned")
    assert "campaign=c9" in stream.getvalue()
