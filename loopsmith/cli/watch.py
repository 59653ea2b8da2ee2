"""`loopsmith watch`: the full-screen view of a campaign, whoever runs it."""

import os

from loopsmith.cli.find import CampaignOption, StateOption, TrackerOption, WorkflowOption, find_campaign
from loopsmith.errors import UsageError


def watch(
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    """Watch a campaign in a full-screen view, and say a word to it; q closes it, and the campaign goes on."""
    from loopsmith.watch.terminal import unfit

    if why := unfit(os.environ):
        raise UsageError(why)
    with find_campaign(workflow, state, tracker, campaign) as found:
        source_of = (tracker or found.state.tracker, found.state, found.campaign.id, found.where)
    from loopsmith.watch.app import Watch
    from loopsmith.watch.feed import Source

    place, folder, campaign_id, where = source_of
    source = Source(tracker=place, state=folder, campaign_id=campaign_id, where=where, elsewhere=tracker is not None)
    Watch(source).run()
