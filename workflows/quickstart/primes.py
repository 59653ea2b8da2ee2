"""Counts the primes in an interval with a segmented sieve of Eratosthenes (Bays and Hudson, 1977).

The interval is cut into segments. In each, the multiples of every prime up to the square root are crossed
out; what is left is prime. The multiples of the smallest primes repeat, so they come from a ready-made
pattern (a wheel, Pritchard 1982) instead of being crossed out one by one.
"""

from math import isqrt

SEGMENT = 32768  # numbers in a segment, one byte each, to fit the first-level cache
PATTERN = 64  # bytes for the pattern of the smallest primes, at most
SLICE_FROM = 4  # multiples in a segment from which on a slice is used, not a loop


def count_primes(start, stop):
    """How many primes p there are with start <= p < stop, for 2 <= start < stop."""
    primes = small_primes(isqrt(stop - 1))
    pattern, patterned = make_pattern(primes)
    rest = primes[len(patterned) :]
    found = sum(start <= prime < stop for prime in patterned)  # the pattern crosses these out themselves
    for low in range(start, stop, SEGMENT):
        size = min(SEGMENT, stop - low)
        shift = low % len(pattern)
        copies = (shift + size) // len(pattern) + 1
        segment = bytearray((pattern * copies)[shift : shift + size])
        cross_out(segment, low, rest)
        found += segment.count(1)
    return found


def small_primes(limit):
    """All primes up to and with `limit`, in order."""
    flags = bytearray([1]) * (limit + 1)
    flags[:2] = bytes(len(flags[:2]))
    for number in range(2, isqrt(limit) + 1):
        if flags[number]:
            flags[number * number :: number] = bytes(len(range(number * number, limit + 1, number)))
    return [number for number in range(limit + 1) if flags[number]]


def make_pattern(primes):
    """Flags of the numbers without a factor among the smallest primes, over one period; and these primes.

    There are as many as their product, which is the period, allows under PATTERN; with none it is one flag.
    """
    period, count = 1, 0
    while count < len(primes) and period * primes[count] <= PATTERN:
        period *= primes[count]
        count += 1
    flags = bytearray([1]) * period
    for prime in primes[:count]:
        flags[::prime] = bytes(len(range(0, period, prime)))
    return bytes(flags), primes[:count]


def cross_out(segment, low, primes):
    """Clear the flags of all multiples, from each prime's square on; `segment[i]` stands for low + i."""
    size = len(segment)
    for prime in primes:
        square = prime * prime
        if square >= low + size:
            break
        first = square - low if square > low else -low % prime
        if size < SLICE_FROM * prime:
            for index in range(first, size, prime):
                segment[index] = 0
        else:
            segment[first::prime] = bytes(len(range(first, size, prime)))
