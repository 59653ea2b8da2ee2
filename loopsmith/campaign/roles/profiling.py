"""Profile: where a new baseline spends its time, once for each, for the briefs that start from it."""

import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

from loopsmith import process
from loopsmith.campaign.context import Context
from loopsmith.campaign.live.activity import leased
from loopsmith.errors import WorkflowError
from loopsmith.log import mask
from loopsmith.process import clean_environment
from loopsmith.search.policy import seed_of
from loopsmith.verify.profilers import Profiler, profiler, summary
from loopsmith.verify.runner import Verifier
from loopsmith.workflow import Settings, Workflow
from loopsmith.workspace import Sandbox, make_verification_folder, remove_folder

ROLE = "profile"
PATIENCE = 5  # times verify.timeout: profilers slow a program down
READ = 4_000_000  # characters of a report


def chosen(settings: Settings) -> Profiler | None:
    return profiler(settings.roles.profile, settings.verify.command)


def check_profiler(workflow: Workflow, sandbox: Sandbox) -> None:
    """Fail before anything is spent where the profiler is not there.

    Raises:
        WorkflowError: with what to install.
    """
    wanted = chosen(workflow.settings)
    if wanted is None:
        return
    environment = clean_environment(workflow.settings.verify.env)
    with tempfile.TemporaryDirectory() as folder:
        argv = sandbox.wrap(["/bin/sh", "-c", wanted.needs], folder=Path(folder), network=False)
        try:
            done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, timeout=300)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise WorkflowError(f"roles.profile: it cannot be seen whether {wanted.name} is there: {error}") from error
    if done.returncode:
        raise WorkflowError(
            f"roles.profile: {wanted.name} is not there for the verifier's commands; {wanted.advice}, choose another "
            "recipe, or set `roles: {profile: off}`"
        )


def key_of(wanted: Profiler, commit: str) -> str:
    """Another command is another profile."""
    return f"{commit}.{sha256(wanted.command.encode()).hexdigest()[:12]}"


def known_profile(context: Context, commit: str) -> str:
    """The profile of a baseline in a few lines; empty where there is none."""
    wanted = chosen(context.settings)
    answer = context.store.answer(context.id, ROLE, key_of(wanted, commit)) if wanted else None
    return str(answer.data.get("text", "")) if answer else ""


async def profile(context: Context) -> None:
    """Profile the baseline, unless that was done; a profiler that fails costs the briefs its report and no more.

    Raises:
        HarnessError: the command could not be started.
        Stopped: the campaign is to end while it is paused.
    """
    wanted, commit = chosen(context.settings), context.baseline()
    if wanted is None or context.store.answer(context.id, ROLE, key_of(wanted, commit)):
        return
    await context.pause.gate()
    context.show("profile.running")
    text, problem = await run(context, wanted, commit)
    data = {"profiler": wanted.name, **({"problem": problem} if problem else {"text": mask(text)})}
    context.store.record_answer(context.id, ROLE, key_of(wanted, commit), data)
    if problem:
        context.emit("profile.failed", profiler=wanted.name, commit=commit, reason=problem)
    else:
        context.emit("profile.taken", profiler=wanted.name, commit=commit, characters=len(text))


async def run(context: Context, wanted: Profiler, commit: str) -> tuple[str, str]:
    """The summary of one run under the profiler, or why there is none."""
    settings = context.settings
    limit = settings.roles.profile.timeout or settings.verify.timeout * PATIENCE
    verify = settings.verify.model_copy(update={"timeout": limit})
    verifier = Verifier(settings.model_copy(update={"verify": verify}), context.sandbox)
    folder = context.state.work(context.id) / "profile"
    log = context.state.artifacts(context.id) / f"profile-{commit[:12]}.log"
    async with leased(context, wanted.name, subject=ROLE) as lease:
        source, links = context.workflow.source, context.workflow.links()
        make_verification_folder(context.repository, commit, folder, source=source, links=links)
        try:
            done = await verifier.command(
                wanted.command,
                folder,
                seed=seed_of(context.seed, ROLE, commit),
                log=log,
                mark=f"{context.id}.profile",
                cores=lease.cores,
                environment=lease.environment,
            )
            if not done.ok:
                how = "took too long" if done.timed_out else done.limit or f"exited with code {done.exit_code}"
                return "", f"{wanted.name} {how}: {process.tail(log)[-500:].strip()}"
            report = folder / wanted.file if wanted.file else log
            if wanted.file and (report.is_symlink() or not report.is_file()):
                return "", f"{wanted.name} wrote no {wanted.file}"
            with report.open(errors="replace") as file:
                text = file.read(READ)
        finally:
            remove_folder(folder)
    tokens = settings.roles.profile.tokens
    text = summary(text, tokens, folder=str(folder), stacks=wanted.name == "py-spy")
    return text, "" if text else f"{wanted.name} reported nothing"
