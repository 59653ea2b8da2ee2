"""Everything that the tracker knows of one candidate, in words."""

from loopsmith.campaign.live.hints import hints, marks
from loopsmith.records import Candidate, Measurement
from loopsmith.search.memory import effect_words, lesson_words
from loopsmith.search.policy import MERGE
from loopsmith.search.reviewer import Review
from loopsmith.tracker import Store
from loopsmith.workspace import Repository


def patch_of(repository: Repository, candidate: Candidate) -> str:
    """A candidate's patch against what its worker started from; of a merge, which had none, against the baseline."""
    if not candidate.commit:
        return ""
    base = repository.parent(candidate.commit) if candidate.agent == MERGE else candidate.parent_commit
    return repository.diff(base or candidate.parent_commit, candidate.commit)


def show(store: Store, candidate: Candidate, patch: str) -> str:
    """What was tried, why it was decided so, the samples behind it, and the patch."""
    decision = store.decision(candidate.id)
    lines = [f"candidate {candidate.number} of {candidate.campaign_id}: {candidate.status}"]
    if decision is not None:
        lines.append(f"decision    {decision.reason}")
        if decision.effect is not None:
            pairs = (
                f", {decision.effect.samples} pairs" if decision.effect.samples else ", a metric that repeats exactly"
            )
            lines.append(f"effect      {effect_words(decision.effect)}{pairs}, rule {decision.rule}")
        if decision.value is not None and decision.baseline_value is not None:
            lines.append(f"values      {decision.value:.6g}, the baseline {decision.baseline_value:.6g}")
    rows = (
        ("hypothesis", candidate.hypothesis),
        ("emphasis", candidate.emphasis),
        ("planned", plan_words(candidate)),
        ("summary", candidate.summary),
        ("tried", candidate.tried),
        ("learned", candidate.lesson),
        ("next", candidate.try_next),
        ("constants", ", ".join(f"{name} = {value}" for name, value in candidate.params.items())),
        ("agent", f"{candidate.agent}, ended: {candidate.finish_reason or 'not yet'}, attempt {candidate.attempt}"),
        ("parent", candidate.parent_commit[:12]),
        ("commit", (candidate.commit or "")[:12]),
        ("lines", f"+{candidate.lines_added} -{candidate.lines_removed}" if candidate.commit else ""),
    )
    lines += [f"{name:<11} {text}" for name, text in rows if text]
    lines += review_rows(store, candidate)
    lines += hint_rows(store, candidate)
    lines += [f"lesson      {line}" for line in lessons_of(store, candidate)]
    usage = store.spent(candidate.campaign_id, candidate_id=candidate.id)
    if usage.calls:
        lines.append(f"spent       {usage.calls} calls, {usage.tokens} tokens, ${usage.cost_usd:.4f}")
    measurements = store.measurements(candidate.campaign_id, candidate_id=candidate.id)
    if measurements:
        lines += ["", "measurements", *(measurement_row(item, candidate) for item in measurements)]
    tail = str(decision.evidence.get("tail", "")).strip() if decision else ""
    if tail:
        lines += ["", "output, its end", *(f"  | {line}" for line in tail.splitlines()[-20:])]
    events = store.events(candidate.campaign_id, name="verifier.feedback")
    said = [str(event.data["text"]) for event in events if event.candidate_id == candidate.id]
    if said:
        lines += ["", "feedback", *(f"  | {line}" for line in said[-1].splitlines())]
    artifacts = store.artifacts(candidate.campaign_id, candidate.id)
    if artifacts:
        lines += ["", "artifacts", *(f"  {item.kind:<11} {item.path}" for item in artifacts)]
    if patch:
        lines += ["", patch.rstrip("\n")]
    return "\n".join(lines)


def plan_words(candidate: Candidate) -> str:
    """What the planner said, with its own words for the hypothesis where the worker had others."""
    plan = candidate.plan
    parts = [str(plan.get("category", "")), str(plan.get("expected_effect", ""))]
    parts += [f"{plan['risk']} risk"] if plan.get("risk") else []
    parts += [str(plan["text"])] if plan.get("text") and plan["text"] != candidate.hypothesis else []
    return "; ".join(part for part in parts if part)


def hint_rows(store: Store, candidate: Candidate) -> list[str]:
    """What a person asked for, and the candidate took up."""
    if not (numbers := marks(candidate.hypothesis)):
        return []
    given = [item for item in hints(store, candidate.campaign_id) if item.number in numbers]
    return [f"takes up    hint {item.number} of a person: {item.text}" for item in given]


def review_rows(store: Store, candidate: Candidate) -> list[str]:
    """What the reviewer said of each state of the patch that it read."""
    rows = []
    for answer in store.answers(candidate.campaign_id, role="reviewer", candidate_id=candidate.id):
        if answer.data:
            review = Review.model_validate(answer.data)
            words = ": ".join(filter(None, (review.verdict.replace("_", " "), "; ".join(review.lines()))))
            rows.append(f"reviewer    {words}")
    return rows


def lessons_of(store: Store, candidate: Candidate) -> list[str]:
    """The lessons that the candidate shows, or retired."""
    return [
        lesson_words(item)
        for item in store.lessons(candidate.campaign_id, retired=True)
        if candidate.id in (*item.evidence, item.retired_by)
    ]


def measurement_row(item: Measurement, candidate: Candidate) -> str:
    side = "candidate" if item.commit == candidate.commit else "baseline"
    return (
        f"  {item.phase:<8} {side:<10} pair {item.pair}  {item.metric} = {item.value:.6g}  "
        f"seed {item.seed}  {item.seconds:.1f} s"
    )
