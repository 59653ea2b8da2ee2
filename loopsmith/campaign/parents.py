"""Parents: where a round's workers start, by the search policy's choices and by crossover."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

from loopsmith.campaign.context import Context
from loopsmith.campaign.observation import value_of
from loopsmith.errors import HarnessError
from loopsmith.records import Candidate, Decision, Status, Verdict
from loopsmith.search.crossover import pairs, share
from loopsmith.search.memory import effect_words, gain_words
from loopsmith.search.policy import Choice, Start, seed_of
from loopsmith.search.tree import Node, View
from loopsmith.verify.statistics import sign_of
from loopsmith.workflow.quote import one_line
from loopsmith.workspace import Repository, conflicted, lineage, merge_candidates, merged_from

ROOM = 0.75  # of guardrails.max_changed_lines: a parent that uses more of it against the baseline is not gone on from
STEP = 0.1  # width of a cell in the logarithm of a metric: about a tenth


def choose_starts(context: Context, number: int, count: int, first: int) -> tuple[Start, ...]:
    """Where each of a round's workers starts; those beyond start from the baseline.

    Args:
        number: of the round.
        first: the number of the first of these candidates.

    Raises:
        HarnessError: a policy that others wrote chose what is not in the tree.
    """
    search = context.settings.search
    if search.policy == "greedy" and not search.crossover:
        return ()
    view = view_of(context, number, count, first)
    crossed = list(crossovers(context, view, share(view, search.crossover)))
    left = View(
        baseline=view.baseline,
        nodes=view.nodes,
        round=number,
        first=first + len(crossed),
        count=count - len(crossed),
        seed=view.seed,
    )
    choices = context.policy.plan(left)[: left.count]
    return (*crossed, *(carry_out(context, left, choice) for choice in choices))


def crossovers(context: Context, view: View, count: int) -> Iterator[Start]:
    """The `count` best pairs whose merge is new; fewer where there are no more."""
    seen: set[str] = set()
    for one, other in pairs(view):
        if len(seen) >= count:
            return
        start = cross(context, one.commit or "", other.commit or "")
        if start is None or start.commit is None:
            continue
        tree = context.repository.tree_id(start.commit)
        if tree not in seen and not context.store.verified_twin(context.id, view.baseline, tree, ""):
            seen.add(tree)
            yield start


def carry_out(context: Context, view: View, choice: Choice) -> Start:
    """A policy's choice as a commit to start from. What cannot be merged starts from the first of the two."""
    known = {node.commit for node in view.nodes if node.open} | {view.baseline}
    parents = list(dict.fromkeys(choice.parents))
    if len(parents) > 2 or not known.issuperset(parents):
        name = context.settings.search.policy
        raise HarnessError(f"the search policy {name} chose parents that are not one or two verified candidates")
    merged = cross(context, *parents) if len(parents) == 2 else None
    if merged is not None:
        return Start(commit=merged.commit, emphasis=choice.emphasis, finished=merged.finished)
    commit = next(iter(parents), view.baseline)
    if commit == view.baseline or not has_room(context, commit):
        return Start(emphasis=choice.emphasis)
    return Start(commit=commit, emphasis=choice.emphasis)


def cross(context: Context, one: str, other: str) -> Start | None:
    """Two candidates merged on the baseline; None where nothing new comes of it, or nobody could resolve it."""
    markers = getattr(context.agent, "resolves_conflicts", True)
    merge = merge_candidates(context.repository, context.baseline(), one, other, markers=markers)
    if merge is None or not has_room(context, merge.commit):
        return None
    return Start(commit=merge.commit, finished=not merge.conflicts)


def has_room(context: Context, commit: str) -> bool:
    """Whether a worker that starts from a commit may still change something, by the guardrail on size."""
    files = context.repository.patch(context.baseline(), commit).files
    most = context.settings.guardrails.max_changed_lines
    return sum(file.added + file.removed for file in files) <= ROOM * most


