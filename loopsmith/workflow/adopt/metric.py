"""What a program wants improved, in which direction, and what else it wants not to get worse."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from loopsmith.workflow.adopt.program import Block, Found, Sentence, plain
from loopsmith.workflow.adopt.summary import Grep, Printed

TOLERANCE = 20  # percent, where a program says only that some change is acceptable
_LOW = re.compile(
    r"(?i)\blow(?:er|est)\b|\bminimi[sz]\w*|\breduc\w+|\bsmall(?:er|est)\b|\bfewe(?:r|st)\b|\bdecreas\w+|\bshort(?:er|est)\b"
    r"|\bfast(?:er|est)?\b(?=.*\b(?:seconds|time|ms|latency)\b)|↓"
)
_HIGH = re.compile(
    r"(?i)\bhigh(?:er|est)\b|\bmaximi[sz]\w*|\bincreas\w+|\blarge(?:r|st)\b|\bgreat(?:er|est)\b|\bmost\b|↑"
)
_BETTER = re.compile(
    r"(?i)\b(lower|higher|smaller|larger|less|more)\b(?: \w+)? is (?:always )?better|\b(lower|higher)\s*=\s*better"
)
_GOAL = re.compile(
    r"(?i)\bgoal\b|\bobjective\b|\baim\b|\bprimary\b|\bmain metric\b|\btarget metric\b|\boptimi[sz](?:e|ing) for\b"
    r"|\bmission\b|"
    r"\b(?:minimi[sz]|maximi[sz])(?:e|ing)\b|\bget the (?:lowest|highest|best)\b|\bthe metric\b|\bfitness\b|"
    r"^(?:lower|reduce|increase|raise|improve)\b|\byour job\b"
)
_OWN = re.compile(r"(?i)\bgoal\b|\bobjective\b|\baim\b|\byour job\b")
_PLACE = re.compile(r"(?i)\bgoal\b|\bobjective|\bmetric|\bscor|\bfitness\b|\btarget\b|\bmission\b|\bsuccess\b")
_ASIDE = re.compile(
    r"(?i)\bsecondary\b|\btertiary\b|\bsoft\b|\bconstraint|\bpenalt|\bsimpl(?:er|ic|if)|\btie[- ]?break|\bonly after\b"
)
_IMPROVED = re.compile(
    r"(?i)\bimprov\w+|\bbetter\b|\bkeep\b|>\s*(?:current|previous|best)|<\s*(?:current|previous|best)"
)
_SMALL = re.compile(
    r"(?i)(?:^|[_\W])(?:loss|bpb|bpc|err(?:or)?|mse|rmse|mae|mape|wer|cer|perplexity|ppl|latency|time|seconds?|secs?|ms|us|ns|"
    r"runtime|duration|bytes|kb|mb|size|cost|regret|nll|failures?|failing|cycles|instructions|depth|distance)(?:$|[_\W])"
)
_LARGE = re.compile(
    r"(?i)(?:^|[_\W])(?:acc(?:uracy)?|score|f1|auc|auroc|map|iou|dice|psnr|ssim|bleu|rouge|sharpe|return|reward|profit"
    r"|gflops|tflops|throughput|speedup|per_sec(?:ond)?|qps|rps|tok_s|precision|recall|r2|elo|win_?rate|passed|hits?)(?:$|[_\W])"
)
_SOFT = re.compile(
    r"(?i)\bsoft (?:constraint|limit)|\bsome (?:increase|growth|regression|decrease)\b|\bshould not (?:blow up|grow"
    r"|increase|"
    r"regress|drop|degrade|explode|get (?:much )?worse)|\bsecondary\b|\bmust not (?:blow up|explode|regress)"
    r"|\bkeep an eye on\b"
)
_LESS = re.compile(r"(?i)\bdrop\b|\bfall\b|\bdecreas\w+|\bregress\w*|\bdegrad\w*|\bmaximi[sz]|\bhigher is better")
_SHARE = re.compile(r"(?i)(?:up to|at most|within|no more than|by more than|than|±)\s*~?(\d+(?:\.\d+)?)\s*%")
_MEMORY = {"vram", "memory", "mem", "ram", "rss"}
_DULL = set(
    """
    peak total avg mean max min num val test train the a of per in mb gb kb ms s sec seconds percent m k best final
    """.split()  # noqa: SIM905 - a list of words reads better in lines
)
_NAME = re.compile(r"`([A-Za-z_][\w./%@-]*)`|\b([A-Za-z]\w*_\w+|[A-Za-z]+@\d+)\b")
_CALLED = re.compile(r"(?i)\b(?:metric|score|minimi[sz]\w*|maximi[sz]\w*|lowest|highest)\b[^.;,]{0,25}$")
_SIMPLE = re.compile(
    r"(?i)\bsimpler is better\b|\bsimplicity (?:criterion|rule|wins)\b|\bsimplification win\b|\bprefer simpl"
)


class Metric(NamedTuple):
    """The objective's metric and direction, each with the sentence that says so."""

    name: Found | None
    direction: Found | None  # None: nothing says it
    guessed: bool  # the direction is guessed from the metric's name


