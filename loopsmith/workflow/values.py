"""The values of a workflow that are more than a number or a text: effects, constraints, patterns, paths, secrets."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

import pathspec
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, SecretStr

from loopsmith.workflow.units import format_share, parse_share, quoted

T = TypeVar("T")
Many = Annotated[tuple[T, ...], Field(strict=False)]
"""A YAML list, kept as a tuple."""

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\}|\$)")  # $NAME, ${NAME}, and $$ for a dollar
_FLOAT = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_CONSTRAINT = re.compile(rf"(<=|>=|==|<|>)\s*(baseline|{_FLOAT})")
_TOLERANCE = re.compile(r"within\s+(\d+(?:\.\d*)?)\s*%|at\s+most\s+(\d+(?:\.\d*)?)\s*%\s+(more|less)")
_WITHIN = re.compile(rf"within\s+({_FLOAT})\s*(%?)\s+of\s+(baseline|{_FLOAT})")


@dataclass(frozen=True)
class MinEffect:
    """The smallest gain worth keeping: a share of the baseline when `relative`, else in the metric's own unit."""

    value: float = 0.0
    relative: bool = False

    @classmethod
    def parse(cls, value: Any) -> "MinEffect":
        """From `1%` (relative) or `0.5` (absolute)."""
        if isinstance(value, cls):
            return value
        try:
            return cls(parse_share(value), isinstance(value, str) and "%" in value)
        except ValueError as error:
            raise ValueError(str(error).replace("is not a share", "is not an effect")) from None

    def __str__(self) -> str:
        return format_share(self.value) if self.relative else f"{self.value:g}"


@dataclass(frozen=True)
class Constraint:
    """What a metric must satisfy besides the objective.

    `bound` is a number in the metric's own unit, or None for the baseline's value of the same metric. `tolerance`
    belongs to `within`: a share of the bound when `relative`, else in the metric's own unit.
    """

    text: str
    operator: Literal["<=", "<", ">=", ">", "==", "within"]
    bound: float | None = None
    tolerance: float = 0.0
    relative: bool = False

    @classmethod
    def parse(cls, value: Any) -> "Constraint":
        """From `<= 2000`, `>= baseline`, `within 1% of baseline`, `within 5 of 100`."""
        if isinstance(value, cls):
            return value
        text = value.strip() if isinstance(value, str) else ""
        if match := _CONSTRAINT.fullmatch(text):
            operator, bound = match.groups()
            return cls(text, operator, None if bound == "baseline" else float(bound))  # type: ignore[arg-type]
        if (match := _WITHIN.fullmatch(text)) and float(match[1]) >= 0:
            tolerance = float(match[1]) / 100 if match[2] else float(match[1])
            return cls(text, "within", None if match[3] == "baseline" else float(match[3]), tolerance, bool(match[2]))
        raise ValueError(
            f'{quoted(value)} is not a constraint; write it as "<= 2000", ">= baseline" or "within 1% of baseline"'
        )

    @property
    def needs_baseline(self) -> bool:
        return self.bound is None

    def holds(self, value: float, baseline: float | None = None) -> bool:
        """Whether `value` satisfies it. `baseline` is needed where `needs_baseline`; without it nothing holds."""
        bound = baseline if self.bound is None else self.bound
        if bound is None:
            return False
        match self.operator:
            case "<=":
                return value <= bound
            case "<":
                return value < bound
            case ">=":
                return value >= bound
            case ">":
                return value > bound
            case "==":
                return value == bound
            case "within":
                return abs(value - bound) <= self.tolerance * (abs(bound) if self.relative else 1.0)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Tolerance:
    """How far a secondary metric may move from the baseline's, as shares of it; None: as far as it likes."""

    text: str
    more: float | None = None
    less: float | None = None

    @classmethod
    def parse(cls, value: Any) -> "Tolerance":
        """From `within 5%`, `at most 5% more`, `at most 5% less`."""
        if isinstance(value, cls):
            return value
        text = value.strip() if isinstance(value, str) else ""
        if match := _TOLERANCE.fullmatch(text):
            share = float(match[1] or match[2]) / 100
            word = match[3]
            return cls(text, None if word == "less" else share, None if word == "more" else share)
        raise ValueError(
            f'{quoted(value)} is not a tolerance; write it as "within 5%", "at most 5% more" or "at most 5% less"'
        )

    def __str__(self) -> str:
        return self.text


class Secret(SecretStr):
    """A key. Dumps and messages show the variable that it comes from, or stars, never the key.

    Attributes:
        variable: the environment variable that the workflow names, if it names one.
        unset: that variable has no value; the secret's value is then the text as written, such as `$NAME`.
    """

    def __init__(self, text: str):
        match = _VARIABLE.fullmatch(text)
        self.variable = match and (match[1] or match[2])
        found = os.environ.get(self.variable, "") if self.variable else text
        self.unset = not found
        super().__init__(found or text)

    def __str__(self) -> str:
        return f"${self.variable}" if self.variable else super().__str__()


class Expanded(str):
    """Text whose `$VAR` were replaced. Dumps and `repr` show it as written, because the value may be a secret."""

    written: str

    @classmethod
    def parse(cls, value: Any) -> "Expanded":
        if isinstance(value, cls):
            return value
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"{quoted(value)} is not a value for an environment variable; write text in quotes")
        result = cls(_expand(str(value)))
        result.written = str(value)
        return result

    def __repr__(self) -> str:
        return repr(self.written)


