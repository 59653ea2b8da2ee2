"""How often a campaign keeps what is no better, and what it takes to find what is: simulated verifiers, no model.

    python benchmarks/null.py [--json] [--quick]

Through the functions by which a campaign decides (`loopsmith.verify`: noise, level, statistics, paired, online) go
campaigns of 100 rounds under each kind of noise, with one or eight candidates to a round, beside two rules that are
common elsewhere: `once`, a single run that is strictly better than the baseline's recorded value, and `mean-of-3`, the
same for means of three runs. `exact` is loopsmith with `decide.rule: exact`.

A noise unit is the standard deviation of one run, 1 % of the baseline. Noises: Gaussian; Student's t with three degrees
of freedom; lognormal with a log deviation of 0.5; autocorrelated, AR(1) with 0.6 from run to run; drift, Gaussian on a
machine that slows down by 20 % from the first to the last round. With effect 0 no candidate is any better. Otherwise
one candidate of each tenth round is better by `effect` units and all others are not; a keep becomes the baseline.

    campaign_false_keep_rate      share of campaigns that kept a candidate without effect
    false_keep_share              of all keeps
    power, power_within_12        share of the planted candidates that were kept, at all and within 12 pairs
    median_pairs                  to the keep of a planted one
    measurements_per_candidate    every run counts: calibration, screening, both sides of the pairs, repeated baselines
    bias                          of the reported effect of kept planted candidates, as a share of the true one
"""

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from loopsmith.campaign.measure.replicates import NEWEST
from loopsmith.campaign.round import FINALISTS
from loopsmith.records import Decision, Verdict
from loopsmith.verify import noise as noises
from loopsmith.verify.level import Level, Timed, weigh
from loopsmith.verify.level import level as level_now
from loopsmith.verify.online import level
from loopsmith.verify.paired import Confirmation, estimate, gains_of, look
from loopsmith.verify.statistics import Screening, screen
from loopsmith.workflow.schema import Calibrate, Decide, Objective, Repeats

NOISES = ("gaussian", "student-t3", "lognormal", "autocorrelated", "drift")
UNIT = 0.01  # one noise unit, as a share of the baseline
ROUNDS, EVERY = 100, 10
OBJECTIVE = Objective(metric="speed", direction="maximize")
PAIRS, RUNS, ALPHA = Repeats().confirm, Calibrate().runs, Decide().alpha


def draw(kind: str, count: int, rng: np.random.Generator) -> list[float]:
    """Noise of successive runs, with a standard deviation of one."""
    match kind:
        case "student-t3":
            return list(rng.standard_t(3, count) / math.sqrt(3))
        case "lognormal":
            values = np.exp(0.5 * rng.normal(size=count))
            return list((values - math.exp(0.125)) / math.sqrt((math.exp(0.25) - 1) * math.exp(0.25)))
        case "autocorrelated":
            steps, values = rng.normal(size=count) * 0.8, np.empty(count)
            last = rng.normal()
            for index, step in enumerate(steps):
                last = values[index] = 0.6 * last + step
            return list(values)
        case _:
            return list(rng.normal(size=count))


class Machine:
    """Gives the values of runs, each with the next noise; slows down from round to round where the noise is drift."""

    def __init__(self, kind: str, best_of: int, seed: int):
        self.rng = np.random.default_rng(seed)
        self.kind, self.noise, self.runs, self.round = kind, iter(()), 0, 0
        self.best_of = best_of

    def run(self, level: float) -> float:
        self.runs += 1
        value = next(self.noise, None)
        if value is None:
            self.noise = iter(draw(self.kind, 5000, self.rng))
            value = next(self.noise)
        speed = 1 - 0.2 * self.round / ROUNDS if self.kind == "drift" else 1.0
        return level * speed * (1 + UNIT * value)


