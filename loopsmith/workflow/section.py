"""What every part of the settings has in common, and the parts that several agents share."""

from pydantic import BaseModel, ConfigDict, Field

from loopsmith.workflow.units import Money


class Section(BaseModel):
    """A part of the settings: strict, frozen, no unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Price(Section):
    """What a model costs, in US dollars per million tokens."""

    input: Money = Field(description="input tokens")
    cached: Money | None = Field(
        default=None, description="input tokens read from the provider's cache; none: as input"
    )
    output: Money = Field(description="output tokens")


def free(value: object) -> object:
    """A price as it is written: `0` is short for a model that costs nothing."""
    nothing = isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0
    return {"input": 0, "output": 0} if nothing else value
