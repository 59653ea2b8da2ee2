"""Logs: events with stable dotted names and ids, through structlog, with secrets masked.

Modules log with `structlog.get_logger("loopsmith").info("round.planned", campaign=..., round=...)`. Only the
command line calls `configure`; a program that uses loopsmith as a library configures structlog as it likes.
"""

import json
import re
import sys
from collections.abc import Callable
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"
LEVELS = ("debug", "info", "warning", "error")

# `token` is a credential and `tokens` a count.
_SECRET_KEY = re.compile(
    r"(?:^|[_.\-])(?:secret|token|password|passwd|passphrase|credentials?|authorization|cookie|api[_-]?key|apikey"
    r"|access[_-]?key|private[_-]?key)(?:$|[_.\-])",
    re.IGNORECASE,
)
_SHORTEST = 8  # characters; a shorter value is a placeholder, and would be masked inside of words
_PLAIN = re.compile(r"[^\s\"'\\=\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069]+")
_secrets: set[str] = set()


def configure(level: str = "info", json: bool = False, stream: TextIO | None = None) -> None:
    """Send events of `level` and above to `stream` (default: standard error), one line each.

    Args:
        level: one of `LEVELS`.
        json: JSON objects instead of lines for people.

    Raises:
        ValueError: there is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"no log level {level!r}; choose from {', '.join(LEVELS)}")
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_keys,
        masking(structlog.processors.JSONRenderer(ensure_ascii=False, default=str) if json else render_line),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,  # so that a later call holds for loggers that exist
    )


def register_secret(value: str) -> None:
    """From now on, no log line shows this value. Values of less than eight characters are not taken for secrets."""
    if len(value) >= _SHORTEST:
        _secrets.update((value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]))


def mask(text: str) -> str:
    """`text` without any registered secret."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def mask_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: masks texts under keys that sound secret, such as `api_key`, at any depth."""
    return {key: _masked(key, value) for key, value in event.items()}


def masking(render: Callable[[WrappedLogger, str, EventDict], str | bytes]) -> Processor:
    """A structlog renderer whose lines show no registered secret, wherever it came from, tracebacks included."""

    def process(logger: WrappedLogger, method: str, event: EventDict) -> str:
        return mask(str(render(logger, method, event)))

    return process


def render_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """A structlog processor: `TIME LEVEL NAME key=value ...`, always one line, apart from a traceback."""
    trace = event.pop("exception", None)
    time, level, name = (event.pop(key, "") for key in ("timestamp", "level", "event"))
    head = f"{str(time)[:19].replace('T', ' ')} {level:<7} {_shown(name)}"
    pairs = [f"{key}={_shown(value)}" for key, value in event.items() if value is not None and value != ""]
    return " ".join([head, *pairs]) + (f"\n{trace}" if trace else "")


def _masked(key: object, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _masked(inner, item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(key, item) for item in value]
    secret = isinstance(value, str | bytes) and value and isinstance(key, str) and _SECRET_KEY.search(key)
    return MASK if secret else value


def _shown(value: Any) -> str:
    """As it is where that cannot be misread; otherwise quoted, with control characters escaped."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=not text.isprintable())
