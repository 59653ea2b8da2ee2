"""Text that is not what it looks like: characters that hide or reorder it, and letters of other alphabets.

After Unicode TR36 (security considerations), TS39 (confusables, mixed scripts) and "Trojan Source" (Boucher and
Anderson, 2021). The letters below are those of TS39 that look like one ASCII letter, in the alphabets that are used
for it; mathematical, full-width and other such letters are found by their compatibility form (NFKC), which is also
how Python reads a name.
"""

import io
import re
import tokenize
import unicodedata
from collections import Counter
from collections.abc import Iterator

from loopsmith.verify.changes import Change, Finding

BIDI = frozenset(map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))))
# Default_Ignorable_Code_Point beyond the categories Cf, Zl and Zp, which are taken whole.
_IGNORABLE = (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, 0xFFA0)
IGNORABLE = frozenset(map(chr, (*_IGNORABLE, *range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000))))
JOINER, EMOJI_STYLE = "\u200d", "\ufe0f"
GREEK_SMALL = dict(zip("αγικνρσυ", "ayikvpou", strict=True))  # names of their own in mathematics
LOOK_ALIKES = {
    **dict(zip("аеорсухіјѕԁԛԝһӏгкпѵү", "aeopcyxijsdqwhlrknvy", strict=True)),
    **dict(zip("АВЕЅІЈКМНОРСТУХԌԚԜҮӀѴ", "ABESIJKMHOPCTYXGQWYIV", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοϲϳ", "ABEZHIKMNOPTYXocj", strict=True)),
    **dict(zip("օոսհցզռյգՕՍԼՏ", "onuhgqnjqOULS", strict=True)),
    **dict(zip("ᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃᎥᎽ", "ABCDEGHJKLMPRSTVWZiy", strict=True)),
    **dict(zip("ꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜꓮ", "BCDEFGHIJKLMNOPRSTUVWXYZA", strict=True)),
    **dict(zip("ɑɡɩǀ", "agil", strict=True)),
}
PROSE = (".md", ".rst", ".txt", ".tex", ".csv", ".tsv", ".html", ".po")
_ODD = re.compile(r"[^\t\f\x20-\x7e]")
_WORD = re.compile(r"[^\W\d_]+")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_QUOTED = re.compile(
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|//.*|/\*.*?(?:\*/|$)|^\s*\*.*|(?<!\S)#.*|(?<!\S)--\s.*"""
)


def check_text(change: Change) -> Iterator[Finding]:
    """What is hidden in the lines that a change adds; a line that hides the same as one that it removes is no news."""
    odd = [(number, line) for number, line in change.added if _ODD.search(line)]
    if not odd:
        return
    names = _python_names(change)
    known = Counter(found for line in change.removed if (found := tuple(_line(line, _names(change, line)))))
    for number, line in odd:
        if number == 1:
            line = line.removeprefix("\ufeff")
        found = tuple(_line(line, names.get(number, []) if names is not None else _names(change, line)))
        if found and known[found]:
            known[found] -= 1
            continue
        for words in dict.fromkeys(found):
            yield Finding(number, f"{words} (guardrails.unicode)")


def check_name(path: str) -> Iterator[Finding]:
    """What is hidden in a new file's name."""
    if not path.isascii():
        for words in dict.fromkeys(_line(path, _IDENTIFIER.findall(path))):
            yield Finding(0, f"its name: {words} (guardrails.unicode)")


def _line(line: str, names: list[str]) -> Iterator[str]:
    """What one line hides, in words that name the character.

    Args:
        names: the identifiers in it; comments and texts may use any alphabet, as long as no word mixes two.
    """
    for match in _ODD.finditer(line):
        if words := _hidden(line, match.start()):
            yield words
    seen = set()
    for word in _WORD.findall(line):
        if not word.isascii() and any(char.isascii() for char in word):
            for char in word:
                if like := LOOK_ALIKES.get(char) or GREEK_SMALL.get(char):
                    seen.add(char)
                    yield f"`{word}` with {_named(char)}, which looks like `{like}`"
    for name in names:
        for word in _WORD.findall(name) if not name.isascii() else ():
            imitation = all(char in LOOK_ALIKES or char.isascii() for char in word)
            for char in word:
                plain = unicodedata.normalize("NFKC", char)
                if imitation and char not in seen and (like := LOOK_ALIKES.get(char)):
                    yield f"the name `{name}` with {_named(char)}, which looks like `{like}`"
                elif not char.isascii() and plain.isascii() and plain.isalnum():
                    yield f"the name `{name}` with {_named(char)}, which counts as `{plain}`"


def _hidden(line: str, at: int) -> str:
    char, before, after = line[at], line[at - 1 : at], line[at + 1 : at + 2]
    if char in BIDI:
        return f"{_named(char)}, which reorders what a reader sees"
    if unicodedata.category(char) == "Cc":
        return f"U+{ord(char):04X}, a control character"
    if char == EMOJI_STYLE and (_pictured(before) or after == "\u20e3"):
        return ""
    if char == JOINER and (_pictured(before) or before == EMOJI_STYLE) and _pictured(after):
        return ""
    if char in IGNORABLE or unicodedata.category(char) in ("Cf", "Zl", "Zp"):
        return f"{_named(char)}, which cannot be seen"
    return ""


def _pictured(char: str) -> bool:
    return bool(char) and not char.isascii() and unicodedata.category(char) in ("So", "Sk", "Sm", "Po")


def _named(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()


def _names(change: Change, line: str) -> list[str]:
    """The identifiers of a line of any language: what stands outside of quotes and comments.

    Where other letters of the same alphabet stand it is taken for a sentence.
    """
    if change.path.endswith(PROSE) or line.isascii():
        return []
    code = _QUOTED.sub(" ", line)
    if any(not char.isascii() and char.isalpha() and not _imitates(char) for char in code):
        return []
    return _IDENTIFIER.findall(code)


def _imitates(char: str) -> bool:
    plain = unicodedata.normalize("NFKC", char)
    return char in LOOK_ALIKES or char in GREEK_SMALL or plain.isascii()


def _python_names(change: Change) -> dict[int, list[str]] | None:
    """The names in Python by line, as they are written: the syntax tree holds only their compatibility form."""
    if not change.python or change.after is None:
        return None
    found: dict[int, list[str]] = {}
    try:
        for token in tokenize.tokenize(io.BytesIO(change.after).readline):
            if token.type == tokenize.NAME and not token.string.isascii():
                found.setdefault(token.start[0], []).append(token.string)
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        return None
    return found
