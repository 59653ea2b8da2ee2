"""`loopsmith watch`: the full-screen view of a campaign, whoever runs it; and of one that this process runs."""

import asyncio
import os
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from loopsmith import report
from loopsmith.campaign.context import Context
from loopsmith.campaign.state import StateFolder
from loopsmith.cli.find import find_campaign
from loopsmith.cli.options import CampaignOption, StateOption, TrackerOption, WorkflowOption
from loopsmith.errors import UsageError
from loopsmith.library.run import Running, in_thread


def watch(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    check_terminal()
    with find_campaign(workflow, state, tracker, campaign) as found:
        folder, campaign_id, where = found.state, found.campaign.id, found.where
    from loopsmith.watch.app import Watch

    Watch(source(folder, tracker, campaign_id, where)).run()


def check_terminal() -> None:
    """Raises UsageError where no full-screen view can be shown."""
    from loopsmith.watch.terminal import unfit

    if why := unfit(os.environ):
        raise UsageError(why)


def source(folder: StateFolder, tracker: str | None, campaign_id: str, where: str) -> Any:
    from loopsmith.watch.feed import Source

    return Source(
        tracker=tracker or folder.tracker,
        state=folder,
        campaign_id=campaign_id,
        where=where,
        elsewhere=tracker is not None,
    )


class Watched:
    """A campaign that runs in a thread of this process, while the view has the first one.

    Args:
        opened: the campaign, as `open_campaign` gives it.
    """

    def __init__(self, opened: AbstractContextManager[Context], accept_noise: bool):
        self.opened, self.accept_noise = opened, accept_noise
        self.running = Running()
        self.campaign_id: str | None = None
        self.view: dict[str, Any] = {}  # as `report.status` has it, once it has ended
        self.error: BaseException | None = None
        self._known, self._ended = threading.Event(), threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="campaign", daemon=True).start()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def stop(self) -> None:
        """As Ctrl-C: once finishes what is being decided, twice stops now."""
        self.running.interrupt()

    def wait_until_known(self) -> None:
        """Until it is open, or is not going to be."""
        in_thread(self._known.wait, interrupted=self.stop, tick=lambda: None)

    def wait(self) -> None:
        """Until it has ended; Ctrl-C stops it meanwhile."""
        in_thread(self._ended.wait, interrupted=self.stop, tick=lambda: None)

    def _run(self) -> None:
        try:
            with self.opened as context:
                context.accept_noise = self.accept_noise
                self.campaign_id = context.id
                self._known.set()
                try:
                    asyncio.run(self.running.run(context))
                except asyncio.CancelledError:
                    pass  # the summary says that it was stopped, and how to go on
                finally:
                    self.view = report.status(context.store, context.store.campaign(context.id))
        except BaseException as error:
            self.error = error
        finally:
            self._known.set()
            self._ended.set()


def run_watched(
    opened: AbstractContextManager[Context],
    folder: StateFolder,
    tracker: str | None,
    where: str,
    *,
    accept_noise: bool,
) -> tuple[dict[str, Any], Path | None]:
    """Run a campaign behind the full-screen view; gives how it stands at its end, and its report.

    Raises:
        LoopsmithError: it could not start, or failed.
    """
    campaign = Watched(opened, accept_noise)
    campaign.start()
    campaign.wait_until_known()
    if campaign.campaign_id is not None:
        from loopsmith.watch.app import Watch

        Watch(source(folder, tracker, campaign.campaign_id, where), campaign).run()
        if not campaign.ended:
            print("the view has ended and the campaign goes on; Ctrl-C stops it", file=sys.stderr)
        campaign.wait()
    if campaign.error is not None:
        raise campaign.error
    return campaign.view, campaign.running.report
