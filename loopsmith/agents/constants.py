"""Constants in source files: finding them, and writing other values in their place.

Three forms are known. Found by themselves are assignments of a literal to an upper-case name at the top level of
a Python file, and `#define NAME literal` in C and its relatives. A name that the workflow gives is also found in
any text file, where a line reads `NAME = literal` or `NAME: literal`, with whatever keywords and types before it.
A new value is written in the manner of the old one; not a byte besides it changes.
"""

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

Value = bool | int | float | str

C_SUFFIXES = {".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".cu", ".cuh", ".cl", ".metal", ".m", ".mm"}
# Numbers that name something: another value is not a faster program but another question.
NOT_TUNED = {"SEED", "VERSION", "PORT"}  # as a part of the name, between underscores
LARGEST = 2**31  # integers beyond it are masks and multipliers, not sizes

_INTEGER = rb"0[xX][0-9a-fA-F][0-9a-fA-F_']*|0[bB][01][01_']*|0[oO][0-7][0-7_]*|[0-9][0-9_']*"
_FLOAT = rb"(?:[0-9][0-9_']*\.[0-9_']*|\.[0-9]+|[0-9][0-9_']*(?=[eE]))(?:[eE][-+]?[0-9]+)?"
_NUMBER = rb"[-+]?(?:%b|%b)(?:[uUlLfF]{1,3}|[iu](?:8|16|32|64|size)|f32|f64)?" % (_FLOAT, _INTEGER)
_LITERAL = rb"(?:%b|[tT]rue|[fF]alse|\"[^\"\\\n]*\"|'[^'\\\n]*'|[A-Za-z][\w.-]*)" % _NUMBER
_DEFINE = re.compile(rb"(?m)^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+\(?[ \t]*(%b)[ \t]*\)?[ \t]*(?=/[/*]|\r?$)" % _NUMBER)
_PARTS = re.compile(
    r"([-+]?)(0[xXbBoO])?(.*?)((?:(?<=[0-9a-fA-F.'_])(?:[uUlL]{1,3}|[iu](?:8|16|32|64|size)|f32|f64))?)"
)
_EXPONENT = re.compile(r"[eE]")


@dataclass(frozen=True)
class Constant:
    """A literal in a file."""

    key: str  # the name; with the path before it, `kernel.c:BLOCK`, where several files have one of that name
    name: str
    path: str  # of the file, relative
    start: int  # of the literal, in bytes
    end: int
    text: str  # the literal as it is written
    value: Value


def find_constants(folder: Path, files: Iterable[str], names: Collection[str] = ()) -> tuple[Constant, ...]:
    """The constants in the files of a folder, in the order of the files and their lines.

    Args:
        files: relative paths. What is not a regular UTF-8 text file is passed over.
        names: the names or keys to look for, with any value; none: every number, true and false in the forms that
            are found by themselves. A name that one file sets twice is not a constant, and is passed over.
    """
    found: list[Constant] = []
    for path in files:
        data = read_text(folder / path)
        if data is None:
            continue
        wanted = {name.removeprefix(f"{path}:") for name in names}
        constants = [constant for constant in _search(path, data, wanted) if not names or constant.name in wanted]
        often = Counter(constant.name for constant in constants)
        constants = [constant for constant in constants if often[constant.name] == 1]
        found += constants if names else filter(_tunable, constants)
    return _with_keys(found)


def rewrite(folder: Path, constants: Sequence[Constant], values: Mapping[str, Value]) -> None:
    """Write new values, by key, into the files that `find_constants` found the constants in."""
    for path in dict.fromkeys(constant.path for constant in constants):
        data = (folder / path).read_bytes()
        for constant in sorted((each for each in constants if each.path == path), key=lambda each: -each.start):
            if constant.key in values and values[constant.key] != constant.value:
                text = format_value(constant.text, constant.value, values[constant.key])
                data = data[: constant.start] + text.encode() + data[constant.end :]
        (folder / path).write_bytes(data)


def read_text(path: Path) -> bytes | None:
    """The bytes of a regular file in UTF-8, else None. A link is not followed: it may lead out of the folder."""
    if path.is_symlink() or not path.is_file():
        return None
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    return None if b"\0" in data else data


def format_value(text: str, old: Value, new: Value) -> str:
    """`new` as a literal in the manner of `text`, which is how `old` is written: base, digit groups, suffix, case."""
    if isinstance(new, bool):
        word = "true" if new else "false"
        return word if text in ("true", "false") else word.capitalize()
    if isinstance(new, str):
        quote = text[0] if text[:1] in ("'", '"') else ""
        return f"{quote}{new}{quote}"
    if isinstance(old, (bool, str)) or (isinstance(old, int) and isinstance(new, float)):
        return repr(new)
    match = _PARTS.fullmatch(text)
    assert match is not None
    sign, prefix, digits, suffix = match.groups()
    if isinstance(old, int):
        body = _format_integer(abs(int(new)), prefix or "", digits)
    else:
        if digits[-1:] in ("f", "F") and not prefix:
            digits, suffix = digits[:-1], digits[-1]
        body = _format_float(abs(float(new)), digits)
    return ("-" if new < 0 else "+" if sign == "+" else "") + (prefix or "") + body + suffix


def _format_integer(value: int, prefix: str, digits: str) -> str:
    style = {"0x": "x", "0b": "b", "0o": "o"}.get(prefix.lower(), "d")
    width = len(digits) if digits.startswith("0") else 0
    separator = "'" if "'" in digits else "_" if "_" in digits else ""
    if separator:
        text = f"{value:_{style}}" if style != "d" else f"{value:_}"
        text = text.replace("_", separator)
    else:
        text = f"{value:0{width}{style}}"
    return text.upper() if style == "x" and digits.upper() == digits and digits.lower() != digits else text


def _format_float(value: float, digits: str) -> str:
    number = Decimal(repr(value)).normalize()
    exponent = _EXPONENT.search(digits)
    if exponent:
        shown = number.as_tuple()
        figures = "".join(map(str, shown.digits))
        power = int(shown.exponent) + len(figures) - 1
        point = "." + (figures[1:] or "0") if figures[1:] or "." in digits else ""
        return f"{figures[0]}{point}{exponent[0]}{power}"
    text = f"{number:f}"
    return text if "." in text else f"{text}.0"


def _search(path: str, data: bytes, names: Collection[str]) -> list[Constant]:
    """Every constant of a file: of the forms found by themselves, then of the names not found so."""
    suffix = Path(path).suffix.lower()
    found = list(_in_python(path, data)) if suffix == ".py" else []
    if suffix in C_SUFFIXES:
        found += (_constant(path, data, match[1].decode(), *match.span(2)) for match in _DEFINE.finditer(data))
    known = {constant.name for constant in found}
    for name in sorted(set(names) - known):
        line = re.compile(
            rb"(?m)^[ \t]*(?:[\w:<>*&]+[ \t]+)*[\"']?%b[\"']?[ \t]*(?::[ \t]*[\w<>:&]+[ \t]*(?==))?(?:[:?]?=|:)"
            rb"[ \t]*(%b)(?=[ \t]*(?:[;,)}\]]|\#|//|/\*|\r?$))" % (re.escape(name.encode()), _LITERAL)
        )
        found += (_constant(path, data, name, *match.span(1)) for match in line.finditer(data))
    return sorted(found, key=lambda constant: constant.start)


def _in_python(path: str, data: bytes) -> Iterable[Constant]:
    """Literals assigned to a name at the top level of a module, and nowhere else in it."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return
    stored = Counter(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    changed = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    lines = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", data))]
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target: ast.expr = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        value = statement.value
        if not isinstance(target, ast.Name) or value is None or target.id in changed or value.end_lineno is None:
            continue
        start = lines[value.lineno - 1] + value.col_offset
        end = lines[value.end_lineno - 1] + (value.end_col_offset or 0)
        literal = value.operand if isinstance(value, ast.UnaryOp) else value
        if not isinstance(literal, ast.Constant) or literal.value is None:
            continue
        if stored[target.id] == 1 and re.fullmatch(_LITERAL, data[start:end]):
            yield _constant(path, data, target.id, start, end)


def _constant(path: str, data: bytes, name: str, start: int, end: int) -> Constant:
    text = data[start:end].decode()
    return Constant(name, name, path, start, end, text, _read(text))


def _read(text: str) -> Value:
    """The value of a literal."""
    if text in ("True", "true", "False", "false"):
        return text in ("True", "true")
    if text[0] in "\"'" or text[0].isalpha():
        return text.strip("\"'")
    match = _PARTS.fullmatch(text)
    assert match is not None
    sign, prefix, digits, suffix = match.groups()
    digits = digits.replace("_", "").replace("'", "")
    if not prefix and (set(digits) & set(".eEfF") or suffix in ("f32", "f64")):
        number: int | float = float(digits.rstrip("fF"))
    else:
        number = int(digits, {"0x": 16, "0b": 2, "0o": 8}.get((prefix or "").lower(), 10))
    return -number if sign == "-" else number


def _tunable(constant: Constant) -> bool:
    octal = re.fullmatch(r"[-+]?0\d.*", constant.text) and not isinstance(constant.value, float)
    return (
        constant.name.isupper()
        and not constant.name.startswith("__")
        and NOT_TUNED.isdisjoint(constant.name.split("_"))
        and not isinstance(constant.value, str)
        and not octal
        and abs(constant.value) < LARGEST
    )


def _with_keys(constants: Sequence[Constant]) -> tuple[Constant, ...]:
    often = Counter(constant.name for constant in constants)
    return tuple(
        replace(constant, key=f"{constant.path}:{constant.name}") if often[constant.name] > 1 else constant
        for constant in constants
    )
