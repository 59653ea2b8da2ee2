"""Recovery: put a campaign whose process ended anywhere back into a state from which it goes on.

The tracker is the authority. What was under way starts again: a worker from its brief, a verification from its
folder, a confirmation after the pairs that are recorded. Git references follow the tracker.
"""

from loopsmith.campaign.state import StateFolder
from loopsmith.process import sweep
from loopsmith.records import Status
from loopsmith.tracker import Store
from loopsmith.workspace import Repository

UNDER_WAY = (Status.RUNNING, Status.VERIFYING, Status.CONFIRMING)


def recover(store: Store, repository: Repository, state: StateFolder, campaign_id: str) -> int:
    """Gives how many candidates were put back. Call it only while holding the state folder's lock."""
    clear(state, campaign_id)
    waiting = store.candidates(campaign_id, statuses=UNDER_WAY)
    for candidate in waiting:
        store.release(candidate.id)
    campaign = store.campaign(campaign_id)
    repository.set_baseline(campaign_id, campaign.baseline_commit)
    return len(waiting)


def clear(state: StateFolder, campaign_id: str) -> None:
    """End the processes and remove the folders that killed runs left, of this campaign or of another one before it.

    Call it only while holding the state folder's lock.
    """
    for name in {campaign_id, *state.left()}:
        sweep(f"{name}.")
        state.sweep(name)
