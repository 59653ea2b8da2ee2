"""What the program prints at its end: the metrics, and how to read those that loopsmith would not by itself."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from loopsmith.workflow.adopt.program import Block, Found, Sentence

NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_NAME = r"[A-Za-z_][\w./%@-]*"
_LINE = re.compile(
    r"^(?P<metric>METRIC:?\s+)?(?P<name>[A-Za-z_][\w./%@ ()-]{0,60}?)\s*(?P<sign>[:=])\s*(?P<before>[$€]?)"
    rf"{NUMBER}(?P<after>.*)$"
)
_OUTPUT = re.compile(r"(?i)\bprint|\boutput|\bsummary|\bresult|\bformat|\blooks? like|\breport|\bmetrics?\b|\bscor")
_GREP = re.compile(r"\b(?:grep|rg|egrep)\s+(?:-\S+\s+)*(?:\"([^\"]+)\"|'([^']+)'|(\S+))")
_LAST = re.compile(r"\|\s*tail\s+-(?:n\s*)?1\b")


class Printed(NamedTuple):
    """A metric of the summary. `pattern` is a regular expression where loopsmith would not read the line by itself."""

    name: str
    found: Found
    pattern: str = ""


class Grep(NamedTuple):
    """The metrics that a program reads out of its log."""

    names: tuple[str, ...]
    command: str
    last: bool  # only the last line counts
    found: Found


def find_summary(blocks: Sequence[Block]) -> tuple[Printed, ...]:
    """The metrics of the sample outputs, each once, in their order."""
    seen: dict[str, Printed] = {}
    for group in _samples(blocks):
        for sentence, text in group:
            if (printed := read_line(text, sentence)) and printed.name not in seen:
                seen[printed.name] = printed
    return tuple(seen.values())


def find_greps(blocks: Sequence[Block]) -> tuple[Grep, ...]:
    """Every reading of the log, in the program's order."""
    found = []
    for block in blocks:
        for sentence in block.sentences():
            for text in [sentence.text] if block.kind == "code" else re.findall(r"`([^`]+)`", sentence.text):
                if match := _GREP.search(text):
                    parts = re.split(r"\\?\|", match[1] or match[2] or match[3])
                    names = [re.sub(r"^[\^(\s]+|[\s:=)$]+$|\\[sS].*$", "", part) for part in parts]
                    named = tuple(name for name in names if re.fullmatch(_NAME, name))
                    if named:
                        command = re.sub(r"^(?:\d+[.)]\s*)?(?:\$\s+)?", "", text)
                        found.append(Grep(named, command, bool(_LAST.search(text)), sentence.found(text)))
    return tuple(found)


def read_line(text: str, sentence: Sentence) -> Printed | None:
    """The metric that a line of a sample output shows, such as `val_loss: 1.23` or `Accuracy = 93.1% (best 94.0%)`."""
    match = _LINE.match(text.strip())
    if not match:
        return None
    said, after = match["name"].strip(), match["after"].strip()
    if after and not re.match(r"[%(\[,|;/x×<#]|[A-Za-z]{1,12}(?:/\w+)?\b", after):
        return None
    name = re.sub(r"[\s()]+", "_", said).strip("_")
    if not re.fullmatch(_NAME, name):
        return None
    known = name == said and not after and not match["before"] and (bool(match["metric"]) or match["sign"] == ":")
    if known and not (match["metric"] or "").rstrip().endswith(":"):
        return Printed(name, sentence.found(name))
    unit = r"\s*%" if after.startswith("%") else ""
    prefix = r"METRIC:?\s+" if match["metric"] else ""
    pattern = rf"^\s*{prefix}{_spaced(said)}\s*{match['sign']}\s*{re.escape(match['before'])}{NUMBER}{unit}"
    return Printed(name, sentence.found(name), pattern)


def _spaced(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in text.split())


def _samples(blocks: Sequence[Block]) -> Iterator[list[tuple[Sentence, str]]]:
    """Code blocks that are a sample output, and samples in a sentence such as "prints `score: 0.93`"."""
    groups: dict[int, list[Block]] = {}
    for block in blocks:
        if block.kind == "code":
            groups.setdefault(block.number, []).append(block)
    for group in groups.values():
        lines = [block for block in group if not re.fullmatch(r"[-=*#\s]+", block.text)]
        fits = [block for block in lines if _LINE.match(block.text)]
        told = bool(_OUTPUT.search(group[0].intro) or _OUTPUT.search(group[0].heading))
        if group[0].language in ("yaml", "yml", "python", "py", "toml", "json", "bash", "sh"):
            continue
        if fits and len(fits) * (2 if told else 1.5) >= len(lines):
            yield [(next(block.sentences()), block.text) for block in fits]
    for block in blocks:
        if block.kind != "code":
            for sentence in block.sentences():
                spans = [span for span in re.findall(r"`([^`]+)`", sentence.text) if _LINE.match(span.strip())]
                if spans and _OUTPUT.search(f"{block.heading} {block.intro} {sentence.plain}"):
                    yield [(sentence, span) for span in spans]
