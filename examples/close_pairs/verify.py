"""The verifier: does `closeness.py` count right, and how fast? Prints `METRIC points_per_second=N`.

`closeness.py` runs in a process of its own; `loopsmith.harness` draws the points, holds the clock, checks the answers.
"""

from loopsmith import harness

SIDE, RADIUS = 10_000, 150


def points(rng, count):
    """Half of them anywhere, half in a few clusters, some twice."""
    found = [(rng.randrange(SIDE), rng.randrange(SIDE)) for _ in range(count // 2)]
    while len(found) < count:
        x, y = rng.randrange(SIDE), rng.randrange(SIDE)
        found += [(x + rng.randrange(-400, 400), y + rng.randrange(-400, 400)) for _ in range(count // 12)]
    found += rng.choices(found, k=count // 20)
    rng.shuffle(found)
    return found[:count]


def reference(found, radius):
    """By a sweep over the points in order of x."""
    ordered, start, count = sorted(found), 0, 0
    for index, (x, y) in enumerate(ordered):
        while x - ordered[start][0] > radius:
            start += 1
        count += sum((x - a) ** 2 + (y - b) ** 2 <= radius * radius for a, b in ordered[start:index])
    return count


def corners(rng):
    yield from [([], 3), ([(0, 0)], 0), ([(5, 5)] * 4, 0), ([(0, 0), (3, 4)], 5), ([(0, 0), (3, 4)], 4)]
    yield [(-(10**12), 0), (10**12, 0), (10**12, 1)], 1
    yield [(rng.randrange(-30, 30), rng.randrange(-30, 30)) for _ in range(200)], rng.randrange(1, 200)


harness.verify(
    candidate=harness.python("closeness.py", "close_pairs"),
    inputs=lambda rng: (points(rng, 1500), RADIUS + rng.randrange(10)),
    reference=reference,
    cases=corners,
    metric=harness.rate("points_per_second", per_call=lambda found, radius: len(found)),
    calls=6,
    batch=1,
    enough=1.5,
    timeout=20,
)
