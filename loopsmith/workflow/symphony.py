"""Keys of Symphony's WORKFLOW.md: those with a meaning here get their names here, the others are set aside.

Source: https://github.com/openai/symphony, SPEC.md, "Front Matter Schema". `workspace.root` and `hooks` have the same
names here.
"""

import re
from typing import Any

from loopsmith.workflow.front import Data, KeyPath, Problem, named
from loopsmith.workflow.units import quoted

RENAMED: dict[KeyPath, KeyPath] = {
    ("agent", "max_concurrent_agents"): ("search", "workers"),
    ("agent", "max_turns"): ("budget", "per_worker", "turns"),
}
UNUSED: dict[KeyPath, str] = {
    ("tracker",): "a campaign takes its work from `objective`, not from an issue tracker",
    ("polling",): "there is no tracker to poll",
    ("codex",): "`agent: {kind: cli, program: codex}` makes codex the agent",
    ("agent", "max_retry_backoff_ms"): "",
    ("agent", "max_concurrent_agents_by_state"): "",
    ("worker", "ssh_hosts"): "",
    ("worker", "max_concurrent_agents_per_host"): "",
    ("observability",): "",
    ("server",): "",
}
_FIRST_ATTEMPT = re.compile(r"\{%-?\s*(?:if|elif)\s+(?:not\s+)?attempt\s*-?%\}")


def translate(data: Data) -> list[Problem]:
    """Rename and remove Symphony's keys in `data`; what is wrong with them is added to its problems.

    Returns:
        a notice for each key that has no meaning here.
    """
    for old, new in RENAMED.items():
        if data.holds(old):
            _rename(data, old, new)
    notices = []
    for path, instead in UNUSED.items():
        if data.holds(path):
            origin, value = data.origin(path), data.take(path)
            inside = f" ({', '.join(map(str, value))})" if isinstance(value, dict) and value else ""
            message = f"{named(path)}{inside} is a key of Symphony's that has no meaning here yet, ignored"
            notices.append(Problem.at(origin, message + (f"; {instead}" if instead else "")))
    return notices


def first_attempt(body: str) -> list[tuple[int, str]]:
    """Tests of a Symphony template that hold here at the first attempt too: (line of the body from 0, sentence)."""
    found = _FIRST_ATTEMPT.finditer(body)
    message = "`attempt` is 1 at the first attempt here, where Symphony has nothing; write `attempt > 1`"
    return [(body.count("\n", 0, match.start()), message) for match in found]


def _rename(data: Data, old: KeyPath, new: KeyPath) -> None:
    origin = data.origin(old)
    value = _count(data.take(old))
    if value is None:
        data.problems.append(Problem.at(origin, f"{named(old)} must be a whole number of at least 1"))
        return
    if data.holds(new):
        present, other = data.value(new), data.origin(new)
        if isinstance(other, str) and isinstance(origin, int):
            return  # the command line wins over the file
        if present != value and isinstance(other, str) == isinstance(origin, str):
            data.problems.append(
                Problem.at(
                    origin,
                    f"{named(old)} is {value}, but {named(new)}, which is the same setting, is {quoted(present)}; "
                    "give one of them",
                )
            )
            return
    data.put(new, value, origin)


def _count(value: Any) -> int | None:
    """Symphony takes numbers written as text, too."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None
