"""Which files a program lets its agent change, and which it keeps from it."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from loopsmith.workflow.adopt.program import Block, Found, Sentence, plain

_CODE = (
    "py pyx c cc cpp cxx h hpp cu cuh rs go zig js mjs ts tsx jsx java kt scala swift jl lua rb php pl r m f90 sql sh "
    "bash asm s metal wgsl hs ml ex exs nim v sv ipynb"
)
_TEXT = "md txt json jsonl yaml yml toml ini cfg conf csv tsv tex html css prompt j2 log lock xml"
_ENDINGS = "|".join(f"{_CODE} {_TEXT}".split())
_PATH = re.compile(rf"(?:\.{{1,2}}/)?(?:[\w.-]+/)*[\w-][\w.-]*\.(?:{_ENDINGS})\b|(?:[\w.-]+/)+(?=[`\s,;:.)]|$)")
_SPAN = re.compile(r"`([^`]+)`")
_OUTPUT = re.compile(
    r"(?i)(^|/)(results?|log|ledger|runs?|history|progress)[\w.-]*\.(tsv|csv|jsonl?|log|md|txt)$|\.(log|tsv|lock)$"
)
_NO_FILES = {"node.js", "next.js", "vue.js", "three.js", "e.g", "i.e"}
_CHANGE = r"(?:edit|modif\w+|chang\w+|touch\w*|alter\w*|optimi[sz]\w+|tun\w+|hack|rewrit\w+|iterat\w+ on|evolv\w+)"
_ONLY = re.compile(
    rf"(?i)\bonly\s+(?:ever\s+)?{_CHANGE}\b|\b{_CHANGE}\s+only\b|\b(?:only|sole|single|one)\b[^.]{{0,20}}"
    rf"\b(?:file|script|module|thing|code)\b[^.]{{0,30}}\b(?:{_CHANGE}|mutable|editable)\b|"
    r"\bonly\s+(?:mutable|editable)\b|\b(?:mutable|editable)\b[^.]{0,12}\bonly\b"
)
_EDIT = re.compile(
    rf"(?i)\b(?:file|script|module|code|one|part)s?\s+(?:that\s+)?(?:you|the agent|agents?)\s+"
    rf"(?:may\s+|can\s+|should\s+|will\s+)?{_CHANGE}\b|\byou\s+(?:may\s+|can\s+|should\s+"
    rf"|are free to\s+)?(?:freely\s+)?{_CHANGE}\b|"
    rf"\b(?:experimentation|changes|edits?|experiments?|work)\s+(?:happens?|go(?:es)?|belongs?)\s+(?:here|in)\b|"
    r"\b(?:is|are)\s+(?:fully\s+)?(?:the\s+)?(?:editable|mutable)\b|\beditable\b|\bmutable\b|\bfair game\b"
)
_VERB = re.compile(rf"(?i)^(?:step \d+[:.]?\s*)?(?:then\s+)?(?:{_CHANGE}|improve|implement|write)\b")
_KEEP = re.compile(
    rf"(?i)(?:\bnot\b|n't\b|\bnever\b|\bcannot\b|\bno\b)[^.;,]{{0,40}}\b(?:{_CHANGE}|write to)\b|\bread[- ]?only\b|"
    r"^(?:and |but )?(?:never|not)\s+\W{0,2}[\w./-]+\W{0,3}$|\bimmutable\b|\boff[- ]limits\b|\bfrozen\b|\bprotected\b"
    r"|\blocked\b|\bhands off\b|\bunchanged\b"
)
_FIXED = re.compile(r"(?i)\bfixed\b|\bground truth\b|\bsource of truth\b")
_MAY_NOT = re.compile(
    r"(?i)\b(?:can ?not|can't|must not|may not|should not|shouldn't|do not|don't|never|not allowed|off[- ]limits|"
    r"read[- ]?only|forbidden|immutable|protected|frozen)\b"
)
_MAY = re.compile(
    rf"(?i)\b(?:can|may|should|you|to|what you)\s+(?:freely\s+)?(?:{_CHANGE}|do)\b|\bfiles? (?:you )?(?:in scope"
    rf"|own)\b|"
    r"\bin[- ]scope files\b|\b(?:editable|mutable)\b"
)
_READ = re.compile(r"(?i)\bread\b")


class Files(NamedTuple):
    """What was found: paths of the source, with the sentences that say so."""

    editable: tuple[Found, ...]
    kept: tuple[Found, ...]  # from the agent


def find_files(blocks: Sequence[Block]) -> Files:
    """The files that may and that may not be changed, each once, the surest first."""
    edit: dict[str, list[tuple[int, Found]]] = {}
    keep: dict[str, list[tuple[int, Found]]] = {}
    for block in blocks:
        for path, span in mentions(block):
            may, may_not = _weigh(path, span, block)
            if may:
                edit.setdefault(path, []).append((may, _quoted(path, span, (_ONLY, _EDIT))))
            if may_not:
                keep.setdefault(path, []).append((may_not, _quoted(path, span, (_KEEP, _FIXED))))
    score = {path: sum(points for points, _ in said) for path, said in edit.items()}
    against = {path: sum(points for points, _ in said) for path, said in keep.items()}
    chosen = [
        path
        for path in sorted(score, key=lambda name: -score[name])
        if score[path] > against.get(path, 0) and not _OUTPUT.search(path) and score[path] >= 2
    ]
    surest = {path: max(points for points, _ in edit[path]) for path in chosen}
    for least in (6, 3):  # one that is said to be the only one rules the others out; a list rules mere mentions out
        if any(points >= least for points in surest.values()):
            chosen = [path for path in chosen if surest[path] >= least]
            break
    else:
        top = [path for path in chosen if score[path] == score[chosen[0]]]
        chosen = [path for path in top if edit[path][0][1].line == edit[top[0]][0][1].line]
    kept = [path for path in against if against[path] >= 2 and path not in chosen and not _OUTPUT.search(path)]
    return Files(
        tuple(_clearest(edit[path]) for path in chosen),
        tuple(_clearest(keep[path]) for path in kept),
    )


def _quoted(path: str, span: Sequence[Sentence], cues: Sequence[re.Pattern[str]]) -> Found:
    """What is said about a file, up to the sentence that says what may be done with it."""
    clear = (n for cue in cues for n, each in enumerate(span) if cue.search(each.plain))
    last = next(clear, 0)
    return Found(path, span[0].line, " ".join(each.text for each in span[: last + 1]))


def _clearest(said: Sequence[tuple[int, Found]]) -> Found:
    return max(said, key=lambda item: (item[0], -len(item[1].quote)))[1]


def mentions(block: Block) -> Iterator[tuple[str, list[Sentence]]]:
    """Each file that a block names, with the sentences about it: those up to the next file's."""
    sentences = list(block.sentences())
    named = [paths_in(sentence.text, code=block.kind == "code") for sentence in sentences]
    for index, paths in enumerate(named):
        last = index + 1
        while last < len(sentences) and not named[last]:
            last += 1
        for path in paths:
            yield path, sentences[index:last]


