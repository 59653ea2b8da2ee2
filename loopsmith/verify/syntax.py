"""Python as a syntax tree, whatever the text: no candidate's file makes the parser, or a walk over its tree, fail."""

import ast
import re
import warnings
from collections import deque
from functools import lru_cache

# PEP 263: a declaration in the first two lines. In other encodings plain text hides code: `\x73eed` is `seed`.
_ENCODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)")
PLAIN = {"utf8", "utf8sig", "ascii", "usascii", "latin1", "iso88591", "iso885915", "cp1252"}


class NotPython(Exception):
    """The text does not parse; the message says why, `line` where."""

    def __init__(self, line: int, why: str):
        super().__init__(why)
        self.line = line


@lru_cache(maxsize=64)
def parse(data: bytes) -> ast.Module:
    """The syntax tree of a file. Shared between callers: do not change it.

    Raises:
        NotPython: it does not parse with the Python that runs loopsmith, or is nested too deeply to look at.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in strings; they are the candidate's matter
            return ast.parse(data)
    except SyntaxError as error:
        raise NotPython(error.lineno or 0, error.msg) from None
    except (RecursionError, MemoryError):
        raise NotPython(0, "it is nested too deeply") from None
    except ValueError as error:
        raise NotPython(0, str(error)) from None


def encoding(data: bytes) -> str | None:
    """The encoding that a file declares, if it is one in which text is not what it looks like."""
    for line in data.split(b"\n", 2)[:2]:
        if match := _ENCODING.match(line.removeprefix(b"\xef\xbb\xbf")):
            name = match[1].decode()
            return None if re.sub("[-_]", "", name.lower()) in PLAIN else name
    return None


def fingerprint(node: ast.AST | None) -> str:
    """A text that two trees share if and only if they are the same but for white space, comments and quotes.

    Level by level, with the length of each list, so that it needs no recursion and the text determines the tree.
    """
    if node is None:
        return ""
    parts: list[str] = []
    queue = deque([node])
    while queue:
        node = queue.popleft()
        parts.append(type(node).__name__)
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "kind", "type_comment"):
                continue
            if isinstance(value, ast.AST):
                queue.append(value)
                parts.append(name)
            elif isinstance(value, list):
                parts.append(f"{name}:{len(value)}")
                queue.extend(item for item in value if isinstance(item, ast.AST))
                parts.extend("-" if isinstance(item, ast.AST) else _plain(item) for item in value)
            else:
                parts.append(_plain(value))
    return " ".join(parts)


def _plain(value: object) -> str:
    # A long integer has no repr, by Python's limit on digits.
    return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else repr(value)


def text_of(node: ast.AST | None) -> str | None:
    """The text of a string that is written out, in one piece or joined by `+`."""
    pieces: list[str] = []
    stack = [node]
    while stack:
        match stack.pop():
            case ast.Constant(value=str(text)):
                pieces.append(text)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                stack += [right, left]
            case ast.JoinedStr(values=values):
                stack += reversed(values)
            case ast.FormattedValue(value=ast.Constant(value=str(text)), conversion=-1, format_spec=None):
                pieces.append(text)
            case _:
                return None
    return "".join(pieces)


def last_name(node: ast.AST) -> str:
    """`f` of `f`, `a.f` and `a().f`; empty for anything else."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
