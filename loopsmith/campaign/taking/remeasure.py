"""Remeasure: runs of a campaign's verifier that are no part of the campaign.

They are made from what the campaign recorded, its settings and its snapshot, while it does not run. None of them is a
measurement, a decision or a lesson of the campaign: they enter no noise, no error and no brief. Each is made in a fresh
folder, in the same sandbox, under a lease, on a seed that nobody could know.
"""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from loopsmith import log
from loopsmith.campaign.lock import holder
from loopsmith.campaign.measure.leases import Leases
from loopsmith.campaign.measure.measuring import patiently, run_commit
from loopsmith.campaign.measure.replicates import baselines, confirmations, known_runs
from loopsmith.campaign.opening import detect_sandbox, holdout_verifier, without_holdout
from loopsmith.campaign.recovery import clear
from loopsmith.campaign.state import StateFolder
from loopsmith.errors import UsageError, WorkflowError
from loopsmith.records import Campaign, Phase, Run, Verdict
from loopsmith.tracker import Store
from loopsmith.verify.noise import Noise, median, pool
from loopsmith.verify.runner import Verifier
from loopsmith.workflow import Settings, Workflow
from loopsmith.workflow.evaluators import METRICS
from loopsmith.workflow.load import read_text
from loopsmith.workflow.problems import sentences
from loopsmith.workspace import Repository, Sandbox, remove_folder

MEASURED = "commit.measured"  # the event of a run that is used again when the same is asked for
PARTS = ("name", "objective", "workspace", "verify", "calibrate", "repeats", "decide", "guardrails", "sandbox")
Key = tuple[str, str, int]  # the series, the tree, the number of the run


@dataclass(kw_only=True)
class Remeasuring:
    """A campaign that does not run, opened to measure with its verifier.

    Attributes:
        notes: what a person should know of the circumstances, a sentence each.
        folder: of the logs of this call, under the campaign's artifacts.
        again: runs that were recorded before are not used.
        tell: hears in a few words what is measured now; empty: nothing.
        runs, seconds: made by now, and how long they took.
        controlled: a recorded run of a metric that repeats exactly was made once more, so that the others count too.
    """

    campaign: Campaign
    workflow: Workflow
    store: Store
    repository: Repository
    state: StateFolder
    sandbox: Sandbox
    verifier: Verifier
    holdout: Verifier | None
    leases: Leases
    notes: tuple[str, ...] = ()
    folder: Path
    again: bool = False
    tell: Callable[[str], None] = lambda text: None
    runs: int = 0
    seconds: float = 0.0
    controlled: bool = False
    _made: set[Key] = field(default_factory=set)  # in this call
    _noise: dict[str, Noise] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.campaign.id

    @property
    def settings(self) -> Settings:
        return self.workflow.settings

    @property
    def exact(self) -> bool:
        return bool(self.campaign.exact)

    @property
    def origin(self) -> str:
        return self.campaign.origin_commit

    def noise(self, metric: str) -> Noise:
        """The noise of a metric, from the campaign's replicates."""
        if metric not in self._noise:
            self._noise[metric] = pool(baselines(self, metric), confirmations(self, metric))
        return self._noise[metric]

    def level(self, commit: str) -> float | None:
        """The middle of what the campaign measured of a commit; None where it did not."""
        values = [item.value for item in known_runs(self, commit)]
        return median(values) if values else None

    def exact_value(self, commit: str) -> float | None:
        """What the campaign measured of a commit, of a metric that repeats exactly."""
        known = known_runs(self, commit)
        return known[-1].value if known else None

    @cached_property
    def run_seconds(self) -> float:
        """About how long a run takes, as the campaign measured its baselines."""
        taken = [item.seconds for item in self.store.measurements(self.id, phase=Phase.BASELINE)]
        return median(taken) if taken else 0.0

    @cached_property
    def known(self) -> dict[Key, Run]:
        """The recorded runs, by series, tree and number."""
        if self.again:
            return {}
        events = self.store.events(self.id, name=MEASURED)
        return {
            (item.data["series"], item.data["tree"], item.data["number"]): run_of(item.data["run"]) for item in events
        }

    async def run(
        self,
        state: str,
        *,
        series: str,
        number: int,
        seed: int | None = None,
        check: bool = False,
        hidden: bool = False,
    ) -> Run:
        """One run on a commit or a tree; one that was recorded is used as it is.

        Args:
            series: what the run belongs to; empty: it stands alone and is not recorded.
            seed: None: a fresh one.
            check: run the workflow's checks first.
            hidden: by the holdout's command.
        """
        tree = self.repository.tree_id(state)
        key = (series, tree, number)
        if series and (earlier := self.known.get(key)) is not None:
            if not self.exact or self.controlled or key in self._made or earlier.verdict is not None:
                return earlier
            again = await self.run(state, series="", number=number, seed=seed, check=check)
            metric = self.settings.objective.metric
            self.controlled = True
            if again.metrics.get(metric) == earlier.metrics[metric]:
                return earlier
            self.known.clear()
            self.notes += ("what was measured before does not repeat, so that all of it is measured anew",)
        name = f"{self.runs + 1}-{tree[:12]}{'-holdout' if hidden else ''}"
        self.folder.mkdir(parents=True, exist_ok=True)
        chosen = secrets.randbits(31) if seed is None else seed

        async def once() -> Run:
            async with self.leases.lease() as lease:
                return await run_commit(
                    self,
                    state,
                    lease,
                    name=f"remeasured.{name}",
                    log=self.folder / f"{name}.log",
                    seed=chosen,
                    mark=f"{self.id}.remeasured",
                    check=check,
                    hidden=hidden,
                )

        try:
            run = await patiently(self.settings.verify.failures, once)
        except BaseException:
            for file in self.folder.glob(f"{name}.*"):
                file.unlink()
            raise
        self.runs += 1
        self.seconds += run.seconds
        if series:
            self.known[key] = run
            self._made.add(key)
            record = dict_of(run)
            self.store.record_event(self.id, MEASURED, series=series, tree=tree, number=number, run=record)
        return run

    def discard_logs(self) -> None:
        """Remove the logs of this call, to which nothing refers."""
        if self.folder.exists():
            remove_folder(self.folder)


