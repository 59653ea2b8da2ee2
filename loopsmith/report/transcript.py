"""A worker's transcript as a person reads it: who said what, in order, nothing left out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loopsmith.errors import UsageError
from loopsmith.records import Candidate
from loopsmith.tracker import Store

WIDTH = 78


def transcript(store: Store, candidate: Candidate) -> str:
    """Every transcript of a candidate, one for each attempt.

    Raises:
        UsageError: it has none, or the file is gone.
    """
    found = [item for item in store.artifacts(candidate.campaign_id, candidate.id) if item.kind == "transcript"]
    if not found:
        raise UsageError(f"candidate {candidate.number} has no transcript: no model worked on it, or it still does")
    parts = []
    for item in found:
        try:
            text = Path(item.path).read_text(errors="replace")
        except OSError as error:
            raise UsageError(f"{item.path} cannot be read: {(error.strerror or str(error)).lower()}") from None
        if len(found) > 1:
            parts.append(f"##### {Path(item.path).name}")
        parts.append("\n".join(readable(text)))
    return "\n\n".join(parts)


def readable(text: str) -> Iterator[str]:
    """The lines of a transcript. What loopsmith did not write is shown as it stands."""
    turn = 0
    for line in text.removesuffix("\n").split("\n"):  # not splitlines: a line separator may stand within a record
        try:
            entry = json.loads(line)
            turn += entry.get("kind") == "Completion"
            yield from list(_entry(entry, turn))
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):  # a program may print anything
            yield line


def _entry(entry: dict[str, Any], turn: int) -> Iterator[str]:
    match entry.get("kind"):
        case "UserMessage":
            yield from _part("loopsmith", entry.get("shared", "") + entry["text"])
        case "Completion":
            yield from _part(f"model, turn {turn}{_tokens(entry)}", entry["text"])
            for call in entry["calls"]:
                yield from _call(call)
            if entry["stop"] in ("length", "refused"):
                yield f"[{'cut off at its length limit' if entry['stop'] == 'length' else 'refused'}]"
        case "ToolMessage":
            for number, result in enumerate(entry["results"], 1):
                which = f" {number}" if len(entry["results"]) > 1 else ""
                yield from _part(f"result{which}{', failed' if result['failed'] else ''}", result["text"])
        case "Compaction":
            yield from _part("old tool output left out of the conversation from here on", "")
        case None if "system" in entry:
            yield from _part("system", entry["system"])
        case _:
            yield json.dumps(entry, ensure_ascii=False)


def _part(title: str, text: str) -> Iterator[str]:
    yield f"--- {title} ".ljust(WIDTH, "-")
    if text.strip():
        yield text.strip("\n")


def _call(call: dict[str, Any]) -> Iterator[str]:
    """A call, with texts of several lines below it as they are."""
    short = {name: value for name, value in call["arguments"].items() if not _long(value)}
    yield f"> {call['name']} {json.dumps(short, ensure_ascii=False) if short else ''}".rstrip()
    for name, value in call["arguments"].items():
        if _long(value):
            yield f"> {name}:"
            yield from (f"  | {line}" for line in value.splitlines())
    if call.get("problem"):
        yield f"> its arguments cannot be read: {call['problem']}"


def _long(value: Any) -> bool:
    return isinstance(value, str) and ("\n" in value or len(value) > WIDTH)


def _tokens(entry: dict[str, Any]) -> str:
    tokens = entry.get("tokens")
    if not tokens:
        return ""
    cached = f", {tokens['cached']} of them cached" if tokens["cached"] else ""
    return f" ({tokens['input']} tokens in{cached}, {tokens['output']} out)"
