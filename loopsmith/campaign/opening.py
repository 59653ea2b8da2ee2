"""Opening: from a workflow to a campaign that can run, new or resumed."""

import asyncio
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from loopsmith import log, observers
from loopsmith.agents import registry
from loopsmith.agents.recording import Tape
from loopsmith.campaign.context import Context
from loopsmith.campaign.live.asking import begin_run
from loopsmith.campaign.live.overrides import CHANGED, Override, ended, overrides, standing
from loopsmith.campaign.lock import exclusive
from loopsmith.campaign.measure.leases import Leases
from loopsmith.campaign.recovery import recover
from loopsmith.campaign.roles.profiling import check_profiler
from loopsmith.campaign.roles.providers import watch
from loopsmith.campaign.state import StateFolder
from loopsmith.campaign.stop import Stop
from loopsmith.errors import WorkflowError
from loopsmith.observers import notify
from loopsmith.protocols import Agent
from loopsmith.records import Campaign
from loopsmith.search.policy import build_policy
from loopsmith.tracker import Store, open_store
from loopsmith.verify.runner import Verifier
from loopsmith.workflow import Workflow
from loopsmith.workflow.change import differing
from loopsmith.workspace import Repository, Sandbox, make_verification_folder, remove_folder, snapshot

IDENTITY = {"objective": "objective", "verify": "verifier", "workspace": "editable or linked files"}


@contextmanager
def open_campaign(
    workflow: Workflow,
    state: StateFolder,
    *,
    tracker: str | None = None,
    new: bool = False,
    tape: Tape | None = None,
) -> Iterator[Context]:
    """Everything a campaign needs, held until the block ends: the lock, the tracker, the repository, the agent.

    Args:
        tracker: a SQLAlchemy URL; by default the SQLite file in the state folder.
        new: start a new campaign even where one could go on.
        tape: records the campaign's model calls, or replays them in a new campaign.

    Raises:
        LoopsmithError: with what to do. Nothing was spent.
    """
    state.create()
    with exclusive(state.lock) as note, open_store(tracker or state.tracker) as store:
        context = assemble(workflow, state, store, new=new, tape=tape)
        note(context.id)
        yield context


def assemble(filed: Workflow, state: StateFolder, store: Store, *, new: bool, tape: Tape | None) -> Context:
    """The parts of a campaign that holds its lock; what cannot work is said before it is written down."""
    repository = Repository.open(state.root)
    earlier = None if new or (tape and tape.replays) else begun_here(filed, store, repository)
    resumed = earlier if earlier and earlier.identity_hash == filed.identity else None
    workflow, given, held = as_set(store, filed, resumed)
    settings = workflow.settings
    log.register_environment({**os.environ, **settings.verify.env})
    open_sandbox = detect_sandbox(workflow, state)
    sandbox = without_holdout(workflow, open_sandbox)
    leases = Leases(settings.verify.resources)
    agent, roles = registry.build(settings, tape)
    outsiders, targets = observers.build(settings.observe), notify.build(settings.notify, workflow.folder)
    policy = build_policy(settings.search)
    commit = snapshot(
        repository,
        workflow.source,
        exclude=settings.workspace.exclude,
        links=workflow.links(holdout=True),
        max_size=settings.workspace.max_size,
    )
    if tape is not None:
        tape.check(resumed.id if resumed else None)
    check_agent(agent, workflow, repository, state, resumed.baseline_commit if resumed else commit)
    check_profiler(workflow, sandbox)
    notes: dict[str, dict[str, Any]] = {}
    if resumed:
        campaign = resume(workflow, store, repository, resumed, commit, notes)
    else:
        campaign = begin(workflow, store, repository, commit, earlier, notes)
    context = Context(
        campaign=campaign,
        seed=tape.begin(campaign.id) if tape else "",
        tape=tape,
        workflow=workflow,
        filed=filed,
        overrides=held,
        store=store,
        repository=repository,
        state=state,
        sandbox=sandbox,
        verifier=Verifier(settings, sandbox),
        holdout=holdout_verifier(workflow, open_sandbox),
        agent=agent,
        roles=roles,
        policy=policy,
        leases=leases,
        stop=Stop(),
        workers=asyncio.Semaphore(settings.search.workers),
        outsiders=outsiders,
        targets=targets,
    )
    watch(context)
    announce(context, notes, ended(given, held, workflow))
    return context


def begun_here(workflow: Workflow, store: Store, repository: Repository) -> Campaign | None:
    """The newest campaign of a workflow in this state folder: others may share the tracker, and the path too."""
    found = store.campaigns(str(workflow.path))
    return next((campaign for campaign in found if repository.baseline(campaign.id)), None)


def as_set(
    store: Store, filed: Workflow, resumed: Campaign | None
) -> tuple[Workflow, tuple[Override, ...], tuple[Override, ...]]:
    """The workflow with what was set live in earlier runs; all that was set, and what of it still holds."""
    if resumed is None:
        return filed, (), ()
    begin_run(store, resumed.id)
    given = overrides(store, resumed.id)
    workflow, held = standing(filed, given)
    return workflow, given, held


