"""Room in a conversation: what tools said long ago is left out first; the brief and the model's own words never are."""

from collections.abc import Sequence
from dataclasses import replace

from loopsmith.agents.model import Completion, Message, ToolMessage, ToolResult

SHORT = 300  # characters of a result that is not worth cutting
WORTH = 2000  # characters that a compaction must win
FILE_TOOLS = ("view", "edit", "write")


def compacted(messages: Sequence[Message], *, keep: int) -> list[Message] | None:
    """The messages without stale tool output; None when too little can be left out to be worth it.

    What stays whole: the last turns, and the newest output that shows the file that the worker stands in.

    Args:
        keep: turns of tool output to keep, from the end.
    """
    turns = [index for index, message in enumerate(messages) if isinstance(message, ToolMessage)]
    stale, standing = set(turns[:-keep] if keep else turns), _standing(messages)
    won = 0
    found: list[Message] = []
    for index, message in enumerate(messages):
        if index not in stale or not isinstance(message, ToolMessage):
            found.append(message)
            continue
        results = tuple(item if item.call_id in standing else _cut(item) for item in message.results)
        won += sum(len(old.text) - len(new.text) for old, new in zip(message.results, results, strict=True))
        found.append(ToolMessage(results=results))
    return found if won >= WORTH else None


def _cut(result: ToolResult) -> ToolResult:
    if len(result.text) <= SHORT:
        return result
    first = result.text.split("\n", 1)[0][: SHORT // 2]
    left_out = len(result.text) - len(first)
    return replace(result, text=f"{first}\n[{left_out:,} characters left out to make room; call it again to see them]")


def _standing(messages: Sequence[Message]) -> set[str]:
    """The call whose output shows the file that was last viewed or changed."""
    calls = [call for message in messages if isinstance(message, Completion) for call in message.calls]
    last = next((call for call in reversed(calls) if call.name in FILE_TOOLS and "path" in call.arguments), None)
    shown = [
        call
        for call in calls
        if last and call.name in ("view", last.name) and call.arguments.get("path") == last.arguments["path"]
    ]
    return {call.id for call in shown[-2:]}
