"""What every page and every answer works with, and the versions by which they know that something changed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from hashlib import sha256
from typing import Any

from starlette.requests import Request

from loopsmith import report
from loopsmith.errors import UsageError
from loopsmith.records import Campaign
from loopsmith.serve.live import Watch
from loopsmith.serve.security import Access
from loopsmith.serve.source import Source

KEPT = 64  # values that are remembered
THREADS = 4  # that sum a campaign up side by side


class Site:
    """The source, who may ask, and who watches."""

    def __init__(self, source: Source, access: Access):
        self.source, self.access = source, access
        self.watch = Watch(self.version)
        self._values: OrderedDict[tuple[str, ...], tuple[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="loopsmith-serve")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.source.close()

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

    def sums(self, campaign: Campaign, makers: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Several of a campaign's sums, made side by side, and again only when it has a new event."""
        seen = self.source.store().version(campaign.id)
        version = short(seen.event if seen else 0, campaign.status)
        began = time.monotonic()
        futures = {
            name: self._pool.submit(self.remember, (name, campaign.id), version, make) for name, make in makers.items()
        }
        made = {name: future.result() for name, future in futures.items()}
        self.watch.cost = max(self.watch.cost, time.monotonic() - began)
        return made


def short(*values: object) -> str:
    return sha256(repr(values).encode(errors="replace")).hexdigest()[:16]
