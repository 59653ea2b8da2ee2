"""The campaign's error: how much evidence the next test needs, given the tests before it.

e-LOND (Xu and Ramdas, "Online multiple testing with e-values", AISTATS 2024): test number t rejects when its e-value is
at least 1 / level, with level = alpha * weight(t) * (keeps so far + 1) and weights that sum to one. The expected share
of false keeps is then at most alpha, however the tests depend on each other; they do, as they share the pooled noise.
In a campaign without any effect a false keep is the only kind, so that the chance of any is at most alpha.

The ledger is nothing but the decisions in the tracker: each test's level stands in its decision's evidence.
"""

from collections.abc import Iterable

from loopsmith.records import Decision, Verdict

EXPONENT = 1.3  # of the weights t**-EXPONENT: flat enough for hundreds of tests, steep enough for the first
TOTAL = 3.9319493  # the sum of all of them, Riemann's zeta(1.3)
HIGHEST = 0.025  # so that a keep's two-sided 95 % interval never holds zero


def level(alpha: float, tests: int, keeps: int) -> float:
    """The level of the next test.

    Args:
        alpha: of the campaign.
        tests: how many were made before.
        keeps: how many of them kept their candidate.
    """
    weight: float = (tests + 1) ** -EXPONENT / TOTAL
    return min(HIGHEST, alpha * weight * (keeps + 1))


def next_level(alpha: float, decisions: Iterable[Decision]) -> tuple[int, float]:
    """The number of the next test, from 1, and its level.

    Args:
        decisions: of the campaign, in any order; those without a level in their evidence were no tests.
    """
    tests = keeps = 0
    for decision in decisions:
        if "level" in decision.evidence:
            tests += 1
            keeps += decision.verdict is Verdict.KEPT
    return tests + 1, level(alpha, tests, keeps)
