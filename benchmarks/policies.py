"""Which search policy reaches a known optimum in how many measurements: simulated programs, no model.

    python benchmarks/policies.py [--json] [--quick]

The policies, crossover, the tuner and the decisions are loopsmith's own functions; programs, verifier and merges are
simulated. A program is a row of settings. The problems:

    deceptive  three traps of three switches: one or two of them alone make it worse (Deb and Goldberg 1993)
    rugged     twelve switches, each of which depends on four others (NK landscape, Kauffman and Levin 1987)
    equal      24 independent ideas; the 12 good ones gain the same, the others lose as much
    noisy      eight settings of ten values, smooth, gains of 1 to 3 % under noise of 1 % of a run

Who proposes: `small` changes one setting of what it starts from, `bold` up to four, `tuner` is loopsmith's tuner, which
knows the history. Beside them `optuna` alone (TPE, each trial one run) and `random` search. The start is the same for
all. Loopsmith has reached a target when a baseline that it kept has; the other two as soon as they try such a program,
whether or not they would know, which favours them under noise.

    reached       share of the seeds that reached the target within the limit of runs
    runs          median over the seeds, runs of the verifier with calibration and confirmations; the limit if never
    workers       likewise, workers that ran; a crossover that merges cleanly needs none
    to_greedy     runs of this policy over those of greedy with the same proposer
"""

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product

import null

from loopsmith.agents.space import Dimension
from loopsmith.agents.tuner import propose
from loopsmith.campaign.round import FINALISTS
from loopsmith.records import Status, Trial, Verdict
from loopsmith.search.crossover import pairs, share
from loopsmith.search.policy import build_policy, seed_of
from loopsmith.search.tree import Node, View
from loopsmith.verify.statistics import Screening, judge_exact, screen
from loopsmith.workflow.schema import Objective
from loopsmith.workflow.search import Search

Genome = tuple[int, ...]
OBJECTIVE = Objective(metric="speed", direction="maximize")
PER_ROUND = 4
POLICIES = {
    "greedy": {},
    "greedy+crossover": {"crossover": 0.25},
    "beam": {"policy": "beam"},
    "epsilon": {"policy": "epsilon"},
    "thompson": {"policy": "thompson"},
    "thompson+crossover": {"policy": "thompson", "crossover": 0.25},
    "islands": {"policy": "islands"},
    "islands+crossover": {"policy": "islands", "crossover": 0.25},
}


@dataclass(frozen=True)
class Problem:
    """A program with a known optimum; more is better."""

    name: str
    start: Genome
    values: int  # each setting takes 0 .. values - 1
    value: Callable[[Genome], float]
    target: float
    noise: float = 0.0  # of one run, as a share

    def reached(self, genome: Genome) -> bool:
        return self.value(genome) >= self.target - 1e-9


def deceptive(seed: int) -> Problem:
    order = random.Random(seed).sample(range(9), 9)

    def value(genome: Genome) -> float:
        total = 10
        for block in range(3):
            ones = sum(genome[place] for place in order[3 * block : 3 * block + 3])
            total += 3 if ones == 3 else 2 - ones
        return float(total)

    return Problem("deceptive", (0,) * 9, 2, value, 19.0)


def rugged(seed: int) -> Problem:
    count, depends = 12, 4
    rng = random.Random(seed)
    on = [(place, *rng.sample([each for each in range(count) if each != place], depends)) for place in range(count)]
    tables = [[rng.random() for _ in range(2 ** (depends + 1))] for _ in range(count)]

    def value(genome: Genome) -> float:
        return 10 + sum(
            table[sum(genome[place] << bit for bit, place in enumerate(places))]
            for table, places in zip(tables, on, strict=True)
        )

    best = max(value(genome) for genome in product((0, 1), repeat=count))
    return Problem("rugged", (0,) * count, 2, value, best)


def equal(seed: int) -> Problem:
    good = set(random.Random(seed).sample(range(24), 12))

    def value(genome: Genome) -> float:
        return 100.0 + sum(1 if place in good else -1 for place, on in enumerate(genome) if on)

    return Problem("equal", (0,) * 24, 2, value, 112.0)


def noisy(seed: int) -> Problem:
    rng = random.Random(seed)
    best = [rng.randrange(10) for _ in range(8)]
    start = tuple((each + 5) % 10 for each in best)

    def value(genome: Genome) -> float:
        return 100.0 - sum(0.25 * (one - other) ** 2 for one, other in zip(genome, best, strict=True))

    return Problem("noisy", start, 10, value, 95.0, noise=0.01)