def paths_in(text: str, *, code: bool = False) -> list[str]:
    """The files that a text names; those that a command names do not count."""
    found = []
    for span in _SPAN.findall(text):
        if _PATH.fullmatch(span.strip()):
            found.append(span.strip())
    bare = _SPAN.sub(" ", text)
    if not code or re.match(rf"\s*(?:{_PATH.pattern})\s+\S", bare) or _VERB.match(re.sub(r"^\d+[.)]\s*", "", bare)):
        found += _PATH.findall(bare)
    clean = (path.removeprefix("./").rstrip(".") for path in found)
    return [path for path in dict.fromkeys(clean) if path and path.lower() not in _NO_FILES and ".." not in path]


def _weigh(path: str, span: list[Sentence], block: Block) -> tuple[int, int]:
    """How much speaks for a file being editable, and how much for it being kept."""
    first = _clause(path, span[0])
    lead = first.lstrip("`*_ ")
    starts = any(lead.startswith((name, f"./{name}")) for name in [path, *paths_in(first)])  # the item is about files
    words = (
        plain(first) if len(span) == 1 or not starts else " ".join((plain(first), *(each.plain for each in span[1:])))
    )
    if block.kind == "heading":
        return (4 if _EDIT.search(words) else 0), (4 if _KEEP.search(words) else 0)
    only = next(
        (match for match in _ONLY.finditer(words) if not re.search(r"(?i)\bnot\b|n't|\bnever\b", match[0])), None
    )
    kept = _KEEP.search(words)
    if only and (not kept or kept.start() < only.start()):  # "nothing out of scope: only edit x.py"
        return 6, 0
    if kept:
        return 0, 4
    verb = bool(_VERB.match(re.sub(r"^\d+[.)]\s*", "", words)))
    for context in (block.intro, block.heading):
        if _MAY_NOT.search(context):
            return 0, 3 if verb or starts else 1
        if _MAY.search(context) and not (_READ.search(context) and not _EDIT.search(words)):
            return (4 if verb or starts else 0), 0
    if _EDIT.search(words):
        return 4, 0
    if verb:
        return 2, 0
    return 0, 2 if _FIXED.search(words) and starts else 0


def _clause(path: str, sentence: Sentence) -> str:
    """The part of a sentence that is about a file, where the sentence names several and says different things."""
    clauses = re.split(r"(?<=[\w`)])\s*(?:[;—–,]|\s-\s|\bbut\b)\s*", sentence.text)
    if len(paths_in(sentence.text)) < 2:
        return sentence.text
    words = ""
    for clause in clauses:
        said = plain(clause)
        if _KEEP.search(said) or _ONLY.search(said) or _EDIT.search(said) or _VERB.match(said) or not words:
            words = clause
        if path in clause:
            return words if words == clause else f"{words} {clause}"
    return sentence.text
