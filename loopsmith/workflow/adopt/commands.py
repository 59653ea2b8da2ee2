"""How a program runs one experiment, and how long that may take."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from loopsmith.workflow.adopt.program import Block, Found, Sentence
from loopsmith.workflow.units import format_duration

_OPTIONS = r"(?:-[ks]\s+[^\s-]\S*\s+|-\S+\s+)*"  # of timeout
_HEAD = re.compile(
    rf"(?:[A-Z_][A-Z0-9_]*=\S+\s+)*(?:(?:nohup|time|g?timeout\s+{_OPTIONS}\S+)\s+)*"
    r"(?:\./\S+|(?:uv\s+run|uvx|(?:\S*/)?python[\d.]*|poetry|pipenv|pdm"
    r"|hatch|pixi|conda|bash|sh|make|just|task|cargo|go|npm|npx|pnpm|yarn|bun|node|deno|julia|Rscript|java|mvn|gradle"
    r"|dotnet|swift|zig|ruby|perl|php|pytest|torchrun|accelerate|deepspeed|mpirun|srun|docker|hyperfine)\s+\S)"
)
_REDIRECT = re.compile(
    r"\s*(?:2>&1\s*)?(?:\|\s*tee\s+(?:-a\s+)?\S+|(?:&>>?|\d?>>?)\s*[\w./${}()%+-]+)(?:\s*2>&1)?\s*(?:&\s*)?$"
)
_TIMEOUT = re.compile(rf"^((?:[A-Z_][A-Z0-9_]*=\S+\s+)*)(?:nohup\s+)?g?timeout\s+{_OPTIONS}(\d+(?:\.\d+)?)([smh]?)\s+")
_RUN = re.compile(
    r"(?i)\b(?:run|launch|execute|start|invoke)\b.{0,40}\b(?:experiment|trial|eval\w*|benchmark|it|training|verif\w*|measure\w*"
    r"|script|harness|test|as)\b|^\W*(?:\d+[.)]\s*)?run\b[^.]{0,12}[:`]|\bhow to run\b|\bto run\b"
)
_PLACE = re.compile(
    r"(?i)\bhow to run\b|\bexperiment|\bloop\b|\bevaluat|\brun(?:ning)?\b|\bmeasur|\bbenchmark|\bverif|\bcommand\b"
)
_SETUP = re.compile(
    r"(?i)\b(?:if not|missing|tell the human|install\w*|download\w*|set ?up|compil\w+|prepar\w+|one[- ]time"
    r"|once at|smoke|"
    r"dataset|optional\w*|dashboard|dependenc\w+|build|debug\w*|example)\b|--(?:baseline|help|version|stats|dry)"
)
_SETUP_COMMAND = re.compile(
    r"\b(?:prepare\w*|install|sync|download\w*|fetch\w*|setup\w*|add|init|--baseline|--help)\b(?:\.py)?"
)
_HOLE = re.compile(r"<[^<>|&\s]+>|\{[^{}]*\}|\.\.\.|…")
_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "eight": 8,
    "ten": 10,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
}
_DURATION = rf"~?\s*(\d+(?:\.\d+)?|{'|'.join(_WORDS)})\s*[- ]?\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b"
_LIMIT = re.compile(
    rf"(?i)(?:exceed\w*|longer than|more than|over|past|beyond|>=?|timeout\w*\W{{0,4}}(?:is|of|=|:)?"
    rf"|time limit\w*\W{{0,4}}(?:is|of)?"
    rf"|at most|within|hard cap\w*\W{{0,4}}(?:of)?|kill\w* (?:it )?after)\s*{_DURATION}"
)
_KILL = re.compile(
    r"(?i)\bkill|\babort|\bterminat|\btime[- ]?out|\btime limit|\btimed out|\bhard (?:limit|cap)|\bstop it|\bfailure\b"
)
_BUDGET = re.compile(
    rf"(?i)(?:budget|takes?|should (?:take|complete|finish)|about|per (?:run|experiment)|fixed)\D{{0,40}}{_DURATION}"
)
_FIXED = re.compile(rf"(?i){_DURATION}[^.]{{0,30}}\b(?:budget|(?:per )?(?:run|experiment|trial)s?|wall[- ]?clock)\b")


class Command(NamedTuple):
    """The command that measures, as loopsmith is to run it."""

    found: Found
    log: str  # the file that the program redirects it into
    holes: tuple[str, ...]  # parts that somebody must fill in
    limit: str  # of `timeout 600 ...`, which is taken off


def find_command(blocks: Sequence[Block]) -> Command | None:
    """The likeliest command of one experiment."""
    best: dict[str, tuple[int, int, Command]] = {}
    for text, sentence in commands(blocks):
        command = clean(text, sentence)
        score = _score(text, command.found.value, sentence)
        earlier = best.get(command.found.value, (-(10**6), 0, command))
        known = earlier[2] if earlier[0] >= score else command
        best[command.found.value] = (max(score, earlier[0]), earlier[1] + 1, known)
    likely = [(score + min(count - 1, 3), command) for score, count, command in best.values()]
    good = [item for item in likely if item[0] > 0]
    return max(good, key=lambda item: item[0])[1] if good else None


def commands(blocks: Sequence[Block]) -> Iterator[tuple[str, Sentence]]:
    """Every text that looks like a command, with its sentence."""
    for block in blocks:
        if block.kind == "code":
            text = re.sub(r"^(?:\d+[.)]\s*)?(?:\$\s+|>\s+)?(?:Run:?\s+)?", "", block.text)
            text = re.sub(r"\s+#\s.*$", "", text)
            if block.language not in ("python", "py", "json", "yaml", "toml", "tsv") and _HEAD.match(text):
                yield text, next(block.sentences())
            continue
        for sentence in block.sentences():
            for span in re.findall(r"`([^`]+)`", sentence.text):
                if _HEAD.match(span.strip()):
                    yield span.strip(), sentence


def clean(text: str, sentence: Sentence) -> Command:
    """Without redirections, which loopsmith does itself, and without a time limit, which is a setting."""
    log = ""
    while match := _REDIRECT.search(text):
        names = re.findall(r"[\w./${}()%+-]*\w\.\w+", match[0])
        log = log or (names[-1] if names else "")
        text = text[: match.start()]
    limit = ""
    if match := _TIMEOUT.match(text):
        limit, text = match[2] + (match[3] or "s"), match[1] + text[match.end() :]
    text = re.sub(r"^(?:nohup|time)\s+", "", text).rstrip(" &")
    return Command(sentence.found(text), log, tuple(_HOLE.findall(text)), limit)


def find_timeout(blocks: Sequence[Block]) -> tuple[Found | None, bool]:
    """The longest that a run may take, and whether it is only twice what a run is said to take."""
    for block in blocks:
        for sentence in block.sentences():
            around = f"{block.heading} {block.intro} {sentence.plain} {block.plain}"
            if _KILL.search(around) and (match := _LIMIT.search(sentence.plain)):
                return sentence.found(duration(match[1], match[2])), False
    for pattern in (_FIXED, _BUDGET):
        for block in blocks:
            for sentence in block.sentences():
                if match := pattern.search(sentence.plain):
                    return sentence.found(duration(match[1], match[2], twice=True)), True
    return None, True


def duration(amount: str, unit: str, *, twice: bool = False) -> str:
    seconds = (
        float(_WORDS.get(amount.lower(), amount)) * {"s": 1, "m": 60, "h": 3600}[unit[0].lower()] * (2 if twice else 1)
    )
    return format_duration(seconds, parts=4).replace(" ", "")


def _score(text: str, command: str, sentence: Sentence) -> int:
    block = sentence.block
    said = block.intro if block.kind == "code" else sentence.plain
    score = 1
    if _REDIRECT.search(text):
        score += 4
    if _RUN.search(said) or _RUN.search(block.intro):
        score += 3
    if _PLACE.search(block.heading):
        score += 2
    if _SETUP.search(re.sub(r"`[^`]*`", " ", said)):
        score -= 4
    if re.search(r"(?i)\bnot used\b|\b(?:never|not|don't) (?:use|run)\b", said):
        score -= 6
    if re.search(r"\bset ?up\b|\binstall|\bquick ?start\b|\brequirements\b", block.heading):
        score -= 3
    if _SETUP_COMMAND.search(command):
        score -= 6
    return score - (1 if _HOLE.search(command) else 0)
