"""Feedback: what the verifier said of each commit beside its metrics, kept for reflections and briefs."""

from dataclasses import replace

from loopsmith.campaign.context import Context
from loopsmith.records import Candidate, Phase, Run
from loopsmith.search.brief import Situation

SAID = "verifier.feedback"
NEWEST = 200  # commits that are remembered
SHOWN = 4  # of the last candidates
HEARD = (Phase.BASELINE, Phase.SCREEN)  # never what a holdout or a canary's run says


def record_feedback(
    context: Context, commit: str, candidate: Candidate | None, phase: Phase, pair: int, run: Run
) -> None:
    """Keep what was said in the first run of a commit, and in each that failed."""
    failed = run.verdict is not None and phase is Phase.CONFIRM
    if not run.feedback or not (failed or (phase in HEARD and (pair == 0 or run.verdict is not None))):
        return
    said = feedback(context)
    context.store.record_event(
        context.id,
        SAID,
        round_id=candidate.round_id if candidate else None,
        candidate_id=candidate.id if candidate else None,
        commit=commit,
        text=run.feedback,
    )
    said.pop(commit, None)
    said[commit] = run.feedback
    if len(said) > NEWEST:
        del said[next(iter(said))]


def feedback(context: Context) -> dict[str, str]:
    """What was said last of each commit; the tracker is read once."""
    if context.said is None:
        events = context.store.events(context.id, name=SAID, limit=NEWEST, newest_first=True)
        context.said = {event.data["commit"]: event.data["text"] for event in reversed(events)}
    return context.said


def with_feedback(context: Context, situation: Situation, commit: str) -> Situation:
    """The situation of workers that start from `commit`, with what was said of it and of the last candidates."""
    said = feedback(context)
    others = [(each, said[each.commit]) for each in situation.recent if each.commit in said and each.commit != commit]
    return replace(situation, feedback=said.get(commit, ""), remarks=others[:SHOWN])
