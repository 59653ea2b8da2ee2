"""What an agent that asks is allowed: what the workflow's guardrails allow anyway, and nothing else."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGES = ("edit", "delete", "move")
READS = ("read", "search")
PATHS = re.compile(r"(?i)^(file|path|file_?path|abs_?path|filename|target_file|notebook_path|parentDir|destination)$")


@dataclass(frozen=True, slots=True)
class Wish:
    """A tool call that an agent asks to make."""

    kind: str  # of the protocol: read, edit, delete, move, search, execute, think, fetch, switch_mode, other
    titles: tuple[str, ...]  # as it was announced, and as it is asked for
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What the guardrails say, for one worker.

    Args:
        root: its folder.
        readable: further folders that it may read.
        editable: tells of a path relative to `root` whether the candidate may change it.
        network: whether its commands have one.
        tools: the names of the tools that loopsmith itself gives it.
    """

    root: Path
    readable: tuple[Path, ...]
    editable: Callable[[str], bool]
    network: bool
    tools: tuple[str, ...]

    def answer(self, wish: Wish) -> Answer:
        """Whether the call may be made, and why."""
        if wish.kind in ("other", "think") and any(own_tool(title, self.tools) for title in wish.titles):
            return Answer(True, "a tool of loopsmith")
        if wish.kind in CHANGES:
            return self._change(wish.paths)
        if wish.kind in READS or (wish.kind == "other" and wish.paths):
            outside = [path for path in wish.paths if not self._within(path, (self.root, *self.readable))]
            return Answer(not outside, f"{outside[0]} is outside its folder" if outside else "inside its folder")
        if wish.kind == "execute":
            return Answer(True, "a command, as in a worker's shell")
        if wish.kind == "fetch":
            return Answer(self.network, f"guardrails.network: {'allow' if self.network else 'none'}")
        return Answer(False, f"nothing allows {wish.kind or 'it'}")

    def _change(self, paths: Iterable[str]) -> Answer:
        named = False
        for path in paths:
            named = True
            if not self._within(path, (self.root,)):
                return Answer(False, f"{path} is outside its folder")
            relative = self._resolved(path).relative_to(self.root.resolve()).as_posix()
            if not self.editable(relative):
                return Answer(False, f"{relative} is not editable")
        return Answer(named, "editable files" if named else "it does not say which file")

    def _within(self, path: str, roots: Iterable[Path]) -> bool:
        try:
            place = self._resolved(path)
        except (OSError, ValueError, RuntimeError):
            return False
        return any(place.is_relative_to(root.resolve()) for root in roots)

    def _resolved(self, path: str) -> Path:
        return (self.root / path.removeprefix("file://")).resolve()


def own_tool(title: str, tools: Iterable[str]) -> bool:
    """Whether a title is one of our tools: `loopsmith_submit`, `mcp__loopsmith__submit`, `submit (loopsmith ...)`."""
    before, after = r"(?:mcp__?)?loopsmith[\W_]{1,3}", r" \(loopsmith\b[^()]*\).*"
    return any(re.fullmatch(f"{before}{name}|{name}{after}", title.strip()) for name in tools)


def paths_in(call: Mapping[str, Any]) -> tuple[str, ...]:
    """Every path that a tool call names: in its places, its diffs and its arguments.

    Args:
        call: as the protocol writes it.
    """
    found = [place.get("path") for place in call.get("locations") or [] if isinstance(place, dict)]
    found += [item.get("path") for item in call.get("content") or [] if isinstance(item, dict)]
    given = call.get("rawInput")
    for key, value in given.items() if isinstance(given, dict) else ():
        if PATHS.match(str(key)):
            found += value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(path for path in found if isinstance(path, str) and path))