PROBLEMS = {"deceptive": deceptive, "rugged": rugged, "equal": equal, "noisy": noisy}


class Mutator:
    """Changes between one and `most` settings of what it starts from; it knows nothing else."""

    def __init__(self, most: int):
        self.most = most

    def __call__(self, problem: Problem, parent: Genome, trials: list[Trial], seed: int) -> Genome | None:
        rng = random.Random(seed)
        child = list(parent)
        count = 1
        while count < self.most and rng.random() < 0.5:
            count += 1
        for place in rng.sample(range(len(child)), count):
            child[place] = rng.choice([value for value in range(problem.values) if value != child[place]])
        return tuple(child)


def tuner(problem: Problem, parent: Genome, trials: list[Trial], seed: int) -> Genome | None:
    """Loopsmith's own tuner, on the constants of the files that it starts from."""
    space = [Dimension(f"v{place}", "integer", 0, problem.values - 1) for place in range(len(parent))]
    found = propose(space, params_of(parent), trials, direction="maximize", seed=seed)
    return None if found is None else tuple(int(found[f"v{place}"]) for place in range(len(parent)))


def params_of(genome: Genome) -> dict[str, int]:
    return {f"v{place}": value for place, value in enumerate(genome)}


PROPOSERS = {"small": Mutator(1), "bold": Mutator(4), "tuner": tuner}


class Verifier(null.Loopsmith):
    """Screens and confirms as a campaign does, and counts the runs."""

    def __init__(self, problem: Problem, seed: int):
        super().__init__("pooled")
        self.problem = problem
        self.machine = null.Machine("gaussian", PER_ROUND, seed_of("noise", seed))
        self.exact = not problem.noise
        self.spent = 0

    @property
    def runs(self) -> int:
        return self.machine.runs + self.spent

    def begin(self, value: float) -> None:
        if self.exact:
            self.spent += null.RUNS
        else:
            self.start(self.machine, value)

    def screen_one(self, baseline: float, value: float) -> tuple[Screening | None, float]:
        """What screening says, None for a discard, and the mean of the candidate's runs."""
        if self.exact:
            self.spent += 1
            kept = judge_exact(OBJECTIVE, [baseline], value).verdict is Verdict.KEPT
            return (Screening.CONFIRM if kept else None), value
        values: list[float] = []
        while True:
            now = self.level(self.machine)
            if self.screens >= now.refresh_after:
                self.screens = 0
                again = self.machine.run(baseline)
                self.known.append(null.Timed(self.machine.runs, again))
                self.series[-1].append(again)
                self.learn()
                now = self.level(self.machine)
            self.screens += 1
            values.append(self.machine.run(value))
            found = screen(OBJECTIVE, now, values, self.noise, pairs=null.PAIRS)
            if found is not Screening.AGAIN:
                return (found if isinstance(found, Screening) else None), statistics.fmean(values)

    def now(self, baseline: float) -> float:
        return baseline if self.exact else self.level(self.machine).value

    def confirmed(self, baseline: float, value: float) -> float | None:
        """The gain that a confirmation shows, in the metric's unit; None where it shows none."""
        if self.exact:
            self.spent += 2
            return value - baseline
        found = self.confirm(self.machine, baseline, value)
        return None if found is None else found[1] * baseline


@dataclass
class Program:
    """A candidate of the simulation: what it holds, and which others that came of."""

    genome: Genome
    parents: tuple[str, ...]


