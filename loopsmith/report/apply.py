"""Taking what a campaign kept: a branch of the user's repository, or one patch."""

import sys
from dataclasses import replace
from pathlib import Path

from loopsmith.campaign.taking.comparing import Finding
from loopsmith.campaign.taking.picking import Kept, Picked, everything
from loopsmith.errors import UsageError
from loopsmith.records import Campaign, Candidate, Decision, Effect
from loopsmith.search.memory import effect_words
from loopsmith.tracker import Store
from loopsmith.verify.gain import total_effect
from loopsmith.workflow import Objective
from loopsmith.workflow.quote import one_line
from loopsmith.workspace import Repository, Step, patch_text, write_branch


def write_kept(
    store: Store,
    repository: Repository,
    campaign: Campaign,
    *,
    branch: str | None = None,
    patch: Path | None = None,
    squash: bool = False,
) -> str:
    """Write the kept chain; gives a sentence that says where it is.

    Args:
        branch: of the user's repository; default `loopsmith/CAMPAIGN`. One commit for each kept candidate.
        patch: write one unified diff here instead; `-` for standard output.
        squash: one commit of them all, whose message lists them.

    Raises:
        UsageError: nothing was kept, or the source has moved on so that it does not apply.
    """
    kept = store.kept(campaign.id)
    if not kept:
        raise UsageError("nothing was kept, so there is nothing to apply")
    picked = everything(repository, kept)
    return deliver(repository, campaign, picked, branch=branch, patch=patch, squash=squash)


def deliver(
    repository: Repository,
    campaign: Campaign,
    picked: Picked,
    *,
    branch: str | None = None,
    patch: Path | None = None,
    squash: bool = False,
    tree: str | None = None,
    note: str = "",
    finding: Finding | None = None,
    trial: bool = False,
) -> str:
    """Write changes, as `apply` does.

    Args:
        tree: what comes of them, where that is not all of them; then they are one commit.
        note: what the message of that says of it, in a sentence.
        finding: what was measured of them as a whole, where it was.
        trial: see whether it can be written, and write nothing.

    Raises:
        UsageError: it cannot be written.
    """
    if branch is not None and patch is not None:
        raise UsageError("give either --branch or --patch")
    end = tree or picked.trees[-1]
    if patch is not None:
        return "" if trial else write_patch(patch_text(repository, campaign.origin_commit, end), patch)
    name = branch or f"loopsmith/{campaign.id}"
    if squash or tree is not None:
        steps = [Step(campaign.origin_commit, end, squashed(campaign, picked, finding, note))]
    else:
        before = (campaign.origin_commit, *picked.trees)
        steps = [
            Step(one, after, message(candidate, decision, campaign, picked, finding))
            for one, after, (candidate, decision) in zip(before, picked.trees, picked.kept, strict=False)
        ]
    write_branch(repository, Path(campaign.source), steps, name, trial=trial)
    count = "1 commit" if len(steps) == 1 else f"{len(steps)} commits"
    return f"wrote {count} to the branch {name}; look at them with `git log -p {name}`"


def write_patch(text: str, patch: Path) -> str:
    if str(patch) == "-":
        sys.stdout.write(text)
        return "wrote the patch to standard output"
    try:
        patch.write_text(text, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"cannot write {patch}: {error.strerror}") from error
    return f"wrote {patch}; apply it with `git apply {patch}`"


def message(
    candidate: Candidate,
    decision: Decision,
    campaign: Campaign,
    picked: Picked | None = None,
    finding: Finding | None = None,
) -> str:
    """The message of a kept candidate's commit: hypothesis, summary, and the measured effect as trailers.

    Args:
        picked: what it is taken with.
        finding: what was measured of that as a whole.
    """
    body = candidate.summary.strip()
    title = title_of(candidate)
    trailers = [f"Loopsmith-Candidate: {candidate.id}", f"Loopsmith-Metric: {metric_of(campaign)}"]
    if decision.effect is not None:
        trailers.append(f"Loopsmith-Effect: {measured(decision.effect)}")
    if decision.value is not None and decision.baseline_value is not None:
        trailers.append(f"Loopsmith-Value: {decision.baseline_value:.6g} -> {decision.value:.6g}")
    full = candidate.hypothesis.strip()
    parts = [
        title,
        full if title != full else "",
        body if body != full else "",
        "\n".join([*trailers, *verified(picked, finding)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def squashed(campaign: Campaign, picked: Picked, finding: Finding | None = None, note: str = "") -> str:
    """The message of one commit of several changes: each with its effect, and the total with its interval."""
    objective = Objective.model_validate(campaign.settings["objective"])
    total = finding.effect if finding else None
    trailers = [f"Loopsmith-Campaign: {campaign.id}", f"Loopsmith-Metric: {objective.metric}"]
    trailers += [f"Loopsmith-Candidate: {candidate.id}" for candidate, _ in picked.kept]
    if not picked.alone:
        steps = total_effect(objective, (decision for _, decision in picked.kept))
        total = total or steps
        trailers += [f"Loopsmith-Effect: {effect_words(steps)}, the steps compounded"] if steps else []
    count = "1 change" if len(picked.kept) == 1 else f"{len(picked.kept)} changes"
    gained = f"{effect_words(replace(total, samples=0))} in {objective.metric}, " if total else ""
    lines = [f"- c{candidate.number}: {line_of((candidate, decision))}" for candidate, decision in picked.kept]
    title = one_line(f"{campaign.name}: {gained}{count}", 72)
    parts = [title, "\n".join(lines), note, "\n".join([*trailers, *verified(picked, finding)])]
    return "\n\n".join(part for part in parts if part) + "\n"


def verified(picked: Picked | None, finding: Finding | None) -> list[str]:
    """The trailer that says what was measured, as a whole, of what is taken."""
    if finding is not None:
        said = f"{measured(finding.effect)}" if finding.effect else finding.reason
        return [f"Loopsmith-Verified: {one_line(finding.state.name)}, {one_line(said)}, over {finding.reference.name}"]
    return ["Loopsmith-Verified: no"] if picked is not None and picked.alone else []


def line_of(kept: Kept) -> str:
    """A kept change in a line: its effect when it was kept, and what it was about."""
    candidate, decision = kept
    words = effect_words(decision.effect)
    return f"{words}: {title_of(candidate)}" if words else title_of(candidate)


def title_of(candidate: Candidate) -> str:
    return one_line(candidate.hypothesis or candidate.summary.strip() or f"candidate {candidate.number}", 72)


def measured(effect: Effect) -> str:
    return f"{effect_words(effect)}, " + (f"{effect.samples} pairs" if effect.samples else "repeats exactly")


def metric_of(campaign: Campaign) -> str:
    return str(campaign.settings["objective"]["metric"])
