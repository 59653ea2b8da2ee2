"""A workflow file becomes a validated `Workflow`, or every reason why it cannot."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loopsmith.errors import WorkflowError
from loopsmith.workflow.evaluators import METRICS
from loopsmith.workflow.front import Data, Problem
from loopsmith.workflow.problems import sentences
from loopsmith.workflow.render import template_problems
from loopsmith.workflow.schema import Settings
from loopsmith.workflow.symphony import first_attempt, translate
from loopsmith.workflow.units import format_size
from loopsmith.workflow.values import editable_matcher

DEFAULT_FILES = ("WORKFLOW.md", "program.md")
STATE_FOLDER = ".loopsmith"
_LARGEST = 10**6
_MISSING = (
    "; it says what is measured (objective.metric, objective.direction, verify.command) and what may be changed "
    "(workspace.editable). `loopsmith adopt {file}` drafts it from the text"
)


@dataclass(frozen=True)
class Workflow:
    """A parsed workflow file with the overrides of this run.

    Attributes:
        path: absolute.
        text: the whole file.
        body: the prompt's template, after the front matter.
        body_line: the line of the file in which the body starts, from 1.
        overrides: as given, such as `budget.rounds=5`.
        notices: what of the file is ignored, one line each.
    """

    path: Path
    text: str
    body: str
    body_line: int
    settings: Settings
    overrides: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def source(self) -> Path:
        """The source folder, absolute."""
        return Path(os.path.abspath(self.folder / self.settings.workspace.source))

    @property
    def state(self) -> Path:
        """The folder that loopsmith keeps its state in, absolute."""
        root = self.settings.workspace.root
        return self.source / STATE_FOLDER if root is None else Path(os.path.abspath(self.folder / root))

    def links(self, *, holdout: bool = False) -> tuple[str, ...]:
        """The linked inputs, relative to the source; those of the holdout command only for it."""
        hidden = self.settings.verify.holdout
        return (*self.settings.workspace.link, *(hidden.link if holdout and hidden else ()))

    @property
    def digest(self) -> str:
        """Changes with the file and the overrides."""
        return _sha256([self.text, *self.overrides])

    @property
    def identity(self) -> str:
        """Changes only with what makes results incomparable: objective, verifier, editable and linked files."""
        settings = self.settings.model_dump(
            mode="json", include={"objective", "verify"}, exclude={"verify": {*METRICS, "program"}}
        )  # what is left out stands in verify.command
        workspace = self.settings.workspace
        return _sha256([settings, workspace.editable, workspace.link])

    @cached_property
    def editable(self) -> Callable[[str], bool]:
        """Whether a candidate may change a path of the source. Never the workflow itself, nor loopsmith's state."""
        never = [STATE_FOLDER, ".git"]
        for path in (self.path, self.state):
            if path.is_relative_to(self.source):
                never.append(path.relative_to(self.source).as_posix())
        return editable_matcher(self.settings.workspace.editable, never)


def find(path: Path | None = None) -> Path:
    """The workflow file: `path`, or the default file in that folder or the present one.

    Raises:
        WorkflowError: there is no such file.
    """
    try:
        return _find(path)
    except OSError as error:
        raise WorkflowError(f"{path}: it cannot be read: {_plain(error)}") from None


def _find(path: Path | None) -> Path:
    if path and not path.is_dir():
        if not path.exists():
            raise WorkflowError(f"{path}: there is no such file")
        if not path.is_file():
            raise WorkflowError(f"{path}: this is not a regular file")
        return path
    for name in DEFAULT_FILES:
        if (file := (path or Path()) / name).is_file():
            return file
    where = f"{path}: this folder" if path else "the present folder"
    names = " nor ".join(DEFAULT_FILES)
    raise WorkflowError(f"{where} holds neither {names}; name the workflow's file, or write one with `loopsmith init`")


