"""The settings of a workflow: what may stand in its front matter, with every default."""

import math
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from loopsmith.records import WorkerLimits
from loopsmith.workflow import evaluators
from loopsmith.workflow.agent import AgentField, EnsembleAgent, SingleAgent, TunerAgent
from loopsmith.workflow.hooks import Hooks
from loopsmith.workflow.notify import Targets
from loopsmith.workflow.observe import Observe
from loopsmith.workflow.roles import Role, Roles
from loopsmith.workflow.search import Search
from loopsmith.workflow.section import Section
from loopsmith.workflow.units import Count, Duration, Money, Size
from loopsmith.workflow.values import (
    Allowance,
    AnyPath,
    Effect,
    Factor,
    Glob,
    Identifier,
    InnerPath,
    Many,
    MetricName,
    MinEffect,
    ModuleName,
    Pattern,
    Text,
)
from loopsmith.workflow.verify import Verify

TIMING = re.compile(
    r"(?i)(^|_)(time|seconds|secs?|millis|micros|nanos|[mun]?s|latency|duration|runtime|elapsed|throughput|speed|[gmt]?flops"
    r"|[gmt]?flop_s|[gmk]?b_s|gbps|qps|rps|ops|tok_s|ips)($|_)|per_s(ec|econd)?($|_)"
)
AUTO_MAX_GAIN = 3.0  # for timing metrics


