"""The workflows that come with loopsmith, ready to copy, and how one is fitted to somebody's own program.

A template is a folder with a `WORKFLOW.md` that runs as it stands, on an example. Its README says in a paragraph that
begins with `Use it when` what it is for. With a `template.yaml` it can be fitted: the answers to its questions take the
place of values in the front matter, and lines that end with `# example` are left out.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

import loopsmith
from loopsmith.errors import UsageError
from loopsmith.workflow.section import Section
from loopsmith.workflow.values import Many, Text, editable_matcher

SETTINGS = "template.yaml"
EXAMPLE = re.compile(r"\s# example$")
_PLAIN = re.compile(r"[A-Za-z_/][\w./*+-]*")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


class Question(Section):
    """Something that a template cannot know. The flag is its name, with dashes."""

    name: Text = Field(description="of the answer")
    ask: Text = Field(description="the question, and the flag's help")
    key: Many[Text] = Field(default=(), description="dotted keys of the front matter that take the answer")
    file: Text | None = Field(default=None, description="a file that takes the answer")
    many: bool = Field(default=False, description="the answer is a list")
    values: dict[str, Any] = Field(default={}, description="what each answer is written as; others are refused")
    form: str | Many[Text] = Field(default="", description="what is written, with {} for the answer; none: the answer")
    default: str | None = Field(default=None, description="the answer where nobody says otherwise")
    guess: Text | None = Field(default=None, description="how the answer is looked for in the folder")

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def words(self) -> str:
        """The question, with the answers that there are."""
        return self.ask + (f" ({', '.join(self.values)})" if self.values else "")

    def value(self, answer: str | tuple[str, ...]) -> Any:
        """The answer as it is written.

        Raises:
            UsageError: it is none of `values`.
        """
        if self.form:
            words = " ".join(answer) if isinstance(answer, tuple) else answer
            filled = [form.replace("{}", words) for form in ([self.form] if isinstance(self.form, str) else self.form)]
            return filled[0] if isinstance(self.form, str) else filled
        if not self.values:
            return list(answer) if self.many else answer
        if answer not in self.values:
            raise UsageError(f"{self.flag} is one of {', '.join(self.values)}, not {answer}")
        return self.values[str(answer)]


class Recording(Section):
    """A command of the template that writes down what holds before anything is changed."""

    command: Text = Field(description="run once in a copy of the folder")
    makes: Many[Text] = Field(min_length=1, description="the files that it writes, taken over from the copy")


class TemplateSettings(Section):
    """`template.yaml`."""

    ask: Many[Question] = Field(min_length=1, description="the questions, in order")
    agent: Literal["any", "model", "given"] = Field(
        default="any", description="who can work: anybody, a model and not the tuner; given: it is among the questions"
    )
    example: Many[Text] = Field(default=(), description="files of the example, in patterns as .gitignore has them")
    record: Recording | None = Field(default=None, description="what is written down at the start")


@dataclass(frozen=True)
class Template:
    """A folder of a ready workflow."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def settings(self) -> TemplateSettings | None:
        """What can be fitted; None where the template is taken as it is.

        Raises:
            UsageError: its `template.yaml` is wrong.
        """
        path = self.folder / SETTINGS
        if not path.is_file():
            return None
        try:
            return TemplateSettings.model_validate(yaml.safe_load(path.read_text()))
        except (ValidationError, yaml.YAMLError) as error:
            raise UsageError(f"{path} is wrong: {error}") from None

    @cached_property
    def when(self) -> str:
        """When to use it, in one sentence."""
        readme = self.folder / "README.md"
        text = readme.read_text() if readme.is_file() else f"# {self.name}"
        title = re.search(r"(?m)^#+\s*(.+)$", text)
        found = re.search(r"(?mi)^\W*use (?:it|this)\b.*?\bwhen\W+(.+(?:\n\S.*)*)", text)
        words = " ".join((found[1] if found else title[1] if title else self.name).split())
        return re.split(r"[.;:] ", words.replace("`", "") + " ")[0].strip().rstrip(".")

    def files(self, *, example: bool) -> tuple[str, ...]:
        """What is copied, relative to its folder; the README only with the example."""
        of_example = editable_matcher([*(self.settings.example if self.settings else ()), "/README.md"])
        found = sorted(path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        plain = (path.as_posix() for path in found if not {".loopsmith", "__pycache__"} & set(path.parts))
        return tuple(path for path in plain if path != SETTINGS and (example or not of_example(path)))


def template_folder() -> Path:
    """Where the templates are: in a checkout `workflows/`, else in the installed package."""
    package = Path(loopsmith.__file__).parent
    checkout = package.parent / "workflows"
    return checkout if (package.parent / "pyproject.toml").is_file() and checkout.is_dir() else package / "templates"


def templates() -> dict[str, Template]:
    """All templates by name: the quickstart first."""
    folders = [path.parent for path in template_folder().glob("*/WORKFLOW.md")]
    ordered = sorted(folders, key=lambda path: (path.name != "quickstart", path.name))
    return {path.name: Template(path) for path in ordered}


def fit(text: str, values: Mapping[str, Any]) -> str:
    """A template's WORKFLOW.md with other values for some of its keys, comments and all else as they were.

    Args:
        values: by dotted key; each must be in the front matter already.

    Raises:
        KeyError: one is not.
    """
    _, front, body = text.split("---\n", 2)
    front = "".join(line for line in front.splitlines(keepends=True) if not EXAMPLE.search(line.rstrip("\n")))
    for key, value in values.items():
        node = yaml.compose(front, Loader=yaml.SafeLoader)
        for part in key.split("."):
            items = node.value if isinstance(node, yaml.MappingNode) else ()
            node = next((child for name, child in items if name.value == part), None)
        if node is None:
            raise KeyError(key)
        front = front[: node.start_mark.index] + written(value) + front[node.end_mark.index :]
    return f"---\n{front}---\n{body}"


def written(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(written, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value) if not value.isprintable() else "'" + value.replace("'", "''") + "'"
