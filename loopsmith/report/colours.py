"""The code in a patch with the colours of its language, as HTML.

Each line is read by itself, so that a string over several lines may look like code. Only lexers of common languages are
used: the names of files and their content are a candidate's, and pygments has hundreds of less tried ones.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from markupsafe import Markup, escape

from loopsmith.report.morning.changes import LineKind, PatchLine

LANGUAGES = {
    "python": ".py .pyi",
    "c": ".c .h",
    "cpp": ".cc .cpp .hpp",
    "cuda": ".cu .cuh",
    "rust": ".rs",
    "go": ".go",
    "java": ".java",
    "javascript": ".js",
    "typescript": ".ts",
    "bash": ".sh",
    "json": ".json",
    "yaml": ".yaml .yml",
    "toml": ".toml",
    "sql": ".sql",
    "julia": ".jl",
}
LEXERS = {suffix: language for language, suffixes in LANGUAGES.items() for suffix in suffixes.split()}
CLASSES = ("Comment", "Keyword", "Literal.String", "Literal.Number")
SHORT = dict(zip(CLASSES, ("co", "kw", "st", "nu"), strict=True))


def coloured(lines: Iterable[PatchLine]) -> Iterator[tuple[LineKind, Markup]]:
    """The lines of a unified diff with their kinds, safe to stand in a page."""
    lexer = None
    for line in lines:
        if line.kind == "file" and line.text.startswith(("--- ", "+++ ")):
            suffix = PurePosixPath(line.text[4:].rstrip('\t"')).suffix.lower()
            lexer = lexer_of(LEXERS[suffix]) if suffix in LEXERS else lexer if suffix == "" else None
        if lexer is None or line.kind in ("file", "hunk"):
            yield line.kind, escape(line.text or " ")
        else:
            yield line.kind, escape(line.text[:1]) + Markup("").join(tokens(lexer, line.text[1:]))


def tokens(lexer: Any, code: str) -> Iterator[Markup]:
    for kind, text in lexer.get_tokens(code):
        name = next((short for long, short in SHORT.items() if f"Token.{long}" in str(kind)), "")
        yield Markup('<span class="{}">{}</span>').format(name, text) if name else escape(text)


@cache
def lexer_of(name: str) -> Any:
    from pygments.lexers import get_lexer_by_name  # not at the top: most commands print no patch

    return get_lexer_by_name(name, stripnl=False, ensurenl=False)
