"""The roles of a round beside the worker: who profiles, plans, reviews and reflects, and what each may spend."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from loopsmith.workflow.agent import AnthropicAgent, OpenAIAgent, Section
from loopsmith.workflow.units import Duration, Shown, format_share, parse_share
from loopsmith.workflow.values import InnerPath, Text

RECIPES = ("auto", "cprofile", "py-spy", "perf", "torch", "ncu")
Share = Annotated[float, BeforeValidator(parse_share), Field(ge=0, le=1), Shown(format_share)]


def _kind(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", "")
    return "openai" if kind == "openai" else "anthropic"


RoleModel = Annotated[
    Annotated[AnthropicAgent, Tag("anthropic")] | Annotated[OpenAIAgent, Tag("openai")], Discriminator(_kind)
]


class Role(Section):
    """A role that a model plays, or a command."""

    enabled: bool | None = Field(
        default=None, description="on or off; none: on where a model works and a round has several workers"
    )
    command: Text | None = Field(
        default=None, description="a shell command instead of a model: a request as JSON in, its answer as JSON out"
    )
    model: RoleModel | None = Field(default=None, description="another model than the agent's, written as an agent")
    share: Share = Field(default=0.2, description="of budget.cost_usd and budget.tokens, at most; then it is silent")

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {"enabled": value}
        if isinstance(value, str):
            if value not in ("on", "off", "auto"):
                raise ValueError("it is on, off, auto, or a map with the keys command, model, share")
            return {} if value == "auto" else {"enabled": value == "on"}
        return {"enabled": True, **value} if isinstance(value, dict) and value else value

    @field_validator("model", mode="before")
    @classmethod
    def _of_a_provider(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("kind") not in ("openai", "anthropic"):
            raise ValueError("its kind is openai or anthropic, and its other keys are those of such an agent")
        return value

    @model_validator(mode="after")
    def _one_mind(self) -> "Role":
        if self.command is not None and self.model is not None:
            raise ValueError("give either a command or a model")
        return self


class Reviewer(Role):
    """Reads each patch before it costs a measurement."""

    enabled: bool | None = Field(default=False, description="on or off")
    measure: Share = Field(
        default=0.2, description="of the patches it rejects, measured all the same, so that false alarms are known"
    )


class Profile(Section):
    """Where each new baseline spends its time, for the briefs."""

    recipe: Literal[RECIPES] | None = Field(  # type: ignore[valid-type]
        default=None, description="a profiler that loopsmith knows; auto: cprofile for Python, perf for the rest"
    )
    run: Text | None = Field(default=None, description="what the recipe profiles; none: verify.command")
    command: Text | None = Field(default=None, description="a shell command of your own instead of a recipe")
    file: InnerPath | None = Field(default=None, description="what that command writes, instead of what it prints")
    tokens: int = Field(default=800, ge=50, description="length in a brief, in tokens (about 4 characters)")
    timeout: Duration | None = Field(default=None, description="none: five times verify.timeout")

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {"recipe": "auto"} if value else {}
        if isinstance(value, str):
            if value not in ("on", "off", *RECIPES):
                raise ValueError(f"it is on, off, one of {', '.join(RECIPES[1:])}, or a map with the key command")
            return {} if value == "off" else {"recipe": "auto" if value == "on" else value}
        return value

    @model_validator(mode="after")
    def _one_way(self) -> "Profile":
        if self.command is not None and (self.recipe is not None or self.run is not None):
            raise ValueError("give either a recipe (with run) or a command (with file)")
        if self.run is not None and self.recipe is None:
            raise ValueError("run is what a recipe profiles; give the recipe too")
        if self.file is not None and self.command is None:
            raise ValueError("file is what a command writes; give the command too")
        return self


class Roles(Section):
    """Who helps the workers of a round: each is off, on, or a command."""

    profile: Profile = Field(default=Profile(), description="where the baseline spends its time")
    planner: Role = Field(default=Role(), description="gives each worker of a round a hypothesis of its own")
    reviewer: Reviewer = Field(default=Reviewer(), description="reads each patch before it is measured")
    reflector: Role = Field(default=Role(), description="turns each round's results into lessons")