def reopen(
    store: Store, repository: Repository, state: StateFolder, campaign: Campaign, *, again: bool = False
) -> Remeasuring:
    """A campaign opened to measure with its verifier. Call it only while holding the state folder's lock.

    Args:
        again: measure anew what was recorded before.

    Raises:
        UsageError: nothing was measured yet, so that there is nothing to compare with.
        WorkflowError: the recorded settings cannot be used here.
        HarnessError: the sandbox is not as they require.
    """
    if campaign.exact is None:
        raise UsageError(
            f"{campaign.id} has not measured its baseline yet, so there is nothing to compare with; go on with "
            f"`loopsmith run {campaign.workflow_path}`"
        )
    workflow = recorded_workflow(campaign)
    settings = workflow.settings
    log.register_environment({**os.environ, **settings.verify.env})
    seen = detect_sandbox(workflow, state)
    sandbox = without_holdout(workflow, seen)
    clear(state, campaign.id)  # what a killed run left would disturb the measurements
    return Remeasuring(
        campaign=campaign,
        workflow=workflow,
        store=store,
        repository=repository,
        state=state,
        sandbox=sandbox,
        verifier=Verifier(settings, sandbox),
        holdout=holdout_verifier(workflow, seen),
        leases=Leases(settings.verify.resources),
        notes=circumstances(campaign, workflow),
        folder=state.artifacts(campaign.id).parent / "remeasured" / secrets.token_hex(4),
        again=again,
    )


def refuse_running(state: StateFolder) -> None:
    """Say why nothing can be measured while a campaign runs.

    Raises:
        UsageError: one runs.
    """
    process = holder(state.lock)
    if process is not None:
        raise UsageError(
            f"a campaign runs here, in process {process}, and measuring beside it would disturb its measurements; wait "
            "for its end, or end it with `loopsmith stop` and go on with `loopsmith run` afterwards (pausing does not "
            "help: a paused campaign keeps its place)"
        )


def recorded_workflow(campaign: Campaign) -> Workflow:
    """The workflow as the campaign recorded it, without its prompt and its agents; its file is not read.

    Raises:
        WorkflowError: a value is not there any more, or was a secret.
    """
    values = {part: campaign.settings[part] for part in PARTS if part in campaign.settings}
    verify = dict(values["verify"])
    if any(verify.get(kind) for kind in METRICS):
        del verify["command"]  # which follows from the evaluator
    if log.MASK in json.dumps(verify.get("env", {})):
        raise WorkflowError(
            f"verify.env held a secret, which {campaign.id} did not record; give it in the workflow as $VARIABLE, and "
            "run the campaign once more"
        )
    try:
        settings = Settings.model_validate({**values, "verify": verify})
    except ValidationError as error:
        raise WorkflowError(*(f"as {campaign.id} recorded it: {text}" for _, text in sentences(error))) from None
    return Workflow(Path(campaign.workflow_path), campaign.workflow_text, "", 1, settings)


def circumstances(campaign: Campaign, workflow: Workflow) -> tuple[str, ...]:
    """What is not as it was when the campaign ran."""
    notes = []
    try:
        changed = log.mask(read_text(workflow.path)) != campaign.workflow_text
    except WorkflowError:
        notes.append(f"{workflow.path} cannot be read any more: measured with the settings that the campaign recorded")
    else:
        if changed:
            notes.append(f"{workflow.path} has changed: measured with the settings that the campaign recorded")
    if not workflow.source.is_dir():
        notes.append(f"the source folder {workflow.source} is gone: measured on the snapshot of it")
    return tuple(notes)


def dict_of(run: Run) -> dict[str, object]:
    """A run as JSON has it."""
    return {
        "seed": run.seed,
        "metrics": run.metrics,
        "seconds": run.seconds,
        "log": str(run.log) if run.log else None,
        "verdict": run.verdict,
        "problem": run.problem,
        "tail": run.tail,
    }


def run_of(data: dict[str, object]) -> Run:
    found = {**data, "log": Path(str(data["log"])) if data["log"] else None}
    found["verdict"] = Verdict(str(data["verdict"])) if data["verdict"] else None
    return Run(**found)  # type: ignore[arg-type]
