"""Logs: events with stable dotted names and ids, through structlog, and the masking of secrets.

`mask` is the one place that knows what a secret is: registered values, and texts that look like a key. What loopsmith
writes goes through it: log lines, programs' output, transcripts, briefs, commit messages and the tracker's rows.
Modules log with `log.info("round.planned", campaign=..., round=...)`. Only the command line calls `configure`; a
program that uses loopsmith as a library configures structlog as it likes, and until it does nothing is printed.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
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
# What keys of well-known makers look like, each by a text that it holds, which is quick to look for.
KEY_PATTERNS = {
    literal: re.compile(pattern)
    for literal, pattern in {
        "sk-": r"(?<![\w-])sk-(?:(?:ant|proj|svcacct|admin)-[\w-]{20,}|or-v1-[0-9a-f]{32,}|[A-Za-z0-9]{32,})",
        "_live_": r"(?<!\w)[sr]k_live_[A-Za-z0-9]{20,}",
        "gh": r"(?<!\w)gh[pousr]_[A-Za-z0-9]{36,}",
        "github_pat_": r"github_pat_\w{22,}",
        "glpat-": r"glpat-[\w-]{20,}",
        "hf_": r"(?<!\w)hf_[A-Za-z0-9]{30,}",
        "AKIA": r"(?<!\w)AKIA[0-9A-Z]{16}(?!\w)",
        "ASIA": r"(?<!\w)ASIA[0-9A-Z]{16}(?!\w)",
        "AIza": r"(?<!\w)AIza[\w-]{35}",
        "xox": r"(?<!\w)xox[abeoprs]-[\w-]{10,}",
        "npm_": r"(?<!\w)npm_[A-Za-z0-9]{36}",
        "pypi-": r"(?<!\w)pypi-[\w-]{50,}",
        "eyJ": r"(?<!\w)eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
        "earer ": r"(?<=[Bb]earer )[\w.~+/-]{20,}=*",
    }.items()
}
_secrets: list[str] = []  # longest first


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


def info(event: str, **data: Any) -> None:
    _emit("info", event, data)


def warning(event: str, **data: Any) -> None:
    _emit("warning", event, data)


def _emit(level: str, event: str, data: dict[str, Any]) -> None:
    """Silent until somebody configured structlog, which would print on standard output by itself."""
    if structlog.is_configured():
        getattr(structlog.get_logger("loopsmith"), level)(event, **data)


def register_secret(value: str) -> None:
    """From now on, nothing that is masked shows this value; one of less than eight characters is no secret."""
    if len(value) >= _SHORTEST:
        forms = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
        forms |= {form.encode(errors="surrogateescape").decode("latin-1") for form in forms}  # as `mask_bytes` sees it
        _secrets[:] = sorted(forms.union(_secrets), key=len, reverse=True)


def register_environment(environment: Mapping[str, str]) -> None:
    """Register the values of variables whose names sound secret, such as `GITHUB_TOKEN`; not plain numbers."""
    for name, value in environment.items():
        if _SECRET_KEY.search(name) and not value.replace(".", "").isdigit():
            register_secret(value)


def mask(text: str, stars: Callable[[str], str] = lambda secret: MASK) -> str:
    """`text` without any registered secret, and without what looks like a key.

    Args:
        stars: what to put in a secret's place.
    """
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, stars(secret))
    for literal, pattern in KEY_PATTERNS.items():
        if literal in text:
            text = pattern.sub(lambda match: stars(match[0]), text)
    return text


def mask_bytes(data: bytes) -> bytes:
    """As `mask`, for what programs print: each secret becomes as many stars, so that no position changes."""
    text = data.decode("latin-1")
    masked = mask(text, stars=lambda secret: "*" * len(secret))
    return data if masked is text else masked.encode("latin-1")


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