@dataclass
class Tally:
    """What came of the campaigns of one row."""

    campaigns: int = 0
    candidates: int = 0
    runs: int = 0
    spoilt: int = 0  # campaigns with a false keep
    false: int = 0
    planted: int = 0
    pairs: list[int] = field(default_factory=list)  # of each kept planted one
    effects: list[float] = field(default_factory=list)  # reported for them, in noise units

    def row(self, kind: str, best_of: int, rule: str, effect: float) -> dict[str, object]:
        kept, keeps = len(self.pairs), len(self.pairs) + self.false
        planted = self.planted or math.nan
        return {
            "noise": kind,
            "best_of": best_of,
            "rule": rule,
            "effect": effect,
            "campaigns": self.campaigns,
            "campaign_false_keep_rate": round(self.spoilt / self.campaigns, 4),
            "false_keep_share": round(self.false / keeps, 4) if keeps else 0.0,
            "power": round(kept / planted, 3) if self.planted else None,
            "power_within_12": round(sum(n <= 12 for n in self.pairs) / planted, 3) if self.planted else None,
            "median_pairs": statistics.median(self.pairs) if self.pairs else None,
            "measurements_per_candidate": round(self.runs / self.candidates, 3),
            "bias": round(statistics.mean(self.effects) / effect - 1, 3) if self.effects and effect else None,
        }


Keep = tuple[int, int, float]  # which candidate, after how many pairs, with which reported effect (a share)


class Simple:
    """Keep what measures strictly better than the baseline did, by means of `runs` runs."""

    def __init__(self, runs: int):
        self.runs, self.value = runs, math.nan

    def start(self, machine: Machine, baseline: float) -> None:
        self.value = self.measure(machine, baseline)

    def measure(self, machine: Machine, level: float) -> float:
        return statistics.fmean(machine.run(level) for _ in range(self.runs))

    def round(self, machine: Machine, baseline: float, candidates: list[float]) -> Keep | None:
        values = [self.measure(machine, candidate) for candidate in candidates]
        best = max(values)
        if best <= self.value:
            return None
        gain, self.value = best / self.value - 1, best
        return values.index(best), self.runs, gain


class Loopsmith:
    """A campaign's decisions, by the functions that campaign/ calls."""

    def __init__(self, rule: str):
        self.rule = rule
        self.series: list[list[float]] = []  # runs of each baseline alone
        self.known: list[Timed] = []  # all runs of the present baseline
        self.confirmations: list[list[noises.Pair]] = []
        self.noise = noises.pool((), ())
        self.tests = self.keeps = self.screens = 0
        self.chosen: tuple[tuple[int, int], list[float]] = ((-1, -1), [])
        self.order = random.Random(1)

    def start(self, machine: Machine, baseline: float) -> None:
        values = [machine.run(baseline) for _ in range(RUNS)]
        self.known = [Timed(number, value) for number, value in enumerate(values)]
        self.series.append(values)
        self.learn()

    def learn(self) -> None:
        self.noise = noises.pool(self.series, self.confirmations)

    def level(self, machine: Machine) -> Level:
        if self.chosen[0] != (key := (self.tests, len(self.known))):
            self.chosen = (key, weigh(self.known[-NEWEST:], self.noise.spread * self.known[-1].value))
        return level_now(self.known, machine.runs, self.noise.spread * self.known[-1].value, self.chosen[1])

    def round(self, machine: Machine, baseline: float, candidates: list[float]) -> Keep | None:
        finalists = []
        for index, candidate in enumerate(candidates):
            values: list[float] = []
            found: Decision | Screening = Screening.AGAIN
            while found is Screening.AGAIN:
                now = self.level(machine)
                if self.screens >= now.refresh_after:
                    self.screens = 0
                    value = machine.run(baseline)
                    self.known.append(Timed(machine.runs, value))
                    self.series[-1].append(value)
                    self.learn()
                    now = self.level(machine)
                self.screens += 1
                values.append(machine.run(candidate))
                found = screen(OBJECTIVE, now, values, self.noise, pairs=PAIRS)
            if found is Screening.CONFIRM:
                finalists.append((statistics.fmean(values), index))
        for _, index in sorted(finalists, reverse=True)[:FINALISTS]:
            keep = self.confirm(machine, baseline, candidates[index])
            if keep is not None:
                return index, *keep
        return None

    def confirm(self, machine: Machine, baseline: float, candidate: float) -> tuple[int, float] | None:
        test = Confirmation(
            objective=OBJECTIVE,
            noise=self.noise,
            centre=self.level(machine).value,
            number=self.tests + 1,
            level=level(ALPHA, self.tests, self.keeps),
            pairs=PAIRS,
            rule="exact" if self.rule == "exact" else "pooled",
        )
        pairs: list[noises.Pair] = []
        times = []
        while True:
            times.append(machine.runs)
            if self.order.random() < 0.5:
                one = machine.run(baseline)
                pairs.append((one, machine.run(candidate)))
            else:
                other = machine.run(candidate)
                pairs.append((machine.run(baseline), other))
            found = look(test, pairs)
            if found.verdict is not None:
                break
        self.tests += 1
        self.screens = 0
        self.confirmations.append(pairs)
        self.learn()
        if found.verdict is not Verdict.KEPT:
            self.known += [Timed(time, pair[0]) for time, pair in zip(times, pairs, strict=True)]
            return None
        self.keeps += 1
        self.known = [Timed(time, pair[1]) for time, pair in zip(times, pairs, strict=True)]
        self.series.append([])
        share = test.centre / statistics.fmean(pair[0] for pair in pairs)
        return len(pairs), estimate(gains_of(test, pairs)) * share


