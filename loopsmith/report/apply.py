"""Taking what a campaign kept: a branch of the user's repository, or one patch."""

import sys
from pathlib import Path

from loopsmith.errors import UsageError
from loopsmith.records import Campaign, Candidate, Decision
from loopsmith.search.memory import effect_words
from loopsmith.tracker import Store
from loopsmith.workflow.quote import one_line
from loopsmith.workspace import Repository, apply_branch, patch_text


def apply(
    store: Store, repository: Repository, campaign: Campaign, *, branch: str | None = None, patch: Path | None = None
) -> str:
    """Write the kept chain; gives a sentence that says where it is.

    Args:
        branch: of the user's repository; default `loopsmith/CAMPAIGN`. One commit for each kept candidate.
        patch: write one unified diff here instead; `-` for standard output.

    Raises:
        UsageError: nothing was kept, or the source has moved on so that it does not apply.
    """
    kept = store.kept(campaign.id)
    if not kept:
        raise UsageError("nothing was kept, so there is nothing to apply")
    if patch is not None:
        text = patch_text(repository, campaign.origin_commit, campaign.baseline_commit)
        if str(patch) == "-":
            sys.stdout.write(text)
            return "wrote the patch to standard output"
        try:
            patch.write_text(text, encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise UsageError(f"cannot write {patch}: {error.strerror}") from error
        return f"wrote {patch}; apply it with `git apply {patch}`"
    name = branch or f"loopsmith/{campaign.id}"
    commits = [(candidate.commit or "", message(candidate, decision, campaign)) for candidate, decision in kept]
    apply_branch(repository, Path(campaign.source), commits, name)
    return f"wrote {len(kept)} commits to the branch {name}; look at them with `git log -p {name}`"


def message(candidate: Candidate, decision: Decision, campaign: Campaign) -> str:
    """The message of a kept candidate's commit: hypothesis, summary, and the measured effect as trailers."""
    metric = campaign.settings["objective"]["metric"]
    body = candidate.summary.strip()
    title = one_line(candidate.hypothesis or body or f"candidate {candidate.number}", 72)
    trailers = [f"Loopsmith-Candidate: {candidate.id}", f"Loopsmith-Metric: {metric}"]
    if decision.effect is not None:
        trailers.append(f"Loopsmith-Effect: {effect_words(decision.effect)}, {decision.effect.samples} pairs")
    if decision.value is not None and decision.baseline_value is not None:
        trailers.append(f"Loopsmith-Value: {decision.baseline_value:.6g} -> {decision.value:.6g}")
    full = candidate.hypothesis.strip()
    parts = [title, full if title != full else "", body if body != full else "", "\n".join(trailers)]
    return "\n\n".join(part for part in parts if part) + "\n"
