"""When a person is told: reads what happens, looks at the limits now and then, and hands messages to the targets."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from loopsmith.observers.feed import Feed
from loopsmith.observers.notify.delivery import SENT, Delivery
from loopsmith.observers.notify.message import Message, Standing
from loopsmith.observers.notify.targets import Target
from loopsmith.protocols import Watched
from loopsmith.records import Candidate, Phase, Status, Verdict
from loopsmith.tracker import Store
from loopsmith.verify.gain import total_effect
from loopsmith.workflow import Objective, Settings

READY = "notify.ready"  # from here on a person is told; what was decided since and not told is told later
TOLD = {Verdict.KEPT: "kept", Verdict.QUARANTINED: "quarantined"}
NEAR = 0.8  # of a limit
EVERY = 5.0  # seconds between two looks at the limits
STALL_ROUNDS = 25  # half of it counts where there is no budget.stall_rounds
SILENCE = 3600.0  # seconds, at least, until nothing is too long
ROOM = 10_000  # happenings that may wait
LIMITS = ("wall_clock", "rounds", "candidates", "cost_usd", "tokens")
Tell = Callable[..., None]


class Notifier:
    """Tells the targets of one campaign what they want to know, each thing once.

    Args:
        targets: without any it does nothing.
        settings: asked for anew each time, as limits may be changed while the campaign runs.
        paused: whether a person paused it, so that its silence is no news.
        where: the options that make a command find the campaign.
        tell: writes an event (name and data) into the tracker, from any thread.
        last_word: seconds for what is on its way when the campaign has ended.
        clock: seconds, for the silence.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        campaign: Watched,
        store: Store,
        settings: Callable[[], Settings],
        *,
        paused: Callable[[], bool] = lambda: False,
        where: str,
        tell: Tell,
        last_word: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.campaign, self.store, self.settings, self.where, self.tell = campaign, store, settings, where, tell
        self.paused = paused
        self.id, self.clock = campaign.campaign.id, clock
        self.deliveries = [Delivery(target, tell, last_word=last_word) for target in targets]
        self._started = False
        self.sent: set[tuple[str, str]] = set()  # key and target
        self.over = False
        self._looked = -math.inf
        self._last, self._last_name, self._told_silent = clock(), "", False
        self.feed: Feed[tuple[str, int | None, Mapping[str, Any]]] = Feed(
            "notify", self._take, size=ROOM, begin=self._begin, end=self._end, idle=self.look
        )

    def observe(self, name: str, candidate: Candidate | None, data: Mapping[str, Any]) -> None:
        """Take note of what happened; called by the campaign, which does not wait."""
        self._last, self._last_name = self.clock(), name + (f" of c{candidate.number}" if candidate else "")
        if not self._started:
            if not self.deliveries:
                return
            self._started = True
            self.feed.start()
        if name in ("candidate.decided", "round.finished", "campaign.ended"):
            self.feed.give((name, candidate.number if candidate else None, data))

    def close(self) -> None:
        """Take no more; `done` is set when all is delivered, or was tried long enough."""
        self.feed.close()

    @property
    def done(self) -> bool:
        told = self.feed.done.is_set() and all(feed.done.is_set() for feed in self._feeds)
        return told or not self._started

    @property
    def _feeds(self) -> list[Feed[Message]]:
        return [delivery.feed for delivery in self.deliveries]

    def look(self) -> None:
        """See whether a limit is near, or nothing has happened for long; not more often than is of use."""
        now = self.clock()
        if self.over or now - self._looked < EVERY:
            return
        self._looked = now
        self._near()
        self._silent(now)

    def _begin(self) -> None:
        for event in self.store.events(self.id, name=SENT):
            self.sent.add((event.data["key"], event.data["to"]))
        earlier = self.store.events(self.id, name=READY, limit=1, newest_first=True)
        for feed in self._feeds:
            feed.start()
        if earlier:
            self._catch_up(earlier[0].created_at)
        self.tell(READY, to=[delivery.target.name for delivery in self.deliveries])

    def _catch_up(self, since: datetime) -> None:
        """Tell what an earlier run decided, and was killed before it told."""
        waiting = self.store.candidates(self.id, statuses=[Status.KEPT, Status.QUARANTINED])
        for candidate in waiting:
            decision = self.store.decision(candidate.id)
            if decision and decision.created_at and decision.created_at >= since:
                self._candidate(candidate.number)

    def _take(self, happening: tuple[str, int | None, Mapping[str, Any]]) -> None:
        name, number, data = happening
        if name == "candidate.decided" and number is not None and data.get("verdict") in TOLD:
            self._candidate(number)
        elif name == "round.finished":
            self._stalled()
            self._looked = -math.inf
        elif name == "campaign.ended":
            self.over = True
            self._send(self._standing().of_end(len(self.store.events(self.id, name="campaign.started"))))

    def _end(self) -> None:
        for delivery in self.deliveries:
            delivery.close()

    def _candidate(self, number: int) -> None:
        record = self.campaign.record(number)
        if record["status"] in TOLD:
            self._send(self._standing().of_candidate(record))

    def _stalled(self) -> None:
        limit = self.settings().budget.stall_rounds
        rounds = self.store.rounds_since_keep(self.id)
        if rounds >= math.ceil((limit or STALL_ROUNDS) / 2) and (limit is None or rounds < limit):
            kept = self.store.candidates(self.id, statuses=[Status.KEPT], limit=1, newest_first=True)
            key = str(kept[0].number if kept else 0)
            if self._wanted("stalled", f"stalled:{key}"):
                self._send(self._standing().of_rounds(rounds, limit, key))

    def _near(self) -> None:
        budget = self.settings().budget
        bounds = {name: bound for name in LIMITS if (bound := getattr(budget, name)) is not None}
        if not bounds:
            return
        counts, spent = self.store.counts(self.id), self.store.spent(self.id)
        used = {
            "wall_clock": self.campaign.campaign.elapsed,
            "rounds": self.store.round_count(self.id) - (self.store.open_round(self.id) is not None),
            "candidates": sum(counts[verdict] for verdict in Verdict),
            "cost_usd": spent.cost_usd,
            "tokens": spent.tokens,
        }
        for name, bound in bounds.items():
            share = used[name] / bound if bound else 1.0
            if NEAR <= share < 1 and self._wanted("budget", f"budget:{name}:{bound:g}"):
                self._send(self._standing().of_budget(name, used[name], bound))

    def _silent(self, now: float) -> None:
        settings = self.settings()
        long = max(SILENCE, 3 * settings.verify.timeout, 2 * (settings.budget.per_worker.wall_clock or 0.0))
        if self.paused():
            self._last = now
        silent = now - self._last
        if silent < long:
            self._told_silent = False
        elif not self._told_silent:
            self._told_silent = True
            since = datetime.now(UTC).isoformat()
            self._send(self._standing().of_silence(silent, self._last_name, self._waiting(), since))

    def _waiting(self) -> str:
        """Whom a provider's rate limit holds up, in words."""
        for event in self.store.events(self.id, name="model.rate_limited", limit=1, newest_first=True):
            if datetime.fromisoformat(event.data["until"]) > datetime.now(UTC):
                return f"{event.data['model']} is rate limited until {event.data['until'][11:16]} UTC"
        return ""

    def _wanted(self, occasion: str, key: str) -> bool:
        """Whether anybody is still to be told."""
        return any(
            occasion in delivery.target.on and (key, delivery.target.name) not in self.sent
            for delivery in self.deliveries
        )

    def _send(self, message: Message) -> None:
        for delivery in self.deliveries:
            to = (message.key, delivery.target.name)
            if message.occasion in delivery.target.on and to not in self.sent:
                self.sent.add(to)
                delivery.give(message)

    def _standing(self) -> Standing:
        campaign = self.campaign.campaign
        objective = Objective.model_validate(campaign.settings["objective"])
        return Standing(
            campaign=campaign,
            objective=objective,
            baseline=self._mean(campaign.origin_commit, objective.metric),
            best=self._mean(campaign.baseline_commit, objective.metric),
            gained=total_effect(objective, (decision for _, decision in self.store.kept(self.id))),
            counts=self.store.counts(self.id),
            spent=self.store.spent(self.id),
            where=self.where,
        )

    def _mean(self, commit: str, metric: str) -> float | None:
        """Of the metric on a baseline: not of the run that screened it, where there is another."""
        items = [item for item in self.store.measurements(self.id, commit=commit) if item.metric == metric]
        confirmed = [item.value for item in items if item.phase in (Phase.BASELINE, Phase.CONFIRM)]
        values = confirmed or [item.value for item in items if item.phase is Phase.SCREEN]
        return sum(values) / len(values) if values else None