def load(path: Path | None = None, overrides: Sequence[str] = ()) -> Workflow:
    """Read and validate a workflow.

    Args:
        path: the file, as `find` takes it.
        overrides: `a.b=value` texts, each value YAML; they win over the file.

    Raises:
        WorkflowError: with every problem, each with its line or its override.
    """
    file = find(path)
    text = read_text(file)
    front, body, body_line, problem = _split(text, file)
    if problem:
        raise WorkflowError(problem.show(str(file)))
    data = Data()
    data.read(front, first_line=2)
    readable = not data.problems  # else a key may look missing only because it could not be read
    ignored = translate(data)
    data.override(overrides)
    ignored += translate(data)
    if ignored:
        ignored += [Problem.at(body_line + line, message) for line, message in first_attempt(body)]
    notices = tuple(problem.show(str(file)) for problem in ignored)
    problems = data.problems
    problems += [Problem.at(body_line + line, message) for line, message in template_problems(body)]
    absolute = Path(os.path.abspath(file))
    settings = None
    try:
        settings = Settings.model_validate({"name": absolute.parent.name or "campaign", **data.values})
        if "name" not in data.values:
            settings.model_fields_set.discard("name")  # the folder's name is the default
    except ValidationError as error:
        found = [(key, message) for key, message in sentences(error, missing=readable) if not data.is_broken(key)]
        problems += [Problem.at(data.origin(key), message) for key, message in found]
    if settings:
        workflow = Workflow(absolute, text, body, body_line, settings, tuple(overrides), notices)
        problems += [Problem.at(data.origin(key), message) for key, message in missing(workflow)]
        if not problems:
            return workflow
    shown = dict.fromkeys(problem.show(str(file)) for problem in sorted(problems, key=_order))
    raise WorkflowError(*shown, notices=notices)


def from_values(values: Mapping[str, Any], *, path: Path, text: str, body: str) -> Workflow:
    """The workflow of settings that a program gives.

    Args:
        path: absolute; where a file with this `text` stands, or could.

    Raises:
        WorkflowError: with every problem.
    """
    problems = [message for _, message in template_problems(body)]
    try:
        workflow = Workflow(path, text, body, 1, Settings.model_validate(dict(values)))
        problems += [message for _, message in missing(workflow)]
        if not problems:
            return workflow
    except ValidationError as error:
        problems += [message for _, message in sentences(error)]
    raise WorkflowError(*dict.fromkeys(problems))


def missing(workflow: Workflow) -> Iterator[tuple[tuple[str, str], str]]:
    """What the settings name and is not there, each as (key, sentence)."""
    source, evaluator = workflow.source, workflow.settings.verify.evaluator
    if not source.is_dir():
        yield ("workspace", "source"), f"`workspace.source`: there is no folder `{source}`"
    elif evaluator and not (source / evaluator[1]).is_file():
        yield ("verify", evaluator[0]), f"`verify.{evaluator[0]}`: there is no file `{source / evaluator[1]}`"


def read_text(file: Path) -> str:
    """The text of a workflow's file, its lines ended by newlines alone.

    Raises:
        WorkflowError: it cannot be read, is too large or is not UTF-8.
    """
    try:
        if (size := file.stat().st_size) > _LARGEST:
            raise WorkflowError(f"{file}: {format_size(size)} is too large for a workflow; is this the right file?")
        content = file.read_bytes()
    except OSError as error:
        raise WorkflowError(f"{file}: it cannot be read: {_plain(error)}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        wrong = content[error.start]
        raise WorkflowError(f"{file}:{line}: the byte {wrong:#04x} is not UTF-8; save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _split(text: str, file: Path) -> tuple[str, str, int, Problem | None]:
    """Front matter, body, the body's first line, and what is wrong with the fences."""
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        message = "the file must start with front matter: a line `---`, then `key: value` lines, then a line `---`"
        return "", "", 1, Problem.at(1, message + (_MISSING.format(file=file) if text.strip() else ""))
    end = next((index for index, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)
    if end is None:
        return "", "", 1, Problem.at(1, "the front matter that starts here is not closed by a line `---`")
    return "\n".join(lines[1:end]), "\n".join(lines[end + 1 :]), end + 2, None


def _plain(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _order(problem: Problem) -> tuple[bool, int]:
    return bool(problem.source), problem.line


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
