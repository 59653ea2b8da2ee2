"""The section `observe`: other tools that are told of a campaign while it runs."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from loopsmith.workflow.agent import require_registered
from loopsmith.workflow.section import Section
from loopsmith.workflow.values import AnyPath, Text

GROUP = "loopsmith.observers"
BUILT_IN_OBSERVERS = ("mlflow", "wandb", "tensorboard", "otel")


class Mlflow(Section):
    """A run of MLflow for each campaign."""

    tracking_uri: Text | None = Field(
        default=None, description="none: $MLFLOW_TRACKING_URI, else the file mlflow.db in the state folder"
    )
    experiment: Text | None = Field(default=None, description="none: the campaign's name")


class Wandb(Section):
    """A run of Weights & Biases for each campaign."""

    project: Text | None = Field(default=None, description="none: $WANDB_PROJECT, else the campaign's name")
    entity: Text | None = Field(default=None, description="a user or a team; none: yours")
    mode: Literal["online", "offline"] | None = Field(default=None, description="none: $WANDB_MODE, else online")


class TensorBoard(Section):
    """Event files for TensorBoard."""

    folder: AnyPath | None = Field(
        default=None, description="one folder for each campaign in it; none: tensorboard in the state folder"
    )


class Otel(Section):
    """Traces of OpenTelemetry over OTLP/HTTP, with its conventions for models."""

    endpoint: Text | None = Field(
        default=None, description="a collector, such as http://localhost:4318; none: as the OTEL_ variables say"
    )


class Observe(Section):
    """Who watches: a name, a list of names, or a map of names to their settings."""

    mlflow: Mlflow | None = Field(default=None, description="a run of MLflow")
    wandb: Wandb | None = Field(default=None, description="a run of Weights & Biases")
    tensorboard: TensorBoard | None = Field(default=None, description="event files for TensorBoard")
    otel: Otel | None = Field(default=None, description="traces of OpenTelemetry")
    others: dict[str, dict[str, Any]] = Field(
        default={}, description="those of other makers by name, with options that are passed on as they are"
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, (list, tuple)):
            value = _merged(value)
        if not isinstance(value, dict):
            return value
        known: dict[str, Any] = {}
        others = dict(value.get("others") or {})
        for name, given in value.items():
            if name == "others" or given is False or given == "off":
                continue
            require_registered(name, GROUP, BUILT_IN_OBSERVERS, at=name)
            if given is None:
                raise PydanticCustomError("not_registered", "it has no value; write {} for its defaults", {"at": name})
            options = {} if given is True or given == "on" else given
            (known if name in BUILT_IN_OBSERVERS else others)[name] = options
        return {**known, "others": others} if others else known

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}

    def members(self) -> Mapping[str, Section | dict[str, Any]]:
        """Those that watch, by name, with their settings."""
        built_in = {name: getattr(self, name) for name in BUILT_IN_OBSERVERS}
        return {**{name: found for name, found in built_in.items() if found is not None}, **self.others}


def _merged(items: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    """A list of names, some of them perhaps maps of a name to its settings, as one map."""
    found: dict[str, Any] = {}
    for item in items:
        each = {item: {}} if isinstance(item, str) else item
        if not isinstance(each, dict):
            raise ValueError("each of its items is a name such as mlflow, or a map of a name to its settings")
        if again := found.keys() & each.keys():
            raise ValueError(f"{min(again)} is given twice")
        found |= each
    return found
