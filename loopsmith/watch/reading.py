"""The rows of the table, read in threads, and again while the campaign changes."""

import time

from loopsmith.errors import LoopsmithError
from loopsmith.live import Page
from loopsmith.tracker import Store
from loopsmith.watch.feed import REST, Picture
from loopsmith.watch.shell import Shell
from loopsmith.watch.table import PAGE, Candidates, Query


class Reading:
    """Reads for one table what it asks for."""

    def __init__(self, app: Shell, table: Candidates):
        self.app, self.table = app, table
        self._as_of = 0  # the newest event when all was read last
        self._due = 0.0  # when it may be read again, by the monotonic clock

    def again(self, picture: Picture) -> None:
        """Read what is in sight again where it may have changed; where that takes long, only after a rest."""
        newest = picture.events[0].id if picture.events else 0
        changed = picture.live or newest != self._as_of
        if changed and not self.app.trouble and time.monotonic() >= self._due:
            self._as_of = newest
            self.table.read_again()

    def read(self, query: Query, number: int) -> None:
        """Read a page, and give it to the table."""

        def browse(store: Store) -> Page:
            return store.browse(
                self.app.source.campaign_id,
                statuses=query.statuses,
                search=query.search,
                sort=query.sort,
                descending=query.descending,
                limit=PAGE,
                offset=number * PAGE,
            )

        def read() -> Page | str:
            began = time.monotonic()
            try:
                return self.app.pages.read(browse)
            except LoopsmithError as error:
                self._as_of = 0
                return self.app.pages.short(error)
            finally:
                ended = time.monotonic()
                self._due = ended + REST * (ended - began)

        def shown(page: Page | str) -> None:
            if not isinstance(page, str):
                self.table.take(query, number, page)
                return
            self.table.failed(query, number)
            if not self.app.trouble:
                self.app.tell(page)

        self.app.in_background(read, shown)
