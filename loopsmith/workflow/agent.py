"""Which agent works, and its settings: one model for each kind."""

import difflib
import re
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from loopsmith.workflow.acp import AcpAgent
from loopsmith.workflow.coding import CliAgent
from loopsmith.workflow.section import Price as Price
from loopsmith.workflow.section import Section as Section
from loopsmith.workflow.section import Weight, free, weight
from loopsmith.workflow.units import Count, Duration, quoted
from loopsmith.workflow.values import ApiKey, Many, Number, Secret, Text

BUILT_IN_KINDS = ("tuner", "scripted", "anthropic", "openai", "cli", "acp", "ensemble")


class Range(Section):
    """Where the tuner may look for a constant's value."""

    low: Number = Field(description="smallest value")
    high: Number = Field(description="largest value")
    log: bool = Field(default=False, description="search orders of magnitude instead of differences")
    step: Number | None = Field(default=None, description="only low, low + step, low + 2 step, ...")

    @model_validator(mode="after")
    def _possible(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, not {self.low}")
        if self.step is not None and (self.step <= 0 or self.log):
            raise ValueError("step must be above 0 and cannot be combined with log")
        return self


def _choice(value: Any) -> Any:
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError("a choice is a number, a text, true or false")
    return value


def _shape(value: Any) -> str:
    return "choices" if isinstance(value, (list, tuple)) else "range"


Choice = Annotated[bool | int | float | str, BeforeValidator(_choice)]
Choices = Annotated[tuple[Choice, ...], Field(strict=False, min_length=1)]
Constant = Annotated[Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_shape)]


class TunerAgent(Section):
    """Searches numeric constants of the editable files; needs no model and no key."""

    kind: Literal["tuner"] = "tuner"
    constants: dict[str, Constant] = Field(
        default={}, description="the constants to search, each with {low, high} or a list of choices; none: found"
    )
    weight: Weight = weight()


class ScriptedAgent(Section):
    """Candidate number n gets patch or command number n; for tests, demos and replays."""

    kind: Literal["scripted"]
    patches: Many[Text] = Field(default=(), description="unified diffs: each a file's path or the text itself")
    commands: Many[Text] = Field(default=(), description="shell commands, run in the worker's folder")
    weight: Weight = weight()

    @model_validator(mode="after")
    def _one_list(self) -> "ScriptedAgent":
        if bool(self.patches) == bool(self.commands):
            raise ValueError("a scripted agent needs either patches or commands")
        return self


class ModelAgent(Section):
    """A tool loop over a provider's SDK, or one call that answers with edits."""

    kind: str
    name: Text | None = Field(default=None, description="as it is shown and stored; none: kind/model")
    model: Text = Field(description="the model's name, as the provider writes it")
    base_url: str | None = Field(default=None, description="another endpoint than the provider's own")
    api_key: ApiKey = Field(description="where the key is, such as $NAME")
    max_tokens: int = Field(default=8192, ge=1, description="output tokens of one call")
    temperature: float | None = Field(default=None, ge=0, le=2, description="none: the provider's default")
    price: Price | None = Field(
        default=None, description="dollars per million tokens {input, cached, output}, or 0; none: looked up"
    )
    timeout: Duration = Field(default=600.0, description="of one call")
    mode: Literal["tools", "patch"] = Field(
        default="tools", description="tools: a loop with tools; patch: one call that answers with edits, one repair"
    )
    weight: Weight = weight()
    context_tokens: Count | None = Field(
        default=None, description="the model's context; none: looked up; near it, old tool output is dropped"
    )
    idle_turns: int = Field(
        default=10, ge=2, description="turns without an edit after which a worker is told, and as many again stopped"
    )

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/]+\S*", value):
            raise ValueError(f"{quoted(value)} is not a URL; it starts with http:// or https://")
        return value

    @field_validator("price", mode="before")
    @classmethod
    def _free(cls, value: Any) -> Any:
        return free(value)


