"""Evidence from pairs of runs: two e-processes, each valid whenever one stops to look.

An e-process is a bet against "no effect" that starts at one and is not expected to grow while that is true; it reaches
1 / level with probability at most `level`, at any time (Ville's inequality; Ramdas, Gruenwald, Vovk and Shafer,
"Game-theoretic statistics and safe anytime-valid inference", Statistical Science 2023). So a confirmation may stop
after any pair, and a killed one may go on.

`pooled` is the default. Assumed is that a pair's difference under no effect is Student's t, symmetric, with an unknown
scale and three or more degrees of freedom (the heavy tails of timings), and that the scale
is that of the campaign's replicates. Random order within a pair gives the symmetry, and drift cancels out. The scale is
integrated out with the right Haar measure, over replicates and differences together, which makes the ratio exact for
every scale (Perez-Ortiz, Lardy, de Heide and Gruenwald, "E-statistics, group invariance and anytime-valid testing",
Annals of Statistics 2024): with few replicates it is as careful as a t-test, with many it is as cheap as a z-test. The
degrees of freedom are dealt with as in universal inference (Wasserman, Ramdas and Balakrishnan, PNAS 2020): the
alternative averages over them, the null takes the most favourable to itself. The alternative spreads over effects of
half a scale to thousands (Robbins' method of mixtures, 1970), most of it where effects are worth finding.

`sign_flip` assumes nothing but the random order: under no effect each difference is as likely to have the other sign,
so that exp(x) / cosh(x) is a fair bet for any x of that sign (Efron 1969; de la Pena 1999; Ramdas, Ruf, Larsson and
Koolen 2020). It at most doubles with each pair: a level of 1/1000 takes ten pairs or more, whatever the effect.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

FREEDOMS = (3.0, 6.0, 100.0)  # of Student's t; the last is all but Gaussian
STEP = 0.1  # of the scale's grid, in natural logarithms
BELOW, ABOVE = 3.0, 9.0  # how far the grid reaches from the pooled scale
SMALL = ((0.7, 0.1), (1.0, 0.15), (1.4, 0.15), (2.0, 0.15), (2.8, 0.15), (4.0, 0.1), (6.0, 0.05))  # effect, share
LARGE = tuple(10 * 1.4**step for step in range(15))  # to a thousand, so near each other that none falls between two
EFFECTS = (*(effect for effect, _ in SMALL), *LARGE)  # in scales of a difference
SHARES = (*(share for _, share in SMALL), *(0.15 / len(LARGE) for _ in LARGE))  # of the alternative
BETS = (0.35, 0.7, 1.4, 2.8, math.inf)  # of the sign flips, in the same unit


class Pool:
    """The likelihood of the scale, from replicates; made once for each confirmation.

    Args:
        differences: of two runs of the same program each, in any unit.
        weights: how many independent differences each is worth, at most one.
        scale: about the standard deviation of a difference, above zero; the grid lies around it.
    """

    def __init__(self, differences: Sequence[float], weights: Sequence[float], scale: float):
        import numpy as np  # not at the top: it takes longer than most commands

        self.scale = scale
        self._s = scale * np.exp(np.arange(-BELOW, ABOVE, STEP))
        self._nu = np.array(FREEDOMS)[:, None]
        self._constant = np.array(
            [math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi) for nu in FREEDOMS]
        )[:, None]
        z = np.array(differences, dtype=float).reshape(-1, 1, 1) / self._s
        w = np.array(weights, dtype=float).reshape(-1, 1, 1)
        self._base = (w * self._density(z)).sum(axis=0)  # (freedoms, scales)
        self._effects = np.array(EFFECTS)[:, None, None]
        self._shares = np.array(SHARES) / len(FREEDOMS)

    def _density(self, z: "NDArray[float64]") -> "NDArray[float64]":
        """log of Student's density of differences/scale, at the grid's scales."""
        import numpy as np

        density: NDArray[float64] = self._constant - (self._nu + 1) / 2 * np.log1p(z * z / self._nu) - np.log(self._s)
        return density

    def log_e(self, differences: Sequence[float]) -> float:
        """log of the e-process against "no gain", after these differences (positive: better)."""
        import numpy as np

        if not differences:
            return 0.0
        reach = self.scale * EFFECTS[-1]  # a larger gain is as good as this one
        z = np.clip(np.array(differences, dtype=float), -reach, reach).reshape(-1, 1, 1) / self._s
        null = self._base + self._density(z).sum(axis=0)  # (freedoms, scales)
        other = self._base + self._density(z[:, None] - self._effects).sum(axis=0)  # (effects, freedoms, scales)
        top = max(float(null.max()), float(other.max()))
        m1 = float(np.exp(other - top).sum(axis=(-1, -2)) @ self._shares)
        m0 = float(np.exp(null - top).sum(axis=-1).max())
        return math.log(m1) - math.log(m0) if m1 > 0 and m0 > 0 else (math.inf if m1 > 0 else -math.inf)


def interval(
    process: Callable[[Sequence[float]], float], values: Sequence[float], centre: float, scale: float
) -> tuple[float, float]:
    """The shifts that an e-process does not reject at 1/40 on either side: a 95 % confidence sequence.

    Args:
        process: log of the e-process against "no gain".
        centre: an estimate of the shift, inside the interval.
        scale: about that of a value.
    """
    limit = math.log(2 / 0.05)

    def end(sign: float) -> float:
        def rejected(distance: float) -> bool:
            shift = centre - sign * distance
            return process([sign * (value - shift) for value in values]) >= limit

        inside, outside = 0.0, scale
        while not rejected(outside) and outside < 1000 * scale:
            inside, outside = outside, 2 * outside
        for _ in range(8):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
        return centre - sign * outside

    return end(1.0), end(-1.0)


def log_e_sign_flip(differences: Sequence[float], scale: float) -> float:
    """log of the sign-flip e-process against "no gain", after these differences."""
    logs = []
    for bet in BETS:
        total = 0.0
        for difference in differences:
            if difference == 0:
                continue
            x = bet * difference / scale
            total += math.log(2) - _softplus(-2 * x)
        logs.append(total)
    top = max(logs)
    return top + math.log(sum(math.exp(each - top) for each in logs) / len(logs)) if top > -math.inf else -math.inf


def _softplus(x: float) -> float:
    return x if x > 30 else math.log1p(math.exp(x))