class Soft(NamedTuple):
    """A metric that may get somewhat worse. `sure` where the program says by how much."""

    found: Found  # its value is the metric
    tolerance: str
    sure: bool


def find_metric(blocks: Sequence[Block], printed: Sequence[Printed], greps: Sequence[Grep]) -> Metric:
    """What the program optimises, by what its sentences say and its readings of the log show."""
    known = list(dict.fromkeys([*(item.name for item in printed), *(name for grep in greps for name in grep.names)]))
    points: Counter[str] = Counter()
    said: dict[str, tuple[int, Found]] = {}

    def vote(name: str, weight: int, found: Found) -> None:
        points[name] += weight
        if weight > said.get(name, (0, found))[0]:
            said[name] = (weight, found)

    for grep in greps:
        name = grep.names[0]
        vote(name, 3 if len(grep.names) == 1 else 2, grep.found._replace(value=name))
    loose = known + _identifiers(blocks)
    if printed:
        vote(printed[0].name, 2, printed[0].found)
    for item in printed:
        if re.search(r"(?i)\bprimary\b", item.found.quote):
            vote(item.name, 4, item.found)
    goals = 0
    for sentence in _sentences(blocks):
        goal = bool(_GOAL.search(sentence.plain)) and not _ASIDE.search(sentence.plain.split(". ")[0][:40])
        place = bool(_PLACE.search(sentence.block.heading))
        names = _named(sentence, known)
        if goal:
            goals += 1
            for name in names[:1]:
                vote(name, 6 if goals == 1 or place else 5, sentence.found(name))
            if not names:
                for name in _alike(sentence.plain, loose):
                    vote(name, 4, sentence.found(name))
        elif names and _BETTER.search(sentence.plain):
            vote(names[0], 4, sentence.found(names[0]))
        elif names and _IMPROVED.search(sentence.plain) and re.search(r"(?i)\bif\b", sentence.plain):
            vote(names[0], 2, sentence.found(names[0]))
        elif names and place and sentence.block.kind == "item" and not _ASIDE.search(sentence.plain):
            vote(names[0], 1, sentence.found(names[0]))
    if not points:
        return Metric(None, None, False)
    name = max(points, key=lambda each: (points[each], each in known))
    direction, guessed = _direction(blocks, name, said[name][1])
    return Metric(said[name][1], direction, guessed)


def find_soft(blocks: Sequence[Block], printed: Sequence[Printed], metric: str) -> tuple[list[Soft], list[Found]]:
    """The metrics that may get somewhat worse, and the sentences about such that name none of the summary."""
    names = [item.name for item in printed if item.name != metric]
    soft: dict[str, Soft] = {}
    lost: list[Found] = []
    for sentence in _sentences(blocks):
        match = _SOFT.search(sentence.plain)
        if not match:
            continue
        about = f"{sentence.plain[match.start() :] if match[0].lower() == 'secondary' else sentence.block.plain}"
        chosen = _meant(about, names)
        share = _SHARE.search(sentence.block.plain)
        for name in chosen:
            less = _LESS.search(about) or (_LARGE.search(name) and not _SMALL.search(name))
            words = f"at most {share[1] if share else TOLERANCE}% {'less' if less else 'more'}"
            soft.setdefault(name, Soft(sentence.found(name), words, bool(share)))
        if not chosen and not soft:
            lost.append(sentence.found(""))
    return list(soft.values()), lost


def find_smallest(blocks: Sequence[Block], metric: str) -> tuple[Found | None, Found | None]:
    """The gain that counts ("a 0.001 loss improvement"), and the sentence that asks for simplicity."""
    gain = re.compile(
        rf"(?i)(?:\ba|\bby|\bat least|\bless than|\bunder|<)\s+(\d*\.?\d+\s?%?)\s+(?:`?{re.escape(metric)}`?\s+)?"
        r"(?:absolute |relative )?(?:improvement|gain|reduction|increase)"
    )
    smallest = simple = None
    for sentence in _sentences(blocks):
        if simple is None and _SIMPLE.search(sentence.plain):
            simple = sentence.found("true")
        if smallest is None and (match := gain.search(sentence.plain)) and float(match[1].strip(" %")) > 0:
            smallest = sentence.found(match[1].replace(" ", ""))
    return smallest, simple


