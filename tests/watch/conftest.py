"""Campaigns to watch: one that has ended, and its tracker to change by hand."""

import asyncio
import shutil
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

import pytest
from support import run, setting_x, write_source

from loopsmith.campaign.lock import exclusive
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import LoopsmithError
from loopsmith.live import Activity, Doing
from loopsmith.records import CampaignStatus
from loopsmith.tracker import open_store
from loopsmith.watch.app import Watch
from loopsmith.watch.feed import Source


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of a campaign: c1 discarded (12), c2 kept (15), c3 discarded (9), c4 (40) in quarantine."""
    path = write_source(
        tmp_path_factory.mktemp("made"),
        agent=setting_x(12, 15, 9, 500),
        budget={"rounds": 2},
        guardrails={"max_gain": 5},
        verify={"self_check": False},
    )
    counts = run(path)["counts"]
    assert (counts["kept"], counts["discarded"], counts["quarantined"]) == (1, 2, 1)
    return path.parent


@pytest.fixture
def source(made, tmp_path):
    """A copy of that campaign, to watch."""
    shutil.copytree(made, tmp_path / "campaign", symlinks=True)
    state = StateFolder(tmp_path / "campaign" / ".loopsmith")
    with open_store(state.tracker, read_only=True) as store:
        (campaign,) = store.campaigns()
    return Source(tracker=state.tracker, state=state, campaign_id=campaign.id)


@pytest.fixture
def change(source):
    """Change the tracker as no loopsmith would: SQL and its values."""

    def execute(sql, *values):
        with closing(sqlite3.connect(source.tracker)) as connection, connection:
            return connection.execute(sql, values).rowcount

    return execute


@pytest.fixture
def goes_on(source):
    """Let the campaign run, as far as the tracker and the lock tell: (subject, doing, text, lease, seconds ago)."""
    with ExitStack() as held:

        def say(*rows, process=True):
            if process:
                held.enter_context(exclusive(source.state.lock))
            with open_store(source.tracker) as store:
                store.set_campaign_status(source.campaign_id, CampaignStatus.RUNNING)
                store.set_activity(source.campaign_id, [activity(source.campaign_id, *row) for row in rows])

        yield say


def activity(campaign_id, subject, doing, text, lease, ago):
    since = datetime.now(UTC) - timedelta(seconds=ago)
    return Activity(
        campaign_id=campaign_id,
        subject=subject,
        doing=Doing(doing),
        text=text,
        lease=lease,
        since=since,
        updated_at=datetime.now(UTC),
    )


class Driver:
    """The view without a terminal: keys in, what the screen shows out."""

    def __init__(self, app, pilot):
        self.app, self.pilot = app, pilot

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self):
        await self.pilot.pause()
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    async def look(self):
        """Read the tracker now, and show it."""
        try:
            found = await asyncio.to_thread(self.app.feed.look, everything=True)
        except LoopsmithError as error:
            found = self.app.feed.reader.short(error)
        self.app._looked(found)
        await self.settle()

    async def until(self, words):
        """Wait until the screen shows these words."""
        for _ in range(100):
            if words in self.screen:
                return
            await self.settle()
            await asyncio.sleep(0.05)
        raise AssertionError(f"{words!r} did not come:\n{self.screen}")

    @property
    def rows(self):
        """The rows of the screen, as they go to the terminal."""
        strips = self.app.screen._compositor.render_strips()
        filters = self.app.get_line_filters()
        background = self.app.screen.background_colors[1]
        found = []
        for strip in strips:
            for each in filters:
                strip = strip.apply_filter(each, background)
            found.append(strip.text)
        return found

    @property
    def screen(self):
        return "\n".join(self.rows)


@pytest.fixture
def drive(source, monkeypatch):
    """Show the campaign on a screen of this size, and run a coroutine function on it."""
    for name in ("LC_ALL", "LC_CTYPE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")

    def play(scene, size=(80, 24)):
        async def body():
            app = Watch(source)
            async with app.run_test(size=size) as pilot:
                driver = Driver(app, pilot)
                await driver.until("| score" if size[0] > 100 else "score")
                await scene(driver)

        asyncio.run(body())

    return play