class Objective(Section):
    """Which metric is improved, and what counts as better."""

    metric: MetricName = Field(description="the metric that the verifier prints")
    direction: Literal["minimize", "maximize"] = Field(description="minimize or maximize")
    min_effect: Effect = Field(
        default=MinEffect(), description="smallest gain worth keeping: 1% of the baseline, or a number in metric units"
    )
    target: float | None = Field(default=None, description="the campaign ends when the baseline reaches it")

    def gain(self, baseline: float, value: float) -> float:
        """How much better `value` is than `baseline`: a share of |baseline|, negative when it is worse.

        A baseline of zero has no share; the absolute difference is returned then.
        """
        difference = value - baseline if self.direction == "maximize" else baseline - value
        return difference / abs(baseline) if baseline else difference

    def clears(self, baseline: float, gain: float) -> bool:
        """Whether a `gain` over `baseline`, as `gain()` returns it, is above zero and at least `min_effect`.

        A gain that falls short of `min_effect` by rounding alone (1e-9 of it) clears it.
        """
        needed = self.min_effect.value
        if self.min_effect.relative:
            needed = needed if baseline else 0.0
        elif baseline:
            needed /= abs(baseline)
        return gain > 0 and (gain >= needed or math.isclose(gain, needed, rel_tol=1e-9))

    def better(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better than `other`."""
        return value > other if self.direction == "maximize" else value < other

    def factor(self, gain: float) -> float:
        """How many times as good a relative `gain` makes it: 2.0 is twice the rate, or half the time."""
        if self.direction == "maximize":
            return 1 + gain
        return 1 / (1 - gain) if gain < 1 else math.inf

    @property
    def timing(self) -> bool:
        """Whether the metric's name says that it is a time or a rate."""
        return TIMING.search(self.metric) is not None

    def reached(self, value: float) -> bool:
        """Whether `value` is at the target or beyond; never without a target."""
        return self.target is not None and not self.better(self.target, value)


class Workspace(Section):
    """What is worked on, and what a candidate may change of it."""

    source: AnyPath = Field(default=Path("."), description="the source folder, relative to the workflow's folder")
    editable: Many[Glob] = Field(
        min_length=1, description="the files that a candidate may change, in patterns as .gitignore has them"
    )
    link: Many[InnerPath] = Field(default=(), description="inputs of the source that are linked read-only, not copied")
    exclude: Many[Glob] = Field(default=(), description="files of the source to leave out, in patterns as .gitignore")
    root: AnyPath | None = Field(default=None, description="where loopsmith keeps its state; none: SOURCE/.loopsmith")
    max_size: Size = Field(default=10**9, description="the largest source that is copied")


class Calibrate(Section):
    """How the untouched source is measured first."""

    runs: int = Field(default=5, ge=2, description="runs of the verifier on the baseline")


class Repeats(Section):
    """How often a promising candidate is measured again."""

    confirm: int = Field(
        default=24, ge=2, description="pairs of runs at most, candidate and baseline, on fresh seeds; few need so many"
    )


class Decide(Section):
    """What it takes to keep a candidate."""

    alpha: float = Field(
        default=0.05, gt=0, le=0.5, description="share of false keeps in the campaign; their chance without any effect"
    )
    rule: Literal["pooled", "exact"] = Field(
        default="pooled",
        description="pooled: by the campaign's pooled noise; exact: by random order alone, at twice the pairs and more",
    )
    simplify: bool = Field(
        default=False, description="keep a candidate that removes lines and is shown to lose less than min_effect"
    )
    secondary: dict[MetricName, Allowance] = Field(
        default={}, description='per metric that can only block: "within 5%", "at most 5% more", "at most 5% less"'
    )


class PerRound(Section):
    """Limits of one round."""

    cost_usd: Money | None = Field(default=None, description="money for models")
    tokens: Count | None = Field(default=None, description="input and output tokens")


class PerWorker(Section):
    """Limits of one worker."""

    turns: int | None = Field(default=30, ge=1, description="model calls")
    wall_clock: Duration | None = Field(default=900.0, description="time, thinking and tools together")
    cost_usd: Money | None = Field(default=None, description="money for models")
    tokens: Count | None = Field(default=None, description="input and output tokens")
    probes: int = Field(default=0, ge=0, description="measurements of its own change that it may ask for")

    def limits(self) -> WorkerLimits:
        return WorkerLimits(**self.model_dump())


class Budget(Section):
    """Limits of the campaign, over all its runs; without a value there is no such limit."""

    wall_clock: Duration | None = Field(default=None, description="time that loopsmith runs")
    rounds: int | None = Field(default=None, ge=1, description="rounds")
    candidates: int | None = Field(default=None, ge=1, description="candidates")
    cost_usd: Money | None = Field(default=None, description="money for models")
    tokens: Count | None = Field(default=None, description="input and output tokens")
    stall_rounds: int | None = Field(default=25, ge=1, description="rounds in a row without a keep")
    per_round: PerRound = Field(default=PerRound(), description="limits of one round")
    per_worker: PerWorker = Field(default=PerWorker(), description="limits of one worker")

    @property
    def limits_money(self) -> bool:
        return any(part.cost_usd is not None for part in (self, self.per_round, self.per_worker))


class Imports(Section):
    """Which modules Python may import that did not import them before: all but some, or some alone."""

    forbid: Many[ModuleName] = Field(default=(), description="modules, with all below them, that may not be imported")
    allow: Many[ModuleName] | None = Field(
        default=None, min_length=1, description="the only modules that may, with all below them; none: any"
    )

    @model_validator(mode="after")
    def _one_list(self) -> "Imports":
        if self.forbid and self.allow is not None:
            raise ValueError("give either a list of forbidden or one of allowed modules")
        return self


class Guardrails(Section):
    """What a patch must not do, whatever it gains."""

    max_changed_lines: int = Field(default=500, ge=1, description="lines added and removed")
    max_file_size: Size = Field(default=10**6, description="of each changed file")
    max_gain: Factor = Field(
        default="auto", description="a larger gain, such as 3x, waits for a person; auto: 3x for timing metrics, or off"
    )
    roofline: float | None = Field(
        default=None, allow_inf_nan=False, description="of the metric; what is better than any honest program waits too"
    )
    new_files: Literal["safe", "any", "none"] = Field(
        default="safe", description="safe: none that hides an import or that tools load unasked; any; or none"
    )
    deletions: bool = Field(default=True, description="whether editable files may be deleted")
    unicode: Literal["safe", "any"] = Field(
        default="safe", description="safe: no added character that hides or reorders text or looks like another"
    )
    syntax: bool = Field(default=True, description="refuse Python that the Python of loopsmith cannot parse")
    forbid: Many[Pattern] = Field(default=(), description="regular expressions that no added line may match")
    freeze: Many[Identifier] = Field(default=(), description="names whose value may not change, such as SEED")
    imports: Imports = Field(default=Imports(), description="modules that Python may not start to import")
    network: Literal["none", "verifier", "allow"] = Field(
        default="none", description="who has one: nobody, the verifier's commands alone, or a worker's commands too"
    )


class Memory(Section):
    """What workers learn from earlier ones."""

    brief_tokens: int = Field(default=6000, ge=500, description="length of a brief, in tokens (about 4 characters)")


class Settings(Section):
    """Everything that the front matter says, and the default of what it does not say."""

    name: Text = Field(default="campaign", description="the campaign's name; none: the workflow's folder")
    objective: Objective = Field(description="what is improved")
    workspace: Workspace = Field(description="what is worked on")
    verify: Verify = Field(description="how a candidate is checked and measured")
    calibrate: Calibrate = Field(default=Calibrate(), description="how the baseline is measured first")
    repeats: Repeats = Field(default=Repeats(), description="how a promising candidate is measured again")
    decide: Decide = Field(default=Decide(), description="what it takes to keep a candidate")
    budget: Budget = Field(default=Budget(), description="when to stop")
    search: Search = Field(default=Search(), description="how candidates are looked for")
    agent: AgentField = Field(default=TunerAgent(), description="who works")
    roles: Roles = Field(default=Roles(), description="who helps the workers of a round")
    guardrails: Guardrails = Field(default=Guardrails(), description="what a patch must not do")
    memory: Memory = Field(default=Memory(), description="what workers learn from earlier ones")
    hooks: Hooks = Field(default=Hooks(), description="shell commands around each worker and after each decision")
    notify: Targets = Field(default=(), description="who is told what happens: a map, or a list of them")
    observe: Observe = Field(default=Observe(), description="tools that are told of the campaign while it runs")
    sandbox: Literal["auto", "required", "off"] = Field(
        default="auto", description="bubblewrap around every command: where it works, always, or never"
    )

    @model_validator(mode="before")
    @classmethod
    def _evaluators_objective(cls, data: Any) -> Any:
        return evaluators.with_defaults(data)

    @field_validator("verify")
    @classmethod
    def _evaluators_command(cls, value: Verify, info: ValidationInfo) -> Verify:
        objective, workspace = info.data.get("objective"), info.data.get("workspace")
        if value.evaluator is None or objective is None or workspace is None:
            return value
        kind = value.evaluator[0]
        text = evaluators.command(kind, getattr(value, kind), value.program, workspace.editable, objective.metric)
        return value.model_copy(update={"command": text})

    @field_validator("decide")
    @classmethod
    def _possible(cls, value: Decide, info: ValidationInfo) -> Decide:
        objective = info.data.get("objective")
        if objective and value.simplify and not objective.min_effect.value:
            raise ValueError(
                "simplify needs objective.min_effect, the loss that a simplification must be shown not to have"
            )
        if objective and objective.metric in value.secondary:
            raise ValueError(f"secondary names the objective's own metric, {objective.metric}")
        return value

    @field_validator("roles")
    @classmethod
    def _one_planner(cls, value: Roles, info: ValidationInfo) -> Roles:
        search = info.data.get("search")
        if search and search.plan is not None and value.planner != Role():
            raise ValueError("search.plan is the earlier name of roles.planner; give only roles.planner")
        return value

    def plays(self, role: str, *, company: bool) -> bool:
        """Whether a role is on.

        Args:
            role: planner, reviewer or reflector.
            company: the agent has a model to lend, and a round has several workers.
        """
        enabled: bool | None = getattr(self.roles, role).enabled
        if enabled is None and role == "planner" and self.search.plan is not None:
            enabled = self.search.plan
        return company if enabled is None else enabled

    @property
    def agents(self) -> tuple[SingleAgent, ...]:
        """The agents that work: one, or those of an ensemble."""
        return self.agent.agents if isinstance(self.agent, EnsembleAgent) else (self.agent,)

    @field_validator("agent")
    @classmethod
    def _affordable(cls, value: AgentField, info: ValidationInfo) -> AgentField:
        budget = info.data.get("budget")
        limits = (budget, budget.per_round, budget.per_worker) if budget else ()
        agents = value.agents if isinstance(value, EnsembleAgent) else (value,)
        limited = any(limit.cost_usd is not None for limit in limits)
        if limited and not all(getattr(agent, "cost_known", True) for agent in agents):
            raise ValueError(
                "nobody knows what this agent costs, so that no limit of money could hold; give cost_per_run, dollars "
                "of one worker's run (0 for a model of your own)"
            )
        return value

    @property
    def max_gain(self) -> float | None:
        """The factor above which a gain is quarantined; None: there is none."""
        limit = self.guardrails.max_gain
        if limit == "auto":
            return AUTO_MAX_GAIN if self.objective.timing else None
        return None if limit == "off" else float(limit)
