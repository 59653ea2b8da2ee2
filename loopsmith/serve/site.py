"""What every page and every answer works with, and the versions by which they know that something changed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from hashlib import sha256
from typing import Any

from starlette.requests import Request

from loopsmith import report
from loopsmith.errors import LoopsmithError, UsageError
from loopsmith.records import Campaign
from loopsmith.serve.live import Watch
from loopsmith.serve.security import Access
from loopsmith.serve.source import Source

KEPT = 64  # values that are remembered
THREADS = 4  # that sum a campaign up side by side
SLOW = 0.3  # seconds; what takes longer to make is made aside
PATIENCE = 0.5  # seconds that a page waits for sums that were never made before
REST = 9.0  # times its own length that making sums rests
STALE = 5.0  # seconds after which money is summed up again while a campaign runs: a model's call makes no event


@dataclass(frozen=True, slots=True)
class Sums:
    """What a campaign comes to.

    Attributes:
        seconds: that it took to make them.
        at: when that was, on the monotonic clock.
        fresh: nothing has happened since.
    """

    version: str
    values: Mapping[str, Any]
    seconds: float = 0.0
    at: float = 0.0
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Making:
    """Sums that are being made: each of them, and all."""

    parts: Mapping[str, Future[Any]]
    whole: Future[Sums]


class Site:
    """The source, who may ask, and who watches."""

    def __init__(self, source: Source, access: Access):
        self.source, self.access = source, access
        self.watch = Watch(self.version)
        self._values: OrderedDict[tuple[str, ...], tuple[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._sums: dict[str, Sums] = {}
        self._making: dict[str, Making] = {}  # by campaign
        self._aside = ThreadPoolExecutor(THREADS, thread_name_prefix="loopsmith-serve-aside")
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="loopsmith-serve")

    def close(self) -> None:
        for pool in (self._aside, self._pool):
            pool.shutdown(wait=False, cancel_futures=True)
        self.source.close()

    def warm(self, make: Callable[[Campaign], Any]) -> None:
        """Make the newest campaign's page before anybody asks for it."""

        def made() -> None:
            with suppress(LoopsmithError, CancelledError, RuntimeError):  # who asks is told; or the server has ended
                for campaign in self.source.store().campaigns()[:1]:
                    make(campaign)

        threading.Thread(target=made, name="loopsmith-serve-warm", daemon=True).start()

    def campaign(self, name: str) -> Campaign:
        """Raises UsageError when there is none of this id."""
        return self.source.store().campaign(name)

    def may_act(self, request: Request) -> bool:
        return self.access.control and self.access.granted(request)

    def version(self, topic: str) -> str:
        """What changes whenever a page about a campaign does; of "" the pages about all of them.

        Raises:
            TrackerError: the tracker is gone.
        """
        store = self.source.store()
        if not topic:
            return short(*((item.id, item.status, item.updated_at) for item in store.campaigns()))
        found = store.version(topic)
        if found is None:
            raise UsageError(f"there is no campaign {topic} any more")
        return short(*astuple(found), self.source.process(store.campaign(topic)))

    def status(self, campaign: Campaign) -> dict[str, Any]:
        """As `loopsmith status --json`."""
        process = self.source.process(campaign)
        version = short(campaign.updated_at, process, self.version(campaign.id))
        made: dict[str, Any] = self.remember(
            ("status", campaign.id), version, lambda: report.status(self.source.store(), campaign, process=process)
        )
        return made

    def remember(self, key: tuple[str, ...], version: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for each version."""
        with self._lock:
            held = self._values.get(key)
            if held is not None and held[0] == version:
                self._values.move_to_end(key)
                return held[1]
        value = make()
        with self._lock:
            self._values[key] = version, value
            while len(self._values) > KEPT:
                self._values.popitem(last=False)
        return value

    def sums(self, campaign: Campaign, makers: Mapping[str, Callable[[], Any]], late: Collection[str] = ()) -> Sums:
        """All of a campaign's sums, made side by side, and again when there is something new.

        Where that takes long, it is done aside and at most so often that it takes a tenth of the time; until then there
        are those of before. Where there are none, those of `late` that are not made soon are None.
        """
        seen = self.source.store().version(campaign.id)
        told = (seen.event, seen.request, seen.answered) if seen else ()
        process = self.source.process(campaign)
        version = short(*told, campaign.status, process)
        with self._lock:
            held, making = self._sums.get(campaign.id), self._making.get(campaign.id)
            known = held is not None and held.version == version
            if held is not None and known and (process is None or time.monotonic() < due(held)):
                return held
            slow = held is not None and held.seconds > SLOW
            rested = held is None or not slow or time.monotonic() > held.at + REST * held.seconds
            if making is None and rested:
                making = self._making[campaign.id] = self._start(campaign.id, version, makers)
        if held is not None and (slow or making is None):
            return replace(held, fresh=False)
        assert making is not None
        wait([making.whole], PATIENCE)
        if making.whole.done():
            made = making.whole.result()
            return made if made.version == version else replace(made, fresh=False)
        parts = {name: part for name, part in making.parts.items() if part.done() or name not in late}
        return Sums(version, dict.fromkeys(late) | {name: part.result() for name, part in parts.items()}, fresh=False)

    def _start(self, campaign_id: str, version: str, makers: Mapping[str, Callable[[], Any]]) -> Making:
        parts = {name: self._pool.submit(make) for name, make in makers.items()}
        return Making(parts, self._aside.submit(self._gather, campaign_id, version, parts))

    def _gather(self, campaign_id: str, version: str, parts: Mapping[str, Future[Any]]) -> Sums:
        began = time.monotonic()
        try:
            values = {name: part.result() for name, part in parts.items()}
            now = time.monotonic()
            made = Sums(version, values, now - began, now)
            with self._lock:
                self._sums[campaign_id] = made
            return made
        finally:
            with self._lock:
                self._making.pop(campaign_id, None)


def due(held: Sums) -> float:
    """When sums are made again though nothing happened."""
    return held.at + max(STALE, REST * held.seconds)


def short(*values: object) -> str:
    return sha256(repr(values).encode(errors="replace")).hexdigest()[:16]