def announce(context: Context, notes: dict[str, dict[str, Any]], changes: Iterable[dict[str, Any]]) -> None:
    """Put back what a killed run left, and write the events that a run begins with."""
    if released := recover(context.store, context.repository, context.state, context.id):
        notes["campaign.recovered"] = {"candidates": released}
    if context.sandbox.missing:
        sandbox = context.sandbox
        notes["sandbox.missing"] = {"reason": sandbox.reason, "not_protected": list(sandbox.missing)}
    for name, data in notes.items():
        context.emit(name, **data)
    for data in changes:
        context.emit(CHANGED, **data)


def detect_sandbox(workflow: Workflow, state: StateFolder) -> Sandbox:
    """How the campaign's commands are confined.

    Raises:
        HarnessError: not as the workflow requires.
    """
    settings = workflow.settings
    return Sandbox.detect(
        settings.sandbox,
        state=state.root,
        source=workflow.source,
        links=settings.workspace.link,
        read=[workflow.folder / path for path in settings.verify.read],
        gpu=settings.verify.resources.gpu > 0,
        limits=settings.verify.limits.bounds(),
    )


def without_holdout(workflow: Workflow, sandbox: Sandbox) -> Sandbox:
    """The sandbox of every command but the hidden one: what that reads is out of sight."""
    hidden = workflow.settings.verify.holdout.link if workflow.settings.verify.holdout else ()
    return replace(sandbox, hide=(*sandbox.hide, *((workflow.source / path).resolve() for path in hidden)))


def holdout_verifier(workflow: Workflow, sandbox: Sandbox) -> Verifier | None:
    """A verifier of the hidden command; its sandbox does not hide what the command reads."""
    hidden = workflow.settings.verify.holdout
    if hidden is None:
        return None
    verify = workflow.settings.verify.model_copy(update={"command": hidden.command, "checks": (), "constraints": {}})
    decide = workflow.settings.decide.model_copy(update={"secondary": {}})
    return Verifier(workflow.settings.model_copy(update={"verify": verify, "decide": decide}), sandbox)


def check_agent(agent: Agent, workflow: Workflow, repository: Repository, state: StateFolder, commit: str) -> None:
    """Whether the agent can work on the editable files of a commit.

    Raises:
        WorkflowError: it cannot, or there is no such file.
    """
    files = [path for path in repository.files(commit) if workflow.editable(path)]
    if not files:
        globs = ", ".join(workflow.settings.workspace.editable)
        raise WorkflowError(
            f"no file in {workflow.source} matches workspace.editable ({globs}); ignored files do not count"
        )
    folder = state.work("check") / "baseline"
    make_verification_folder(repository, commit, folder, source=workflow.source, links=())
    try:
        agent.check(folder, files)
    finally:
        remove_folder(state.work("check"))


def begin(
    workflow: Workflow,
    store: Store,
    repository: Repository,
    commit: str,
    earlier: Campaign | None,
    notes: dict[str, dict[str, Any]],
) -> Campaign:
    """A new campaign on a snapshot of the source."""
    settings = workflow.settings
    resolved = settings.model_dump(mode="json")
    if earlier is not None:
        parts = [words for key, words in IDENTITY.items() if earlier.settings.get(key) != resolved[key]]
        notes["campaign.replaced"] = {"earlier": earlier.id, "changed": ", ".join(parts)}
    slug = re.sub(r"[^a-z0-9]+", "-", settings.name.lower()).strip("-")[:40] or "campaign"
    id = f"{slug}-{secrets.token_hex(3)}"
    repository.set_baseline(id, commit)  # before the record: by it `begun_here` knows the campaign
    return store.start_campaign(
        id=id,
        name=settings.name,
        workflow_path=str(workflow.path),
        workflow_text=workflow.text,
        workflow_hash=workflow.digest,
        identity_hash=workflow.identity,
        settings=resolved,
        source=str(workflow.source),
        origin_commit=commit,
        task_titles=[f"{settings.objective.direction} {settings.objective.metric}"],
    )


def resume(
    workflow: Workflow,
    store: Store,
    repository: Repository,
    campaign: Campaign,
    commit: str,
    notes: dict[str, dict[str, Any]],
) -> Campaign:
    """The campaign goes on; what changed since is noted."""
    if campaign.workflow_hash != workflow.digest:
        settings = workflow.settings.model_dump(mode="json")
        keys = differing(campaign.settings, settings)
        store.change_workflow(campaign.id, text=workflow.text, hash=workflow.digest, settings=settings, keys=keys)
    if repository.tree_id(commit) != repository.tree_id(campaign.origin_commit):
        notes["source.changed"] = {"going_on_from": campaign.origin_commit}
    return store.campaign(campaign.id)
