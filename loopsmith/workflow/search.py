"""Settings of the search: how many candidates a round has, and where they start."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from loopsmith.workflow.agent import require_registered
from loopsmith.workflow.section import Section
from loopsmith.workflow.values import Many, MetricName, Text

BUILT_IN_POLICIES = ("greedy", "beam", "epsilon", "thompson", "islands")
POLICY_KEYS = {"beam": ("beam",), "epsilon": ("epsilon",), "islands": ("islands", "migrate", "cells")}


class Search(Section):
    """How many candidates a round has, and where they start from; only what beats the baseline is kept."""

    candidates_per_round: int = Field(default=4, ge=1, description="workers that each try something else")
    workers: int = Field(default=4, ge=1, description="workers that run at the same time")
    policy: Text = Field(
        default="greedy",
        description="greedy: from the baseline; beam, epsilon, thompson, islands: from other candidates too",
    )
    beam: int = Field(default=4, ge=2, description="with beam: parents that differ, the baseline among them")
    epsilon: float = Field(default=0.2, gt=0, le=1, description="with epsilon: chance to start from any candidate")
    islands: int = Field(default=4, ge=2, description="with islands: how many search apart")
    migrate: int = Field(default=5, ge=1, description="with islands: rounds after which their best migrate")
    cells: Many[MetricName] = Field(
        default=(), description="with islands: metrics by which changes differ; none: size of the change and its files"
    )
    crossover: float = Field(
        default=0.0, ge=0, le=1, description="share of candidates that merge two that looked better; 0: none"
    )
    race: bool = Field(
        default=False, description="the first candidate that screens better by a margin ends the round's other workers"
    )
    options: dict[str, Any] = Field(default={}, description="of a policy that others wrote, passed on as they are")
    plan: bool | None = Field(default=None, description="the earlier name of roles.planner: true is on, false is off")

    @field_validator("policy")
    @classmethod
    def _installed(cls, value: str) -> str:
        require_registered(value, "loopsmith.policies", BUILT_IN_POLICIES)
        return value

    @model_validator(mode="after")
    def _options_of_the_policy(self) -> "Search":
        for policy, keys in POLICY_KEYS.items():
            wrong = [key for key in keys if getattr(self, key) != type(self).model_fields[key].default]
            if wrong and policy != self.policy:
                raise ValueError(f"{', '.join(wrong)} needs policy: {policy}, and it is {self.policy}")
        if self.options and self.policy in BUILT_IN_POLICIES:
            raise ValueError(f"the policy {self.policy} takes no options")
        return self
