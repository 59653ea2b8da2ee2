"""What a worker may ask of the campaign, bound to its candidate."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loopsmith.campaign.context import Context
from loopsmith.campaign.feedback import feedback
from loopsmith.campaign.generate.change import take_change
from loopsmith.campaign.generate.tryout import tried
from loopsmith.campaign.roles.reviewing import review
from loopsmith.errors import LimitReached, UsageError
from loopsmith.records import Candidate, Reflection, Report, Trial, Tryout, Usage
from loopsmith.search.account import account
from loopsmith.search.budget import check_call
from loopsmith.search.memory import lesson_words
from loopsmith.search.similar import closest
from loopsmith.workflow import format_duration

NOTED, PROBED = "worker.noted", "worker.probed"
NOTE_LIMIT = 2000  # characters of one note
NOTES = 20  # of one worker; more are refused


class CampaignServices:
    """`protocols.Services` over the tracker."""

    def __init__(self, context: Context, candidate: Candidate, folder: Path):
        self.context, self.candidate, self.folder = context, candidate, folder
        self.reviewed = False  # the reviewer objected before
        self._paused = 0.0
        self._pausing_since: float | None = None
        self.notes = [str(data.get("text", "")) for data in self._events(NOTED)]
        self.probed = len(self._events(PROBED))
        self.tries = 0

    def search_memory(self, query: str, limit: int = 5) -> Sequence[Reflection]:
        return self.context.store.search_reflections(self.context.id, query, limit)

    def search_lessons(self, query: str, limit: int = 5) -> Sequence[str]:
        learned = [lesson_words(lesson) for lesson in self.context.store.lessons(self.context.id)]
        return closest(query, learned, limit)

    def history(self) -> Sequence[Trial]:
        return self.context.store.trials(self.context.id)

    def reserve(self, usage: Usage) -> int:
        return reserve(self.context, usage, round_id=self.candidate.round_id, candidate_id=self.candidate.id)

    def settle(self, row: int, usage: Usage) -> None:
        self.context.store.settle(row, usage)
        self.context.show("worker.called", self.candidate, cost_usd=usage.cost_usd)

    def problems(self) -> Sequence[str]:
        candidate, base = self.candidate, self.context.base(self.candidate)
        return take_change(self.context, candidate.parent_commit, self.folder, None, base).problems

    async def pause(self, seconds: float) -> None:
        self.progress(f"rate limited for {format_duration(max(1, round(seconds)))}")
        self._pausing_since = time.monotonic()
        self.context.workers.release()
        try:
            await asyncio.sleep(seconds)
        finally:
            await self.context.workers.acquire()
            self._paused, self._pausing_since = self.paused, None

    async def ready(self) -> None:
        if self.context.pause.on:
            self.progress("paused by a person")
            self._pausing_since = time.monotonic()
            try:
                await self.context.pause.over()
            finally:
                self._paused, self._pausing_since = self.paused, None

    @property
    def paused(self) -> float:
        """Seconds that rate limits and a person's pauses took from the worker so far."""
        since = self._pausing_since
        return self._paused + (0.0 if since is None else time.monotonic() - since)

    async def review(self, hypothesis: str) -> Sequence[str]:
        if self.reviewed:
            return ()
        base = self.context.base(self.candidate)
        patch = take_change(self.context, self.candidate.parent_commit, self.folder, None, base)
        if patch.problems:
            return ()  # the guardrails reject it anyway
        said = await review(self.context, self.candidate, patch, hypothesis or self.candidate.hypothesis)
        if said is None or said.passes:
            return ()
        self.reviewed = True
        self.context.emit("review.sent_back", self.candidate, verdict=said.verdict, objections=list(said.lines()))
        return said.lines()

    async def run_checks(self) -> Tryout:
        self.tries += 1
        return await tried(self.context, self.candidate, self.folder, f"checks-{self.tries}", measure=False)

    async def probe(self) -> Tryout:
        allowed = self.context.settings.budget.per_worker.probes
        if self.probed >= allowed:
            raise LimitReached("budget.per_worker.probes", self.probed, allowed)
        self.probed += 1
        number = self.probed
        result = await tried(self.context, self.candidate, self.folder, f"probe-{number}", measure=True)
        if result.ran:
            self.context.emit(PROBED, self.candidate, number=number, problem=result.problem, metrics=result.metrics)
        else:
            self.probed -= 1
        return result

    def note(self, text: str) -> None:
        if len(self.notes) >= NOTES:
            raise UsageError(f"{NOTES} notes are written already; put the rest into submit")
        self.notes.append(text[:NOTE_LIMIT])
        self.context.emit(NOTED, self.candidate, text=self.notes[-1])

    def with_notes(self, report: Report) -> Report:
        """The report; its lesson is the notes where it has none of its own, as after an end without submit."""
        return replace(report, lesson="; ".join(self.notes)) if self.notes and not report.lesson else report

    def read_candidate(self, name: str) -> str:
        store = self.context.store
        candidate = store.find_candidate(self.context.id, name)
        decision = store.decision(candidate.id)
        if decision is None:
            raise UsageError(f"candidate {candidate.number} is not decided yet")
        known, start, patch, onto = feedback(self.context), self.candidate.parent_commit, "", None
        if candidate.commit:
            patch = self.context.repository.diff(candidate.parent_commit, candidate.commit)
            onto = None if start == candidate.parent_commit else self.context.repository.diff(start, candidate.commit)
        return account(candidate, decision, patch, known.get(candidate.commit or "", ""), onto=onto)

    def _events(self, name: str) -> list[dict[str, object]]:
        """Of this candidate, also from attempts that a kill ended."""
        if self.candidate.attempt == 1:
            return []
        events = self.context.store.events(self.context.id, name=name)
        return [event.data for event in events if event.candidate_id == self.candidate.id]

    def progress(self, text: str) -> None:
        self.context.show("worker.progress", self.candidate, text=text)


def reserve(context: Context, usage: Usage, *, round_id: str | None = None, candidate_id: str | None = None) -> int:
    """Check every limit that covers a call, then write it into the ledger.

    Raises:
        LimitReached: of the worker, the round or the campaign; the last also ends the campaign.
    """
    store, budget = context.store, context.settings.budget
    if candidate_id is not None:
        worker = budget.per_worker
        spent = store.spent(context.id, candidate_id=candidate_id, role=usage.role)
        check_call("budget.per_worker", spent, usage, cost_usd=worker.cost_usd, tokens=worker.tokens)
    if round_id is not None:
        spent = store.spent(context.id, round_id=round_id)
        limits = budget.per_round
        check_call("budget.per_round", spent, usage, cost_usd=limits.cost_usd, tokens=limits.tokens)
    try:
        check_call("budget", store.spent(context.id), usage, cost_usd=budget.cost_usd, tokens=budget.tokens)
    except LimitReached as limit:
        context.limit = limit
        raise
    return store.reserve(campaign_id=context.id, round_id=round_id, candidate_id=candidate_id, usage=usage)
