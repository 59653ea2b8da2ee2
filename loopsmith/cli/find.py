"""From the options of a command to the campaign that it is about."""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from loopsmith import workflow
from loopsmith.campaign.lock import exclusive, holder
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import UsageError, WorkflowError
from loopsmith.records import Campaign
from loopsmith.tracker import Store, open_store
from loopsmith.tracker.database import parse, shown
from loopsmith.workspace import Repository


@dataclass(frozen=True, slots=True)
class Found:
    """A campaign, opened for reading."""

    store: Store
    state: StateFolder
    campaign: Campaign
    where: str  # the options that find it again
    elsewhere: bool = False  # the tracker is not the state folder's own: the campaign may run on another machine

    @property
    def process(self) -> int | None:
        """The process that runs it now."""
        return holder(self.state.lock, self.campaign.id)

    @property
    def repository(self) -> Repository:
        return Repository.open(self.state.root)


def state_folder(path: Path | None, state: Path | None) -> StateFolder:
    """The state folder that goes with a workflow file, or with the folder of one."""
    if state is not None:
        return StateFolder(state.expanduser().absolute())
    here = (Path.cwd() / ".loopsmith").absolute()
    if path is None and here.is_dir():
        return StateFolder(here)
    file = workflow.find(path)
    try:
        return StateFolder(workflow.load(file).state)
    except WorkflowError:
        beside = file.parent.absolute() / workflow.STATE_FOLDER
        if not beside.is_dir():
            raise
        return StateFolder(beside)  # its campaign goes on with the workflow as it was


@contextmanager
def find_campaign(
    path: Path | None,
    state: Path | None,
    tracker: str | None,
    campaign: str | None,
    *,
    writing: bool = False,
    asking: bool = False,
) -> Iterator[Found]:
    """The campaign that the options mean: for reading, for asking something of it, or for a change while none runs.

    Raises:
        UsageError: there is none, or one runs and `writing` was asked for.
    """
    folder = state_folder(path, state)
    if tracker is None and not folder.tracker.exists():
        raise UsageError(
            f"no campaign in {folder.root}; start one with `loopsmith run`, or name its workflow with -w PATH"
        )
    lock = exclusive(folder.lock) if writing else nullcontext()
    with lock, open_store(tracker or folder.tracker, read_only=not (writing or asking)) as store:
        elsewhere = tracker is not None and Path(store.place).absolute() != folder.tracker
        yield Found(store, folder, pick(store, campaign, path), where(path, state, tracker, campaign), elsewhere)


def pick(store: Store, campaign: str | None, path: Path | None) -> Campaign:
    campaigns = store.campaigns()
    if not campaigns:
        raise UsageError("the tracker holds no campaign yet; start one with `loopsmith run`")
    if campaign is None:
        if path is not None:
            campaigns = of_workflow(campaigns, path)
        return max(campaigns, key=lambda item: item.created_at)
    chosen = [item for item in campaigns if item.id == campaign or item.name == campaign]
    if not chosen:
        raise UsageError(f"no campaign {campaign!r}; there are {', '.join(item.id for item in campaigns)}")
    return max(chosen, key=lambda item: item.created_at)


def of_workflow(campaigns: Sequence[Campaign], path: Path) -> tuple[Campaign, ...]:
    """Those of a workflow, of several that share a tracker; where there is none, those whose workflow was moved.

    Raises:
        UsageError: all are of other workflows.
    """
    with suppress(WorkflowError):
        path = workflow.find(path)
    file = os.path.realpath(path)
    own = tuple(item for item in campaigns if os.path.realpath(item.workflow_path) == file)
    found = own or tuple(item for item in campaigns if not os.path.exists(item.workflow_path))
    if not found:
        others = ", ".join(f"{item.id} ({item.workflow_path})" for item in campaigns[:5])
        raise UsageError(f"no campaign of {path} yet; those of other workflows can be named with --campaign: {others}")
    return found


def where(path: Path | None, state: Path | None, tracker: str | None, campaign: str | None) -> str:
    """The options as they were given, without the password of a tracker's URL."""
    url = parse(tracker) if tracker is not None else None
    if url is not None and url.get_backend_name() != "sqlite":
        tracker = shown(url)
    given = (("-w", path), ("--state", state), ("--tracker", tracker), ("--campaign", campaign))
    return shlex.join(word for flag, value in given if value is not None for word in (flag, str(value)))
