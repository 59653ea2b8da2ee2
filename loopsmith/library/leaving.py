"""What a campaign leaves behind when it ends: its report, in the state folder."""

from pathlib import Path

from loopsmith import log
from loopsmith.campaign.context import Context
from loopsmith.report.files import write_report
from loopsmith.report.morning import morning


def leave_report(context: Context) -> Path | None:
    """Write the report of a campaign that has ended; gives its page.

    None where it could not be written: a line of the log says why, and the campaign's end stays what it is.
    """
    try:
        campaign, store, state = context.store.campaign(context.id), context.store, context.state
        it = morning(store, campaign, context.repository, state=state.root)
        written, problems = write_report(it, state.report(campaign.id))
    except Exception as error:  # a full disk, a broken library: nothing that a report needs may end a campaign
        log.warning("report.failed", reason=str(error).partition("\n")[0] or type(error).__name__)
        return None
    for problem in problems:
        log.warning("report.incomplete", reason=problem)
    return written[0]