@dataclass
class Campaign:
    """One campaign on one problem, by the functions that loopsmith's own calls."""

    problem: Problem
    search: Search
    proposer: Callable[[Problem, Genome, list[Trial], int], Genome | None]
    seed: int
    workers: int = 0
    number: int = 0
    rounds: int = 0
    baseline: str = "0"
    programs: dict[str, Program] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    measured: set[tuple[str, Genome]] = field(default_factory=set)
    beaten: list[tuple[float, str]] = field(default_factory=list)  # better when screened, behind the last winner

    def run(self, limit: int) -> tuple[bool, int, int]:
        """Whether it reached the target, after how many runs and workers."""
        policy, start = build_policy(self.search), self.problem.start
        self.verifier = Verifier(self.problem, self.seed)
        self.verifier.begin(self.value(start))
        self.programs["0"] = Program(start, ())
        self.nodes.append(self.node("0", (), Verdict.KEPT, 0.0, 0.0))
        while self.verifier.runs < limit and self.rounds < limit:
            if self.problem.reached(self.programs[self.baseline].genome):
                return True, self.verifier.runs, self.workers
            self.round(policy)
        return False, limit, self.workers

    def round(self, policy) -> None:
        self.rounds += 1
        planned: list[tuple[Genome, tuple[str, ...]]] = []
        if (again := self.runner_up()) is not None:
            planned.append(again)
        first, count = self.number + 1 + len(planned), PER_ROUND - len(planned)
        seed = seed_of(self.seed, self.rounds, "policy")
        view = View(baseline=self.baseline, nodes=self.nodes, round=self.rounds, first=first, count=count, seed=seed)
        crossed = list(self.crossovers(view, share(view, self.search.crossover)))
        planned += crossed
        view = replace(view, first=first + len(crossed), count=count - len(crossed))
        for index, choice in enumerate(policy.plan(view)):
            parent = choice.parents[0] if choice.parents else self.baseline
            self.workers += 1
            seed = seed_of(self.seed, self.rounds, index)
            child = self.proposer(self.problem, self.programs[parent].genome, self.trials, seed)
            planned.append((child or self.programs[parent].genome, (parent,)))
        self.verify(planned)

    def runner_up(self) -> tuple[Genome, tuple[str, ...]] | None:
        best = max(self.beaten, default=None)
        merged = None if best is None else self.merge(self.baseline, best[1])
        return None if merged is None else (merged, (self.baseline,))

    def crossovers(self, view: View, count: int) -> Iterator[tuple[Genome, tuple[str, ...]]]:
        seen: set[Genome] = set()
        for one, other in pairs(view):
            if len(seen) >= count:
                return
            genome = self.merge(one.commit or "", other.commit or "")
            if genome is not None and genome not in seen and (self.baseline, genome) not in self.measured:
                seen.add(genome)
                yield genome, (one.commit or "", other.commit or "")

    def lineage(self, commit: str) -> list[str]:
        found, queue = {commit: None}, [commit]
        while queue:
            for parent in self.programs[queue.pop(0)].parents:
                if parent not in found:
                    found[parent] = None
                    queue.append(parent)
        return list(found)

    def merge(self, one: str, other: str) -> Genome | None:
        """Both on the baseline, three-way; None where they conflict or nothing new comes of it."""
        held, genome = set(self.lineage(self.baseline)), self.programs[self.baseline].genome
        for commit in (one, other):
            ancestor = self.programs[next(each for each in self.lineage(commit) if each in held)].genome
            theirs = self.programs[commit].genome
            rows = list(zip(ancestor, genome, theirs, strict=True))
            if any(len({before, ours, their}) == 3 for before, ours, their in rows):
                return None
            genome = tuple(their if their != before else ours for before, ours, their in rows)
        return None if genome == self.programs[self.baseline].genome else genome

    def value(self, genome: Genome) -> float:
        return self.problem.value(genome)

    def node(self, commit: str, parents: tuple[str, ...], verdict: Verdict, score: float, gain: float) -> Node:
        genome = self.programs[commit].genome
        changed = [
            place for place, pair in enumerate(zip(genome, self.problem.start, strict=True)) if len(set(pair)) > 1
        ]
        return Node(
            number=int(commit),
            commit=commit,
            parents=parents,
            verdict=verdict,
            score=score,
            gain=gain,
            cell=(str((2 * len(changed)).bit_length()), ", ".join(sorted({f"file{place // 4}" for place in changed}))),
            lines=frozenset(1000 * place + genome[place] for place in changed),
        )

    def verify(self, planned: list[tuple[Genome, tuple[str, ...]]]) -> None:
        base, base_node = self.baseline, next(node for node in self.nodes if node.commit == self.baseline)
        held = self.value(self.programs[base].genome)
        waiting = []
        for genome, parents in planned:
            self.number += 1
            commit = str(self.number)
            if (base, genome) in self.measured or genome == self.programs[base].genome:
                continue  # a duplicate: it costs a worker, and no run
            self.measured.add((base, genome))
            self.programs[commit] = Program(genome, parents if len(parents) == 1 else (*parents, base))
            found, seen = self.verifier.screen_one(held, self.value(genome))
            gain = seen - self.verifier.now(held)
            if found is None:
                self.decided(commit, parents, Verdict.DISCARDED, seen, base_node.worth + gain, gain)
            else:
                waiting.append((gain, commit, parents, seen))
        self.beaten, winner = [], False
        for place, (gain, commit, parents, seen) in enumerate(sorted(waiting, key=lambda item: -item[0])):
            verdict = Verdict.DISCARDED
            if not winner and place < FINALISTS:
                shown = self.verifier.confirmed(held, self.value(self.programs[commit].genome))
                if shown is not None:
                    winner, verdict, gain, self.baseline = True, Verdict.KEPT, shown, commit
            elif winner:
                self.beaten.append((gain, commit))
            self.decided(commit, parents, verdict, seen, base_node.worth + gain, gain)

    def decided(self, commit: str, parents: tuple[str, ...], verdict: Verdict, seen: float, score: float, gain: float):
        self.nodes.append(self.node(commit, parents, verdict, score, gain))
        params = params_of(self.programs[commit].genome)
        known = any(trial.params == params for trial in self.trials)
        if not known or verdict is Verdict.KEPT:  # as the tuner's `comparable` does
            self.trials = [trial for trial in self.trials if trial.params != params]
            trial = Trial(
                number=int(commit), params=params, status=Status(verdict), value=seen, parent_commit=parents[0]
            )
            self.trials.append(trial)