def _direction(blocks: Sequence[Block], metric: str, said: Found) -> tuple[Found | None, bool]:
    votes: dict[str, list[tuple[int, Found]]] = {"minimize": [], "maximize": []}
    for sentence in _sentences(blocks):
        said_here = sentence.plain
        names = _named(sentence, [metric])
        mine = metric in names or bool(_alike(said_here, [metric]))
        goal = bool(_GOAL.search(said_here)) or sentence.line == said.line
        place = bool(_PLACE.search(sentence.block.heading))
        improved = re.search(r"(?i)improv\w+\W{1,4}\(?(?:it is |is )?(lower|higher)", said_here)
        if better := _BETTER.search(said_here):
            weight, word = (5 if mine else 3 if place or goal else 1), better[0]
        elif mine and improved:
            weight, word = 4, improved[1]
        elif goal and not _ASIDE.search(said_here[:20]):
            if not (mine or place or _OWN.search(said_here) or sentence.line == said.line):
                continue
            weight, word = (6 if mine else 2), _nearest(said_here, metric)
        else:
            continue
        if _LOW.search(word) or word.lower().startswith("less"):
            votes["minimize"].append((weight, sentence.found("minimize")))
        elif _HIGH.search(word) or word.lower().startswith("more"):
            votes["maximize"].append((weight, sentence.found("maximize")))
    by_name = "minimize" if _SMALL.search(metric) else "maximize" if _LARGE.search(metric) else ""
    totals = {way: sum(weight for weight, _ in found) + 3 * (way == by_name) for way, found in votes.items()}
    way = max(totals, key=lambda each: totals[each])
    if votes[way] and totals["minimize"] != totals["maximize"]:
        return max(votes[way], key=lambda vote: vote[0])[1], False
    return (Found(by_name, said.line, said.quote), True) if by_name else (None, False)


def _nearest(text: str, metric: str) -> str:
    """The word of a direction nearest to the metric, or the first one."""
    found = [*_LOW.finditer(text), *_HIGH.finditer(text)]
    at = text.lower().find(metric.lower())
    if not found:
        return ""
    return min(found, key=lambda match: abs(match.start() - at) if at >= 0 else match.start())[0]


def _sentences(blocks: Sequence[Block]) -> Iterator[Sentence]:
    for block in blocks:
        if block.kind != "code":
            yield from block.sentences()


def _named(sentence: Sentence, known: Sequence[str]) -> list[str]:
    """The metrics that a sentence names, in their order: known ones as words, others as `name` or name_with_parts."""
    text = sentence.text
    found: dict[str, int] = {}
    for name in known:
        if match := re.search(rf"(?i)(?<![\w.]){re.escape(name)}(?![\w(])", text):
            found[name] = match.start()
    lower = {name.lower() for name in found}
    for match in _NAME.finditer(text):
        name = match[1] or match[2]
        file = re.search(r"\.[a-z]{1,5}$|/", name)
        sounds = _SMALL.search(name) or _LARGE.search(name) or _CALLED.search(plain(text[: match.start()]))
        call = text[match.end() : match.end() + 1] == "("
        if sounds and not file and not call and name.lower() not in lower and not name.isupper():
            found.setdefault(name, match.start())
    for match in re.finditer(r"\*\*([A-Za-z][\w%-]*)\*\*", text):
        if "_" in match[1] or match[1].lower() in (name.lower() for name in known):
            found.setdefault(match[1], match.start())
    return sorted(found, key=lambda name: found[name])


def _identifiers(blocks: Sequence[Block]) -> list[str]:
    """Names such as composite_score anywhere in the text that sound like something to measure."""
    found = (
        name
        for sentence in _sentences(blocks)
        for name in re.findall(r"(?<![\w./])[a-z]\w*_\w+(?![\w.(/])", sentence.text)
    )
    return list(dict.fromkeys(name for name in found if _SMALL.search(name) or _LARGE.search(name)))


def _alike(text: str, known: Sequence[str]) -> list[str]:
    """The known metrics whose every telling word stands in a text, the longest first."""
    words = set(re.findall(r"[a-z0-9]+", text.lower()))
    fitting = []
    for name in known:
        telling = [part for part in re.findall(r"[a-z0-9]+", name.lower().replace("_", " ")) if part not in _DULL]
        if telling and all(part in words for part in telling):
            fitting.append(name)
    return sorted(fitting, key=len, reverse=True)[:1]


def _meant(text: str, names: Sequence[str]) -> list[str]:
    """The metrics of the summary that a sentence speaks about."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    parts = {name: set(re.findall(r"[a-z0-9]+", name.lower().replace("_", " "))) - _DULL for name in names}
    chosen = [name for name in names if re.search(rf"(?i)(?<!\w){re.escape(name)}(?!\w)", text)]
    for word in words:
        if word not in _MEMORY:
            continue
        exact = [name for name in names if word in parts[name]]
        chosen += (exact or [name for name in names if parts[name] & _MEMORY])[:1]
    chosen += [name for name in names if len(parts[name]) > 1 and parts[name] <= set(words)]
    return list(dict.fromkeys(chosen))
