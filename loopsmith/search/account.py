"""One decided candidate, as another worker may read of it: what it tried, how it ended, what it taught, its patch."""

from loopsmith.records import Candidate, Decision
from loopsmith.search.memory import effect_words
from loopsmith.workflow.quote import NOTICE, fence, one_line

PATCH_SHOWN = 20_000  # characters


def account(
    candidate: Candidate, decision: Decision, patch: str, feedback: str = "", *, onto: str | None = None
) -> str:
    """In Markdown. A worker of another model wrote the words, and its program the patch: both are quoted as data.

    Args:
        patch: against what its worker started from.
        onto: against what the reader started from; None: that is the same.
    """
    # The reason of a rejection quotes names of files, which the candidate chose.
    reason = "it broke a guardrail" if decision.rule == "guardrail" else one_line(decision.reason)
    rows = (
        ("decision", reason),
        ("effect", effect_words(decision.effect)),
        ("hypothesis", candidate.hypothesis),
        ("summary", candidate.summary),
        ("did not work", candidate.tried),
        ("learned", candidate.lesson),
        ("next", candidate.try_next),
    )
    lines = [f"candidate c{candidate.number}: {candidate.status}"]
    lines += [f"- {name}: {one_line(text, 1000)}" for name, text in rows if text]
    if feedback:
        lines += ["", "What the verifier said of it.", NOTICE, fence(feedback)]
    if patch:
        lines += ["", "Its patch, against what its worker started from.", NOTICE, cut(patch)]
    if onto:
        lines += ["", "The way from your files, as you got them, to its files.", NOTICE, cut(onto)]
    elif onto is not None and patch:
        lines += ["", "Your files, as you got them, are its files."]
    return "\n".join(lines)


def cut(patch: str) -> str:
    more = f"\n[{len(patch) - PATCH_SHOWN:,} more characters]" if len(patch) > PATCH_SHOWN else ""
    return fence(patch[:PATCH_SHOWN]) + more