def editable_matcher(globs: Iterable[str], never: Iterable[str] = ()) -> Callable[[str], bool]:
    """Which paths the globs name, with the rules of `.gitignore`: `src/`, `*.py`, `/only_at_top.c`, `!not_this`.

    Args:
        globs: patterns; a later one wins over an earlier one.
        never: paths (not patterns) that are out whatever the globs say, with everything below them.

    Returns:
        a test for a path with `/` between its parts, relative to the source folder.
    """
    spec = pathspec.GitIgnoreSpec.from_lines(_glob(glob) for glob in globs)
    barred = tuple(str(PurePosixPath(path)) for path in never)

    def matches(path: str) -> bool:
        inside = any(path == bar or path.startswith(bar + "/") for bar in barred)
        return not inside and spec.match_file(path)

    return matches


def _glob(value: str) -> str:
    text = value.strip()
    sign, rest = ("!", text[1:]) if text.startswith("!") else ("", text)
    return sign + (rest[2:] if rest.startswith("./") else rest)


def _checked_glob(value: str) -> str:
    text = _glob(value)
    if not text or text.startswith("#"):
        raise ValueError(f"{quoted(value)} matches no file")
    if text.startswith("~") or ".." in PurePosixPath(text.removeprefix("!")).parts:
        raise ValueError(f"{quoted(value)} leaves the source folder; name files relative to it")
    try:
        pathspec.GitIgnoreSpec.from_lines([text])
    except ValueError:
        raise ValueError(f"{quoted(value)} is not a pattern that .gitignore would understand") from None
    return text


def check_inner_path(value: str) -> str:
    path = PurePosixPath(value)
    if not value.strip() or path.is_absolute() or value.startswith("~") or ".." in path.parts or path == path.parent:
        raise ValueError(f"{quoted(value)} is not a path inside the source folder")
    return str(path)


def _expand(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$"
        if name not in os.environ:
            raise ValueError(f"`${name}` is not set in the environment")
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def _path(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{quoted(value)} is not a path")
    if "\0" in value:
        raise ValueError("a path cannot hold a NUL character")
    return Path(os.path.expanduser(_expand(value)))


def _pattern(value: Any) -> re.Pattern[str]:
    if isinstance(value, re.Pattern):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"{quoted(value)} is not a regular expression")
    if "\b" in value:
        raise ValueError(r"it holds a backspace character; in double quotes write \\b, or use single quotes")
    try:
        return re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{quoted(value)} is not a regular expression: {error}") from None


def _one_group(pattern: re.Pattern[str]) -> re.Pattern[str]:
    if pattern.groups != 1:
        raise ValueError(f"{quoted(pattern.pattern)} needs exactly one group, around the number")
    return pattern


def _factor(value: Any) -> float | str:
    if value in ("auto", "off"):
        return str(value)
    text = value.strip().removesuffix("x") if isinstance(value, str) else value
    try:
        number = float(text) if not isinstance(text, bool) else 0.0
    except (TypeError, ValueError):
        number = 0.0
    if not 1 < number < float("inf"):
        raise ValueError(f"{quoted(value)} is not a factor above 1, such as 3x; or write auto or off")
    return number


def _nonblank(value: str) -> str:
    if not value.strip():
        raise ValueError("it is empty")
    if "\0" in value:
        raise ValueError("it holds a NUL character")
    return value


def _metric(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w./%@-]*", value):
        raise ValueError(f"{quoted(value)} is not a metric's name; use letters, digits and `_ . / % @ -`")
    return value


def _variable_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII):
        raise ValueError(f"{quoted(value)} is not a name of an environment variable")
    return value


def _identifier(value: str) -> str:
    if not value.isidentifier():
        raise ValueError(f"{quoted(value)} is not a name as programs have them, such as SEED")
    return unicodedata.normalize("NFKC", value)


def _module(value: str) -> str:
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError(f"{quoted(value)} is not a module's name, such as os or os.path")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{quoted(value)} is not a number")
    return value


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must name an environment variable, such as $OPENAI_API_KEY")
    return Secret(value.strip())


Text = Annotated[str, AfterValidator(_nonblank)]
Factor = Annotated[float | Literal["auto", "off"], BeforeValidator(_factor)]
MetricName = Annotated[str, AfterValidator(_metric)]
VariableName = Annotated[str, AfterValidator(_variable_name)]
Identifier = Annotated[str, AfterValidator(_identifier)]
ModuleName = Annotated[str, AfterValidator(_module)]
Glob = Annotated[str, AfterValidator(_checked_glob)]
InnerPath = Annotated[str, AfterValidator(check_inner_path)]
AnyPath = Annotated[Path, BeforeValidator(_path)]
Number = Annotated[int | float, BeforeValidator(_number)]
Pattern = Annotated[
    re.Pattern[str], BeforeValidator(_pattern), PlainSerializer(lambda pattern: pattern.pattern, return_type=str)
]
MetricPattern = Annotated[Pattern, AfterValidator(_one_group)]
EnvValue = Annotated[
    Expanded, PlainValidator(Expanded.parse), PlainSerializer(lambda text: text.written, return_type=str)
]
ApiKey = Annotated[Secret, BeforeValidator(_secret), PlainSerializer(str, return_type=str)]
Effect = Annotated[MinEffect, BeforeValidator(MinEffect.parse), PlainSerializer(str, return_type=str)]
Allowance = Annotated[Tolerance, BeforeValidator(Tolerance.parse), PlainSerializer(str, return_type=str)]
Bound = Annotated[Constraint, BeforeValidator(Constraint.parse), PlainSerializer(str, return_type=str)]
