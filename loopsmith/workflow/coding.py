"""Settings of `agent.kind: cli`: a coding agent that runs as a program of its own.

How a program is run and how its stream is read is data (`Entry`): a preset, or what the workflow says.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from loopsmith.workflow.section import Price, Section, Weight, free, weight
from loopsmith.workflow.units import Duration, Money
from loopsmith.workflow.values import AnyPath, InnerPath, Many, Pattern, Text, VariableName

Meaning = Literal["completed", "failed", "refused", "rate_limited", "not_logged_in", "needs_person"]


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _scalar(value: Any) -> Any:
    if value is not None and not isinstance(value, (bool, int, str)):
        raise ValueError("an event's field is compared with a text, a whole number, true or false")
    return value


Paths = Annotated[Many[Text], BeforeValidator(_list)]
"""Where values stand in an event, such as `part.tokens.input`; `*` is every one. Several are summed."""
Scalar = Annotated[bool | int | str, BeforeValidator(_scalar)]


class Rule(Section):
    """What one kind of event means. Every rule that fits an event is used; of several meanings the first."""

    when: dict[Text, Scalar] = Field(default={}, description="fields and their values, all of which must fit")
    matches: dict[Text, Pattern] = Field(default={}, description="fields, and what is found in their text")
    means: Meaning | None = Field(default=None, description="what it says about the run; the last such event counts")
    message: Text | None = Field(default=None, description="where the reason stands")
    retry_after: Text | None = Field(default=None, description="where the seconds until a rate limit ends stand")
    text: Text | None = Field(default=None, description="where the agent's words stand; the last ones are its summary")
    turn: bool = Field(default=False, description="whether it is an answer of the model, for the limit of turns")
    id: Text | None = Field(default=None, description="where an id stands: events of the same one count once")
    input: Paths = Field(default=(), description="input tokens, cached ones too")
    cached: Paths = Field(default=(), description="of them, read from the provider's cache")
    written: Paths = Field(default=(), description="of them, written to it")
    output: Paths = Field(default=(), description="output tokens")
    cost: Paths = Field(default=(), description="US dollars")
    model: Text | None = Field(default=None, description="where the model's name stands; none: agent.model")
    total: bool = Field(default=False, description="the amounts are those of the whole run so far, not of one call")


class Stream(Section):
    """How a program's output is read. Nothing is taken from what is not an event."""

    format: Literal["jsonl", "none"] = Field(default="jsonl", description="none: only its files are read")
    events: Many[Rule] = Field(default=(), description="what events on the standard output mean")
    files: dict[InnerPath, Many[Rule]] = Field(
        default={}, description="JSON lines that it writes below its own home folder: pattern of files, and rules"
    )

    def rules(self) -> Iterator[Rule]:
        yield from self.events
        for rules in self.files.values():
            yield from rules


class Tools(Section):
    """How a program is told of the server with loopsmith's tools, `loopsmith mcp`.

    Beside the words of `Entry` there are, as JSON: `{mcp_command}` (the program), `{mcp_args}` (its arguments),
    `{mcp_line}` (both), `{mcp_env}` (its environment) and `{mcp_token}` (what stands there as LOOPSMITH_MCP_TOKEN).
    """

    argv: Many[Text] = Field(default=(), description="what is added to the command line")
    set: dict[VariableName, str] = Field(default={}, description="environment variables")
    files: dict[InnerPath, str] = Field(default={}, description="files made in its home folder")


class Entry(Section):
    """How a program is run.

    In `argv`, `model_argv` and `env` stand `{prompt}`, `{prompt_file}`, `{model}`, `{folder}` (the worker's) and
    `{home}` (the program's own, of this run alone). A prompt that stands in none of them is read from standard input.
    """

    argv: Many[Text] = Field(min_length=1, description="the command line")
    model_argv: Many[Text] = Field(default=(), description="what is added to it where agent.model is set")
    confined: Many[Text] = Field(default=(), description="what is added where loopsmith confines the program")
    unconfined: Many[Text] = Field(default=(), description="what is added where it cannot: the program's own sandbox")
    set: dict[VariableName, str] = Field(default={}, description="environment variables")
    keys: Many[VariableName] = Field(default=(), description="environment variables passed on: keys")
    login: Many[InnerPath] = Field(default=(), description="files below the user's home that hold a login: copied")
    files: dict[InnerPath, str] = Field(default={}, description="files made in its home folder where none was copied")
    provider: Text | None = Field(default=None, description="whose list price holds for its models")
    tools: Tools | None = Field(default=None, description="how it is told of loopsmith's tools; none: it cannot be")
    usage: Stream = Field(description="how its output is read")
    exits: dict[str, Meaning] = Field(default={}, description="what exit codes mean")
    install: Text | None = Field(default=None, description="how to install it")
    log_in: Text | None = Field(default=None, description="how to log in; none: it works without")


class CliAgent(Section):
    """A coding agent as a program: a preset, or any other by its command line."""

    kind: Literal["cli"]
    program: Text | None = Field(
        default=None,
        description="claude, codex, gemini, opencode, copilot, amp, aider, qwen-code or pi; none: as argv says",
    )
    argv: Many[Text] = Field(
        default=(), description="the command line, in place of the preset's; {prompt}, {prompt_file}, {model}, {home}"
    )
    args: Many[Text] = Field(default=(), description="added to the command line")
    model: Text | None = Field(default=None, description="the model, as the program writes it; none: its default")
    env: Many[VariableName] = Field(default=(), description="environment variables passed on, keys above all")
    login: Many[InnerPath] | None = Field(
        default=None, description="files below your home that are copied to the program's own; none: the preset's"
    )
    files: dict[InnerPath, AnyPath] = Field(
        default={}, description="files for the program's own home folder: path below it, and which file is copied there"
    )
    usage: Stream | None = Field(default=None, description="how its output is read; none: as the preset says")
    exits: dict[str, Meaning] = Field(default={}, description="what exit codes mean, beside those of the preset")
    price: Price | None = Field(
        default=None,
        description="dollars per million tokens {input, cached, output}, or 0; none: as it says, or listed",
    )
    cost_per_run: Money | None = Field(
        default=None, description="dollars that one run counts, in place of any other price"
    )
    silence: Duration = Field(default=600.0, description="time without any output after which it is ended")
    weight: Weight = weight()

    @field_validator("price", mode="before")
    @classmethod
    def _free(cls, value: Any) -> Any:
        return free(value)

    @model_validator(mode="after")
    def _known(self) -> "CliAgent":
        if self.program is None and not self.argv:
            raise ValueError("name a program (such as `program: codex`), or give its command line as argv")
        if self.program is None and self.usage is None:
            raise ValueError("argv without a program needs usage, which says how the program's output is read")
        return self
