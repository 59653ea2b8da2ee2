"""What every part of the settings is, and what several agents share."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