RULES: dict[str, Callable[[], Simple | Loopsmith]] = {
    "once": lambda: Simple(1),
    "mean-of-3": lambda: Simple(3),
    "loopsmith": lambda: Loopsmith("pooled"),
    "exact": lambda: Loopsmith("exact"),
}


def campaign(tally: Tally, kind: str, best_of: int, rule: str, effect: float, seed: int) -> None:
    """One campaign of ROUNDS rounds, added to the tally."""
    machine, decider, baseline = Machine(kind, best_of, seed), RULES[rule](), 1.0
    decider.start(machine, baseline)
    false = 0
    for number in range(ROUNDS):
        machine.round = number
        planted = bool(effect) and number % EVERY == EVERY // 2
        candidates = [baseline] * best_of
        if planted:
            candidates[number // EVERY % best_of] = baseline * (1 + effect * UNIT)
        keep = decider.round(machine, baseline, candidates)
        if keep is not None:
            index, pairs, gain = keep
            if candidates[index] > baseline:
                tally.pairs.append(pairs)
                tally.effects.append(gain / UNIT)
            else:
                false += 1
            baseline = candidates[index]
        tally.planted += planted
    tally.campaigns += 1
    tally.candidates += ROUNDS * best_of
    tally.runs += machine.runs
    tally.spoilt += false > 0
    tally.false += false


def rows(quick: bool, rules: list[str], kinds: list[str], best_ofs: list[int], effects: list[float]) -> list[dict]:
    found = []
    for kind in kinds:
        for best_of in best_ofs:
            for rule in rules:
                for effect in effects:
                    if rule == "exact" and kind not in ("gaussian", "student-t3"):
                        continue
                    tally = Tally()
                    loops = rule in ("loopsmith", "exact")
                    if loops:
                        many = (400 if best_of == 1 else 200) if effect == 0 else (60 if best_of == 1 else 30)
                    else:
                        many = (100 if best_of == 1 else 20) if effect == 0 else 10
                    count = max(2, many // (25 if quick else 1))
                    began = time.perf_counter()
                    for number in range(count):
                        campaign(tally, kind, best_of, rule, effect, 1000 * number + NOISES.index(kind))
                    row = tally.row(kind, best_of, rule, effect)
                    found.append(row)
                    print(line(row), f"{time.perf_counter() - began:5.1f} s", file=sys.stderr, flush=True)
    return found


def line(row: dict[str, object]) -> str:
    return "  ".join(f"{'-' if value is None else value!s:>14}" for value in row.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a 25th of the campaigns, in some ten seconds")
    parser.add_argument("--rule", action="append", choices=list(RULES))
    parser.add_argument("--noise", action="append", choices=NOISES)
    parser.add_argument("--best-of", action="append", type=int)
    parser.add_argument("--effect", action="append", type=float)
    args = parser.parse_args()
    found = rows(
        args.quick,
        args.rule or list(RULES),
        args.noise or list(NOISES),
        args.best_of or [1, 8],
        args.effect or [0, 1, 2, 3, 4],
    )
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        print("  ".join(f"{key[:14]:>14}" for key in found[0]))
        print("\n".join(map(line, found)))


if __name__ == "__main__":
    main()
