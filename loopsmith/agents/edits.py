"""A change as a model writes it down in one answer: blocks that replace text or a whole file, strictly matched."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from loopsmith.agents.files import Files, Refused, replace_once

_WORD = re.compile(r"(?m)^(HYPOTHESIS|LESSON): *(.+)$")
_FILE = re.compile(r"FILE: *`?([^`\n]+?)`? *")
_OPEN = {"<<<<<<< SEARCH": ">>>>>>> REPLACE", "<<<<<<< WHOLE": ">>>>>>> WHOLE"}
_MIDDLE = "======="


@dataclass(frozen=True, slots=True)
class Block:
    """One replacement in a file; `old` is None where `new` is the whole file."""

    path: str
    old: str | None
    new: str


@dataclass(frozen=True, slots=True)
class Answer:
    hypothesis: str
    lesson: str
    blocks: tuple[Block, ...]


class BadAnswer(Exception):
    """The answer cannot be used as it is; carries every problem, each for the model."""

    def __init__(self, *problems: str):
        self.problems = problems
        super().__init__("; ".join(problems))


def parse(text: str) -> Answer:
    """Read an answer.

    Raises:
        BadAnswer: a block is not whole, or there is none.
    """
    words = {key.lower(): value.strip() for key, value in reversed(_WORD.findall(text.split("\n<<<<<<< ", 1)[0]))}
    blocks: list[Block] = []
    problems: list[str] = []
    path, lines, at = "", text.replace("\r\n", "\n").split("\n"), 0
    while at < len(lines):
        line = lines[at].rstrip()
        at += 1
        if named := _FILE.fullmatch(line):
            path = named[1]
        elif line in _OPEN:
            end = next((i for i in range(at, len(lines)) if lines[i].rstrip() == _OPEN[line]), None)
            if end is None:
                problems.append(f"the block `{line}` at line {at} of your answer has no `{_OPEN[line]}`")
                break
            try:
                blocks.append(_block(path, line, lines[at:end], at))
            except BadAnswer as bad:
                problems += bad.problems
            at = end + 1
    if not blocks and not problems:
        problems.append("there is no block with a change in your answer")
    if problems:
        raise BadAnswer(*problems)
    return Answer(words.get("hypothesis", ""), words.get("lesson", ""), tuple(blocks))


def _block(path: str, kind: str, body: Sequence[str], line: int) -> Block:
    if not path:
        raise BadAnswer(f"the block at line {line} of your answer has no line `FILE: path` before it")
    if kind.endswith("WHOLE"):
        return Block(path, None, "".join(f"{each}\n" for each in body))
    marks = [index for index, each in enumerate(body) if each.rstrip() == _MIDDLE]
    if len(marks) != 1:
        raise BadAnswer(f"the block of `{path}` at line {line} of your answer needs one line `{_MIDDLE}`")
    old, new = body[: marks[0]], body[marks[0] + 1 :]
    return Block(path, "".join(f"{each}\n" for each in old), "".join(f"{each}\n" for each in new))


def applied(blocks: Sequence[Block], files: Files) -> dict[str, str]:
    """The new text of each file that the blocks change. Nothing is written.

    Raises:
        BadAnswer: a block does not fit its file, with all that do not.
    """
    found: dict[str, str] = {}
    problems: list[str] = []
    for number, block in enumerate(blocks, 1):
        try:
            path = files.editable_path(block.path)
            name = path.relative_to(files.root.resolve()).as_posix()
            if block.old is None:
                found[name] = block.new
                continue
            if name not in found and not path.exists():
                raise Refused(f"there is no `{block.path}`; write it as a whole")
            text = found[name] if name in found else files.read(path, block.path)
            missing = "" if text.endswith("\n") or not text else "\n"  # the blocks' lines all end in one
            changed, _ = replace_once(text + missing, block.old, block.new)
            found[name] = changed.removesuffix(missing) if missing else changed
        except Refused as problem:
            problems.append(f"block {number}, `{block.path}`: {problem}")
    if problems:
        raise BadAnswer(*problems)
    return found