class AnthropicAgent(ModelAgent):
    """Claude models through the anthropic SDK."""

    kind: Literal["anthropic"]
    thinking: Literal["off", "adaptive"] | int | None = Field(
        default=None,
        description="extended thinking: off, adaptive, or tokens (1024 or more, below max_tokens); none: the model's",
    )
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        default=None, description="how much the model works on an answer; none: the provider's default"
    )
    api_key: ApiKey = Field(
        default_factory=lambda: Secret("$ANTHROPIC_API_KEY"), description="where the key is, such as $NAME"
    )

    @field_validator("thinking", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value is False:
            return "off"  # as YAML reads a bare `off`
        number = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not number and value not in ("off", "adaptive"):
            raise ValueError(f"{quoted(value)} is neither off, adaptive nor a number of tokens")
        return value

    @model_validator(mode="after")
    def _room_to_think(self) -> "AnthropicAgent":
        if isinstance(self.thinking, int) and not 1024 <= self.thinking < self.max_tokens:
            raise ValueError(f"thinking must be 1024 or more and below max_tokens ({self.max_tokens})")
        if self.thinking not in (None, "off") and self.temperature is not None:
            raise ValueError("a model that thinks takes no temperature; remove one of them")
        return self


class OpenAIAgent(ModelAgent):
    """Any model behind an OpenAI-compatible endpoint, through the openai SDK."""

    kind: Literal["openai"]
    api: Literal["chat", "responses"] = Field(
        default="chat", description="chat: Chat Completions, which any compatible server speaks; responses: Responses"
    )
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = Field(
        default=None, description="how much a model reasons before it answers; none: the provider's default"
    )
    api_key: ApiKey = Field(
        default_factory=lambda: Secret("$OPENAI_API_KEY"), description="where the key is, such as $NAME"
    )


class OtherAgent(Section):
    """An agent that a third party registers under the entry point group `loopsmith.agents`."""

    kind: Text
    options: dict[str, Any] = Field(default={}, description="passed to the agent as they are")
    weight: Weight = weight()

    @model_validator(mode="before")
    @classmethod
    def _installed(cls, value: Any) -> Any:
        kind = value.get("kind") if isinstance(value, dict) else None
        if isinstance(kind, str):
            require_registered(kind, "loopsmith.agents", BUILT_IN_KINDS, at="kind")
        return value


def require_registered(name: str, group: str, built_in: Iterable[str], *, at: str = "") -> None:
    """Raise unless `name` is built in or registered under an entry point group.

    Args:
        at: the key below the model being validated that the problem belongs to.
    """
    if name in built_in:
        return
    known = sorted({*built_in, *(point.name for point in entry_points(group=group))})
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
        raise PydanticCustomError(
            "not_registered", "{name} is not installed; {hint}", {"name": quoted(name), "hint": hint, "at": at}
        )


def _kind(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "ensemble"
    default = "ensemble" if isinstance(value, dict) and "agents" in value else "tuner"
    kind = value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", "tuner")
    return kind if kind in BUILT_IN_KINDS else "other"


SingleAgent = TunerAgent | ScriptedAgent | AnthropicAgent | OpenAIAgent | CliAgent | AcpAgent | OtherAgent
_Single = (
    Annotated[TunerAgent, Tag("tuner")]
    | Annotated[ScriptedAgent, Tag("scripted")]
    | Annotated[AnthropicAgent, Tag("anthropic")]
    | Annotated[OpenAIAgent, Tag("openai")]
    | Annotated[CliAgent, Tag("cli")]
    | Annotated[AcpAgent, Tag("acp")]
    | Annotated[OtherAgent, Tag("other")]
)
SingleField = Annotated[_Single, Discriminator(_kind)]


class EnsembleAgent(Section):
    """Several agents in one campaign; each candidate is one agent's. A list of agents is this with `weight`s."""

    kind: Literal["ensemble"] = "ensemble"
    choose: Literal["weight", "bandit"] = Field(
        default="weight", description="weight: each its share; bandit: by kept candidates per dollar so far"
    )
    agents: Many[SingleField] = Field(min_length=1, description="the agents")

    @model_validator(mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        value = {"agents": value} if isinstance(value, (list, tuple)) else value
        listed = value.get("agents") if isinstance(value, dict) else None
        if isinstance(listed, (list, tuple)) and any(_kind(item) == "ensemble" for item in listed):
            raise ValueError("one of its agents is a list of agents itself; write all agents into one list")
        return value


AgentSettings = SingleAgent | EnsembleAgent
AgentField = Annotated[_Single | Annotated[EnsembleAgent, Tag("ensemble")], Discriminator(_kind)]
