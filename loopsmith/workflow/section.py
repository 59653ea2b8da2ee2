"""What every part of the settings has in common, and the parts that several agents share."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from loopsmith.workflow.units import Money
from loopsmith.workflow.values import Number


class Section(BaseModel):
    """A part of the settings: strict, frozen, no unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("must be above 0")
    return value


Weight = Annotated[Number, AfterValidator(above_zero)]


def weight() -> Any:
    return Field(default=1, description="its share of the candidates among several agents")


class Price(Section):
    """What a model costs, in US dollars per million tokens."""

    input: Money = Field(description="input tokens")
    cached: Money | None = Field(
        default=None, description="input tokens read from the provider's cache; none: as input"
    )
    written: Money | None = Field(
        default=None,
        description="input tokens written to the cache; none: 1.25 times input for anthropic, else as input",
    )
    output: Money = Field(description="output tokens")


def free(value: object) -> object:
    """A price as it is written: `0` is short for a model that costs nothing."""
    nothing = isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0
    return {"input": 0, "output": 0} if nothing else value
