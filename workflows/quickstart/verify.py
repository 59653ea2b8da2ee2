"""The verifier: does `primes.py` count right, and how fast?

Prints `METRIC millions_per_second=N`: how many million numbers are sieved in a second, in the fastest of several
intervals, as what disturbs a measurement only ever slows it down. Or says what is wrong, and exits with 1.
`primes.py` runs in a process of its own; `loopsmith.harness` draws the intervals from LOOPSMITH_SEED, holds the
clock and checks the answers. By hand: run it with the Python that has loopsmith.
"""

from math import isqrt

from loopsmith import harness

LENGTH = 1_000_000  # numbers in an interval that is timed
LOWEST, HIGHEST = 900_000_000, 1_000_000_000  # where it starts


def is_prime(number):
    """The Miller-Rabin test, which these bases make exact below 3,215,031,751 (Pomerance et al. 1980)."""
    if number < 11 or any(number % prime == 0 for prime in (2, 3, 5, 7)):
        return number in (2, 3, 5, 7)
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    for base in (2, 3, 5, 7):
        power = pow(base, number >> twos, number)
        if power != 1 and all(pow(power, 1 << square, number) != number - 1 for square in range(twos)):
            return False
    return True


def reference_count(start, stop):
    """Short intervals by another method altogether, long ones by the plainest sieve: odd numbers, no segments."""
    if stop - start < 10_000:
        return sum(map(is_prime, range(start, stop)))
    first_odd = start | 1
    flags = bytearray([1]) * ((stop - first_odd + 1) // 2)
    for divisor in range(3, isqrt(stop) + 1, 2):
        if all(divisor % prime for prime in (3, 5, 7, 11, 13) if prime < divisor):
            multiple = -(-first_odd // divisor) | 1  # the first odd factor whose product is not below the interval
            first = (multiple * divisor - first_odd) // 2
            flags[first::divisor] = bytes(len(range(first, len(flags), divisor)))
    return sum(flags)


def interval(rng):
    start = rng.randrange(LOWEST, HIGHEST)
    return start, start + LENGTH + rng.randrange(100)


def corners(rng):
    yield from [(2, 3), (2, 10), (4, 5), (2, 3000), (169, 170), (rng.randrange(2, 10**4), 10**4)]
    yield from ((start, start + rng.randrange(1, 900)) for start in rng.choices(range(10**6, HIGHEST), k=4))


harness.verify(
    candidate=harness.python("primes.py", "count_primes"),
    inputs=interval,
    reference=reference_count,
    cases=corners,
    metric=harness.rate("millions_per_second", per_call=lambda start, stop: (stop - start) / 1e6, at_most=10_000),
    calls=8,
    batch=1,
    enough=0.8,
    timeout=10,
)
