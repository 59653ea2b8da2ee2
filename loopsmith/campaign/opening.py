"""Opening: from a workflow to a campaign that can run, new or resumed."""

import asyncio
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopsmith import agents
from loopsmith.campaign.context import Context
from loopsmith.campaign.leases import Leases
from loopsmith.campaign.lock import exclusive
from loopsmith.campaign.observation import editable_files
from loopsmith.campaign.recovery import recover
from loopsmith.campaign.state import StateFolder
from loopsmith.campaign.stop import Stop
from loopsmith.errors import WorkflowError
from loopsmith.records import Campaign
from loopsmith.tracker import Store, open_store
from loopsmith.verify.runner import Verifier
from loopsmith.workflow import Workflow
from loopsmith.workspace import Repository, Sandbox, make_verification_folder, remove_folder, snapshot

IDENTITY = {"objective": "objective", "verify": "verifier", "workspace": "editable files or links"}


@contextmanager
def open_campaign(
    workflow: Workflow, state: StateFolder, *, tracker: str | None = None, new: bool = False
) -> Iterator[Context]:
    """Everything a campaign needs, held until the block ends: the lock, the tracker, the repository, the agent.

    Args:
        tracker: a SQLAlchemy URL; by default the SQLite file in the state folder.
        new: start a new campaign even where one could go on.

    Raises:
        LoopsmithError: with what to do. Nothing was spent.
    """
    state.create()
    with exclusive(state.lock), open_store(tracker or state.tracker) as store:
        repository = Repository.open(state.root)
        sandbox = Sandbox.detect(workflow.settings.sandbox)
        leases = Leases(workflow.settings.verify.resources)
        agent, planner = agents.build(workflow.settings)
        campaign, notes = resume_or_start(workflow, store, repository, state, new=new)
        context = Context(
            campaign=campaign,
            workflow=workflow,
            store=store,
            repository=repository,
            state=state,
            sandbox=sandbox,
            verifier=Verifier(workflow.settings.verify, sandbox),
            agent=agent,
            planner=planner,
            leases=leases,
            stop=Stop(),
            workers=asyncio.Semaphore(workflow.settings.search.workers),
        )
        put_back = recover(store, repository, state, campaign.id)
        if put_back:
            notes["candidate.released"] = {"count": put_back}
        check_agent(context)
        for name, data in notes.items():
            context.emit(name, **data)
        yield context


def resume_or_start(
    workflow: Workflow, store: Store, repository: Repository, state: StateFolder, *, new: bool
) -> tuple[Campaign, dict[str, dict[str, object]]]:
    """The campaign of this workflow, and the events to write once it is open."""
    settings = workflow.settings
    path = str(workflow.path.resolve())
    earlier = None if new else store.find_campaign(path)
    exclude = [*settings.workspace.exclude]
    commit = snapshot(
        repository, workflow.source, exclude=exclude, max_size=settings.workspace.max_size, state=state.root
    )
    notes: dict[str, dict[str, object]] = {}
    if earlier is not None and earlier.identity_hash == workflow.identity:
        if earlier.workflow_hash != workflow.digest:
            store.change_workflow(
                earlier.id, text=workflow.text, hash=workflow.digest, settings=settings.model_dump(mode="json")
            )
        if not repository.same_tree(commit, earlier.origin_commit):
            notes["source.changed"] = {"going_on_from": earlier.origin_commit}
        return store.campaign(earlier.id), notes
    if earlier is not None:
        changed = changed_parts(earlier.settings, settings.model_dump(mode="json"))
        notes["campaign.replaced"] = {"earlier": earlier.id, "changed": changed}
    slug = re.sub(r"[^a-z0-9]+", "-", settings.name.lower()).strip("-")[:40] or "campaign"
    campaign = store.start_campaign(
        id=f"{slug}-{secrets.token_hex(3)}",
        name=settings.name,
        workflow_path=path,
        workflow_text=workflow.text,
        workflow_hash=workflow.digest,
        identity_hash=workflow.identity,
        settings=settings.model_dump(mode="json"),
        source=str(workflow.source),
        origin_commit=commit,
        task_titles=[f"{settings.objective.direction} {settings.objective.metric}"],
    )
    repository.set_baseline(campaign.id, commit)
    return campaign, notes


def changed_parts(before: dict[str, object], after: dict[str, object]) -> str:
    """Which of the parts that make a campaign what it is are different, in words."""
    return ", ".join(words for key, words in IDENTITY.items() if before.get(key) != after.get(key))


def check_agent(context: Context) -> None:
    """Whether the agent can work on the baseline's editable files.

    Raises:
        WorkflowError: it cannot, or there is no such file.
    """
    commit = context.baseline()
    files = editable_files(context, commit)
    if not files:
        globs = ", ".join(context.settings.workspace.editable)
        raise WorkflowError(
            f"no file in {context.workflow.source} matches workspace.editable ({globs}); ignored files do not count"
        )
    folder: Path = context.state.work(context.id) / "check"
    make_verification_folder(context.repository, commit, folder, links=(), source=context.workflow.source)
    try:
        context.agent.check(folder, files)
    finally:
        remove_folder(folder)
