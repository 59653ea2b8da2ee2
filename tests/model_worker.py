"""What tests of model agents share: a ledger in memory, briefs, and agents on a scripted endpoint."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopsmith.agents.loop import ToolLoop
from loopsmith.agents.registry import build_model
from loopsmith.errors import LimitReached, UsageError
from loopsmith.records import Brief, Reflection, Report, Spent, Trial, Tryout, Usage, WorkerLimits
from loopsmith.workflow import AnthropicAgent, OpenAIAgent
from loopsmith.workflow.agent import ModelAgent
from loopsmith.workspace import WorkerWorkspace

PASSED = Tryout()


@dataclass
class Ledger:
    """`protocols.Services` in memory, with limits on dollars and tokens."""

    cost_usd: float | None = None
    rows: list[Usage] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)
    memory: tuple[Reflection, ...] = ()
    lessons: tuple[str, ...] = ()
    tried: Tryout = PASSED  # what `run_checks` says
    notes: list[str] = field(default_factory=list)
    broken: Callable[[], Sequence[str]] = tuple  # what `problems` says

    def search_memory(self, query: str, limit: int = 5) -> Sequence[Reflection]:
        return [item for item in self.memory if query in item.hypothesis][:limit]

    def search_lessons(self, query: str, limit: int = 5) -> Sequence[str]:
        return [text for text in self.lessons if query in text][:limit]

    def history(self) -> Sequence[Trial]:
        return ()

    def reserve(self, usage: Usage) -> int:
        if self.cost_usd is not None and self.spent.cost_usd + usage.cost_usd > self.cost_usd:
            raise LimitReached("budget.per_worker.cost_usd", self.spent.cost_usd, self.cost_usd)
        self.rows.append(usage)
        return len(self.rows) - 1

    def settle(self, row: int, usage: Usage) -> None:
        assert row not in self.settled, "settled twice"
        self.settled.add(row)
        self.rows[row] = usage

    def problems(self) -> Sequence[str]:
        return self.broken()

    async def review(self, hypothesis: str) -> Sequence[str]:
        return ()

    async def run_checks(self) -> Tryout:
        self.said.append("checks")
        return self.tried

    async def probe(self) -> Tryout:
        self.said.append("probe")
        return Tryout(metrics={"x": 3.5})

    def note(self, text: str) -> None:
        self.notes.append(text)

    def read_candidate(self, name: str) -> str:
        raise UsageError(f"there is no candidate `{name}`")

    def progress(self, text: str) -> None:
        self.said.append(text)

    async def ready(self) -> None:
        pass

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        await asyncio.sleep(seconds)

    @property
    def spent(self) -> Spent:
        return Spent(cost_usd=sum(row.cost_usd for row in self.rows))


def make_brief(prompt: str = "Make it fast.", **limits: Any) -> Brief:
    return Brief(
        candidate_id="c.1",
        prompt=prompt,
        seed=1,
        round=1,
        attempt=1,
        editable=("src/*.c",),
        files=("src/kernel.c",),
        metric="x",
        direction="maximize",
        hypothesis="unroll more",
        limits=WorkerLimits(**limits),
    )


def settings(kind: str, url: str, **more: Any) -> ModelAgent:
    given = {"base_url": str(url), "price": {"input": 3, "cached": 0.3, "output": 15}, "model": "test-model", **more}
    if kind == "anthropic":
        return AnthropicAgent(kind="anthropic", **given)
    return OpenAIAgent(kind="openai", api="responses" if kind == "responses" else "chat", **given)


def work(
    kind: str, url: str, workspace: WorkerWorkspace, ledger: Ledger, brief: Brief | None = None, **more: Any
) -> Report:
    return asyncio.run(ToolLoop(settings(kind, url, **more)).work(brief or make_brief(turns=10), workspace, ledger))


def model(kind: str, url: str, **more: Any) -> Any:
    return build_model(settings(kind, url, **more))
