"""What a log line shows, and what it never shows."""

import io
import json

import pytest
import structlog

from loopsmith import log as logs
from loopsmith.process.output import CappedLog

KEY = 'sk-ant-"quoted"-0123456789'


@pytest.fixture
def stream():
    yield io.StringIO()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logs._secrets.clear()


def logger():
    return structlog.get_logger("loopsmith")


def test_nothing_is_logged_until_somebody_configures_structlog(stream, capfd):
    logs.info("round.planned", round=1)
    logs.warning("model.retry", attempt=2)
    assert capfd.readouterr() == ("", "")
    logs.configure(stream=stream)
    logs.warning("model.retry", attempt=2)
    assert "warning model.retry attempt=2" in stream.getvalue()


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


KEYS = [
    "sk-ant-api03-" + "Ab-_9" * 12,
    "sk-proj-" + "x1Y2_" * 8,
    "sk-" + "a1B2" * 12,
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2_" * 8,
    "hf_" + "aBcD" * 9,
    "AKIA" + "ABCD1234" * 2,
    "AIza" + "a1B2c" * 7,
    "xoxb-1234567890-abcdefghij",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
]


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key_is_masked_without_being_registered(key):
    assert logs.mask(f"key={key}, next") == f"key={logs.MASK}, next"
    assert logs.mask_bytes(f"key={key}\n".encode()) == b"key=" + b"*" * len(key) + b"\n"


@pytest.mark.parametrize(
    "text",
    [
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "sk-learn-classifier-tuning-of-hyperparameters-4f2a91",
        "task-based-scheduling-with-work-stealing-queues",
        "METRIC hf_score=12.5",
        "ghp_short",
        "a bearer of news",
        "risk-aware-portfolio-optimisation-with-constraints",
    ],
)
def test_ordinary_text_is_left_as_it_is(text):
    assert logs.mask(text) is text
    assert logs.mask_bytes(text.encode()) == text.encode()


def test_variables_that_sound_secret_are_registered_and_others_are_not():
    logs.register_environment(
        {
            "MY_API_KEY": "k3y-of-mine",
            "PATH": "/usr/bin:/bin",
            "DB_PASSWORD": "12345678",
            "TOKEN": "tok",
            "A_TOKEN": "pässwörd x",
        }
    )
    assert logs.mask("k3y-of-mine /usr/bin:/bin 12345678 tok") == f"{logs.MASK} /usr/bin:/bin 12345678 tok"
    masked = logs.mask_bytes("a pässwörd x b".encode())
    assert masked == b"a " + b"*" * len("pässwörd x".encode()) + b" b"
    logs._secrets.clear()


@pytest.mark.parametrize("step", [1, 7, 64, 5000])
@pytest.mark.parametrize("lead", ["", "x" * 9000, "word " * 3000, "line\n" * 900])
def test_a_key_is_masked_in_a_programs_output_however_it_arrives(tmp_path, step, lead):
    key = KEYS[0]
    text = f"{lead}={key}={key}\nafter {key}".encode()
    with CappedLog(tmp_path / "log", 1_000_000) as log:
        for start in range(0, len(text), step):
            log.write(text[start : start + step])
    written = (tmp_path / "log").read_text()
    assert written == text.decode().replace(key, "*" * len(key))


@pytest.mark.parametrize("before", range(3900, 6100, 83))
def test_a_key_is_masked_where_a_log_is_cut(tmp_path, before):
    key = KEYS[1]
    with CappedLog(tmp_path / "log", 10_000) as log:
        log.write(b"a" * before + b"\n" + key.encode() + b"\n")
        log.write(b"b\n" * 6000 + key.encode())
    written = (tmp_path / "log").read_text()
    assert key[:20] not in written
    assert len(written) <= 10_000
