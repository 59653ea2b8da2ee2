"""Reload: between rounds a campaign reads its workflow again, and goes on with what may change while it runs."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from loopsmith import log, workflow
from loopsmith.campaign.context import Context
from loopsmith.campaign.overrides import CHANGED, dumped, ended, standing
from loopsmith.campaign.parts import install, prepare
from loopsmith.errors import LoopsmithError, WorkflowError
from loopsmith.workflow import Workflow
from loopsmith.workflow.change import differing, refusal
from loopsmith.workflow.load import read_text

SETTLE = 0.5  # seconds in which a file that has changed must not change again: an editor may be writing it
Stamp = tuple[int, int, int] | None


@dataclass
class Watched:
    """The workflow's file, as the campaign saw it last."""

    path: Path
    text: str  # what the campaign goes by
    stamp: Stamp = None  # of the last look
    known: set[str] = field(default_factory=set)  # hashes of contents that were refused

    def __post_init__(self) -> None:
        stamp = stamp_of(self.path)
        try:
            if read_text(self.path) == self.text:
                self.stamp = stamp
        except WorkflowError:
            pass

    def new(self, text: str) -> bool:
        """Whether this content was not refused before."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        known = digest in self.known
        self.known.add(digest)
        return not known


def stamp_of(path: Path) -> Stamp:
    """What changes with a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


async def settle() -> None:
    """Give an editor the time to write the whole file."""
    await asyncio.sleep(SETTLE)


async def reload(context: Context, file: Watched) -> None:
    """Go on with the workflow's file as it is now, where that is possible; a broken one changes nothing."""
    stamp = stamp_of(file.path)
    if stamp == file.stamp:
        return
    await settle()
    if stamp_of(file.path) != stamp:
        return  # the next round looks again
    file.stamp = stamp
    try:
        if read_text(file.path) == file.text:
            return
        loaded = workflow.load(file.path, context.filed.overrides)
    except WorkflowError as error:
        tell(context, file, "workflow.invalid", str(error), text_of(file.path))
        return
    if why := unsafe(context.filed, loaded):
        tell(context, file, "workflow.refused", why, loaded.text)
        return
    effective, kept = standing(loaded, context.overrides)
    try:
        parts = prepare(context, effective)
    except LoopsmithError as error:
        tell(context, file, "workflow.refused", str(error), loaded.text)
        return
    over = ended(context.overrides, kept, effective)
    keys = changes(context.filed, loaded)
    context.store.change_workflow(
        context.id, text=loaded.text, hash=loaded.digest, settings=dumped(effective.settings), keys=keys
    )
    file.text, file.known = loaded.text, set()
    context.filed, context.overrides = loaded, kept
    install(context, effective, parts)
    log.info("workflow.changed", campaign=context.id, keys=keys)
    context.show("workflow.changed", keys=keys, after=loaded.digest)
    for each in over:
        context.emit(CHANGED, **each)


def changes(before: Workflow, now: Workflow) -> list[str]:
    """The dotted keys in which two workflows differ; `prompt` is the body."""
    keys = differing(dumped(before.settings), dumped(now.settings))
    return [*keys, *(["prompt"] if before.body != now.body else [])]


def unsafe(before: Workflow, now: Workflow) -> str:
    """Why a campaign cannot go on with an edited workflow before it is run again; empty where it can."""
    return "; ".join(filter(None, map(refusal, differing(dumped(before.settings), dumped(now.settings)))))


def tell(context: Context, file: Watched, name: str, problem: str, content: str) -> None:
    """Say once for each content why it is not used."""
    if file.new(content):
        reason = " ".join(problem.split())
        context.emit(name, reason=reason, hint="the campaign goes on with the workflow as it was")


def text_of(path: Path) -> str:
    """What stands for a file's content, whatever that is."""
    try:
        return path.read_bytes()[:1_000_000].hex()
    except OSError:
        return ""