def view_of(context: Context, number: int, count: int, first: int) -> View:
    """The tree of the campaign's decided candidates."""
    store, origin = context.store, context.campaign.origin_commit
    nodes = [
        Node(
            number=0,
            commit=origin,
            parents=(),
            verdict=Verdict.KEPT,
            score=0.0,
            cell=cell_of(context, origin),
        )
    ]
    scores = {origin: 0.0}
    for candidate in store.candidates(context.id, statuses=[status for status in Status if status.final]):
        decision = store.decision(candidate.id)
        if decision is None:
            continue
        gain = gain_in_units(context, candidate, decision)
        base = scores.get(context.base(candidate))
        score = None if gain is None or base is None else base + gain
        if candidate.commit and score is not None:
            scores[candidate.commit] = score
        nodes.append(
            Node(
                number=candidate.number,
                commit=candidate.commit,
                parents=merged_from(context.repository, candidate.parent_commit) or (candidate.parent_commit,),
                verdict=decision.verdict,
                score=score,
                gain=gain or 0.0,
                cell=cell_of(context, candidate.commit) if candidate.commit else (),
                lines=change_of(context.repository, origin, candidate.commit)[2] if candidate.commit else frozenset(),
            )
        )
    seed = seed_of(context.seed, number, "policy")
    return View(baseline=context.baseline(), nodes=nodes, round=number, first=first, count=count, seed=seed)


def gain_in_units(context: Context, candidate: Candidate, decision: Decision) -> float | None:
    """How much better a candidate measured than its baseline then, in the metric's unit."""
    value = candidate.value if decision.value is None else decision.value
    baseline = decision.baseline_value
    if baseline is None:
        baseline = value_of(context, context.base(candidate))
    if value is None or baseline is None:
        return None
    return sign_of(context.settings.objective) * (value - baseline)


def cell_of(context: Context, commit: str) -> tuple[str, ...]:
    """The kind of change that a commit is against the untouched source: by its metrics, or by size and files."""
    metrics, origin = context.settings.search.cells, context.campaign.origin_commit
    if not metrics:
        return change_of(context.repository, origin, commit)[:2]
    own, before = context.measured(commit), context.measured(origin)
    return tuple(metric_cell(own.get(metric), before.get(metric)) for metric in metrics)


def metric_cell(values: Sequence[float] | None, before: Sequence[float] | None) -> str:
    """The cell of a metric: steps of a tenth from the untouched source's value; `?` where it is not positive."""
    if not values or not before or min(*values, *before) <= 0:
        return "?"
    ratio = (math.fsum(values) / len(values)) / (math.fsum(before) / len(before))
    return str(round(math.log(ratio) / STEP))


@lru_cache(maxsize=4096)
def change_of(repository: Repository, origin: str, commit: str) -> tuple[str, str, frozenset[int]]:
    """The size of a commit's change in powers of two, its files, and its lines as hashes."""
    patch = repository.patch(origin, commit)
    size = sum(file.added + file.removed for file in patch.files)
    path, lines = "", set()
    for line in patch.text.splitlines():
        if line.startswith(("--- ", "+++ ", "diff ")):
            path = line
        elif line.startswith(("+", "-")):
            lines.add(seed_of(path, line))
    return str(size.bit_length()), ", ".join(file.path for file in patch.files[:4]), frozenset(lines)


def start_words(context: Context, candidate: Candidate) -> str:
    """What a brief says of the files that a worker gets, where they are not the baseline's."""
    repository, start = context.repository, candidate.parent_commit
    if start == context.base(candidate):
        return ""
    decided = {item.commit: item for item in context.store.candidates(context.id) if item.commit}
    merged = merged_from(repository, start)
    named = [described(context, decided.get(commit)) for commit in merged or (start,)]
    words = f"Your files are not the baseline's. They hold {' merged with '.join(named)}."
    held = set(lineage(repository, start))
    if missing := [f"c{item.number}" for item, _ in context.store.kept(context.id) if item.commit not in held]:
        words += f" They lack what was kept elsewhere: {', '.join(missing)}."
    files = tuple(path for path in repository.files(start) if context.workflow.editable(path))
    if merged and (marked := conflicted(repository, start, files)):
        words += f" The two conflict: first resolve the conflict markers in {', '.join(map(one_line, marked))}."
    return f"{words} What you leave is compared with the baseline, as a whole."


def described(context: Context, candidate: Candidate | None) -> str:
    """A candidate in a few words: its number, what it measured, and its hypothesis."""
    if candidate is None:
        return "the untouched source"
    decision = context.store.decision(candidate.id)
    gain = effect_words(decision.effect) if decision else ""
    if not gain and decision and decision.value is not None and decision.baseline_value is not None:
        gain = gain_words(
            context.settings.objective.gain(decision.baseline_value, decision.value), decision.baseline_value
        )
    idea = one_line(candidate.hypothesis or candidate.summary, 200) or "no hypothesis"
    return f"candidate {candidate.number} ({gain or 'not measured'} over its baseline: {idea})"
