"""The section `verify` of a workflow: how a candidate is checked and measured, by which commands and evaluators."""

from typing import Any

from pydantic import Field, model_validator

from loopsmith import process
from loopsmith.workflow import evaluators
from loopsmith.workflow.section import Section
from loopsmith.workflow.units import Duration, Size
from loopsmith.workflow.values import (
    AnyPath,
    Bound,
    EnvValue,
    InnerPath,
    Many,
    MetricName,
    MetricPattern,
    Text,
    VariableName,
)


class Resources(Section):
    """What a run of the verifier has for itself while it measures."""

    cpu: int | None = Field(
        default=None,
        ge=1,
        description="CPU cores, pinned, so that several runs fit side by side; none: all, one run at a time",
    )
    gpu: int = Field(default=0, ge=0, description="GPUs")


class Limits(Section):
    """What one command may use, of the verifier and of a worker, with all that it starts; more fails it."""

    memory: Size | None = Field(default=None, description="memory; none: nine tenths of the machine's")
    processes: int | None = Field(default=4096, ge=8, description="processes and threads at a time")
    file_size: Size | None = Field(default=10**10, description="of one file")
    disk: Size | None = Field(
        default=2 * 10**10, description="what it leaves in its folders; never more than half of what is free"
    )
    cpu_time: Duration | None = Field(default=None, description="of one process; none: timeout alone holds")

    def bounds(self) -> process.Limits:
        return process.Limits(**self.model_dump())


class Holdout(Section):
    """A second measurement on what no worker and no other command can see."""

    command: Text = Field(description="the shell command that prints the objective's metric on hidden data")
    link: Many[InnerPath] = Field(default=(), description="hidden inputs of the source, seen by this command alone")
    gate: bool = Field(default=False, description="a candidate that shows a loss here is not kept")


class Verify(Section):
    """How a candidate is checked and measured."""

    command: Text = Field(description="the shell command that prints the metric")
    openevolve: evaluators.Evaluator | None = Field(default=None, description="instead: an evaluator for OpenEvolve")
    shinka: evaluators.Script | None = Field(default=None, description="instead: an evaluator for ShinkaEvolve")
    gepa: evaluators.Evaluator | None = Field(default=None, description="instead: an evaluator for GEPA")
    program: evaluators.Programs = Field(
        default=(), description="what such an evaluator gets; none: the files that workspace.editable names"
    )
    timeout: Duration = Field(default=600.0, description="of one command: a setup step, a check or a measurement")
    setup: Many[Text] = Field(default=(), description="run in each fresh folder before anything else, such as a build")
    checks: Many[Text] = Field(default=(), description="commands that must succeed before anything is measured")
    failures: int = Field(default=1, ge=1, description="a run has failed when it fails this often in a row")
    canaries: Many[Text] = Field(
        default=(), description="patches (a path in the source, or the text) that must not be kept; tried at the start"
    )
    self_check: bool = Field(
        default=True, description="try loopsmith's own canaries too: the baseline against itself, and a broken program"
    )
    holdout: Holdout | None = Field(default=None, description="a hidden second measurement of what would be kept")
    constraints: dict[MetricName, Bound] = Field(
        default={}, description='per metric: "<= 2000", ">= baseline", "within 1% of baseline"'
    )
    resources: Resources = Field(default=Resources(), description="exclusive while measuring")
    limits: Limits = Field(default=Limits(), description="what one command may use")
    read: Many[AnyPath] = Field(
        default=(), description="paths outside the source that commands may read, though in a home folder: a cache"
    )
    metrics: dict[MetricName, MetricPattern] = Field(
        default={}, description="a regular expression with one group, for output in another form"
    )
    env: dict[VariableName, EnvValue] = Field(
        default={}, description="environment variables for the commands; $VAR is replaced, $$ is a dollar"
    )
    output_limit: Size = Field(default=10**7, description="output of one command that is kept")

    @model_validator(mode="before")
    @classmethod
    def _evaluator(cls, data: Any) -> Any:
        return evaluators.with_command(data)

    @model_validator(mode="after")
    def _program(self) -> "Verify":
        if self.program and self.evaluator is None:
            raise ValueError("program is for the evaluators openevolve, shinka and gepa; remove it")
        return self

    @property
    def evaluator(self) -> tuple[str, str] | None:
        """The evaluator's kind, and its file."""
        given = {"openevolve": self.openevolve, "shinka": self.shinka, "gepa": self.gepa}
        return next(((kind, text.partition(":")[0]) for kind, text in given.items() if text), None)