def optuna_alone(problem: Problem, seed: int, limit: int) -> tuple[bool, int, int]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed_of("optuna", seed)))
    study.enqueue_trial(params_of(problem.start))
    rng = random.Random(seed_of("optuna", seed))
    for number in range(1, limit + 1):
        trial = study.ask()
        genome = tuple(trial.suggest_int(f"v{place}", 0, problem.values - 1) for place in range(len(problem.start)))
        if problem.reached(genome):
            return True, number, number
        study.tell(trial, problem.value(genome) * (1 + problem.noise * rng.gauss(0, 1)))
    return False, limit, limit


def random_search(problem: Problem, seed: int, limit: int) -> tuple[bool, int, int]:
    rng = random.Random(seed_of("random", seed))
    for number in range(1, limit + 1):
        if problem.reached(tuple(rng.randrange(problem.values) for _ in problem.start)):
            return True, number, number
    return False, limit, limit


def row(problem: str, proposer: str, policy: str, found: list[tuple[bool, int, int]], limit: int) -> dict[str, object]:
    return {
        "problem": problem,
        "proposer": proposer,
        "policy": policy,
        "seeds": len(found),
        "limit": limit,
        "reached": round(statistics.fmean(each[0] for each in found), 2),
        "runs": statistics.median(each[1] for each in found),
        "workers": statistics.median(each[2] for each in found),
        "to_greedy": None,
    }


def rows(args: argparse.Namespace) -> Iterator[dict[str, object]]:
    for name in args.problem or PROBLEMS:
        for proposer in args.proposer or PROPOSERS:
            slow = proposer == "tuner"
            seeds, limit = (args.seeds or (5 if slow else 15)), (300 if slow else 1000)
            if args.quick:
                seeds, limit = args.seeds or 3, 150 if slow else 400
            greedy = math.nan
            for policy in args.policy or POLICIES:
                settings = Search(candidates_per_round=PER_ROUND, **POLICIES[policy])
                found = [
                    Campaign(PROBLEMS[name](seed), settings, PROPOSERS[proposer], seed).run(limit)
                    for seed in range(seeds)
                ]
                result = row(name, proposer, policy, found, limit)
                greedy = float(result["runs"]) if policy == "greedy" else greedy  # type: ignore[arg-type]
                result["to_greedy"] = round(float(result["runs"]) / greedy, 2)  # type: ignore[arg-type]
                yield result
        seeds, limit = (args.seeds or 3, 150) if args.quick else (args.seeds or 5, 300)
        yield row(
            name, "-", "optuna", [optuna_alone(PROBLEMS[name](seed), seed, limit) for seed in range(seeds)], limit
        )
        seeds, limit = (args.seeds or 3, 400) if args.quick else (args.seeds or 15, 1000)
        yield row(
            name, "-", "random", [random_search(PROBLEMS[name](seed), seed, limit) for seed in range(seeds)], limit
        )


def line(result: dict[str, object]) -> str:
    return "  ".join(
        f"{'-' if value is None else value!s:>{18 if key == 'policy' else 9}}" for key, value in result.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="few seeds and low limits: whether it runs")
    parser.add_argument("--problem", action="append", choices=list(PROBLEMS))
    parser.add_argument("--proposer", action="append", choices=list(PROPOSERS))
    parser.add_argument("--policy", action="append", choices=list(POLICIES))
    parser.add_argument("--seeds", type=int)
    args = parser.parse_args()
    found: list[dict[str, object]] = []
    for result in rows(args):
        if not found and not args.json:
            print("  ".join(f"{key:>{18 if key == 'policy' else 9}}" for key in result))
        found.append(result)
        print(line(result), file=sys.stderr if args.json else sys.stdout, flush=True)
    if args.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
