"""The verifier: does `primes.py` count right, and how fast?

Prints `METRIC millions_per_second=N`: how many million numbers are sieved in a second, in the fastest of several
intervals, as what disturbs a measurement only ever slows it down. Or says what is wrong, and exits with 1.
The intervals come from LOOPSMITH_SEED. `primes.py` runs in a process of its own that gets one interval at a time,
while this process holds the clock and checks the answers.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from math import isqrt
from pathlib import Path

LENGTH = 1_000_000  # numbers in an interval that is timed
LOWEST, HIGHEST = 900_000_000, 1_000_000_000  # where it starts
INTERVALS = 8  # timed ones
ENOUGH = 0.8  # seconds of timed work, after which a slow candidate is spared the rest,
AT_LEAST = 3  # but not before so many intervals


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
    """Primes in an interval of large numbers by the plainest sieve: odd numbers only, no segments, no pattern."""
    first_odd = start | 1
    flags = bytearray([1]) * ((stop - first_odd + 1) // 2)
    for divisor in range(3, isqrt(stop) + 1, 2):
        if all(divisor % prime for prime in (3, 5, 7, 11, 13) if prime < divisor):
            multiple = -(-first_odd // divisor) | 1  # the first odd factor whose product is not below the interval
            first = (multiple * divisor - first_odd) // 2
            flags[first::divisor] = bytes(len(range(first, len(flags), divisor)))
    return sum(flags)


class Child:
    """The process in which `primes.py` runs; as a context it is gone at the end."""

    def __enter__(self):
        # It is not told the seed, so that it cannot know an interval before it is asked.
        environment = {name: value for name, value in os.environ.items() if name != "LOOPSMITH_SEED"}
        self.printed = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).name, "serve"],
            cwd=Path(__file__).parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
            text=True,
        )
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.printed.close()

    def count(self, start, stop):
        """Its answer for one interval, and the seconds that it took."""
        began = time.perf_counter()
        try:
            print(start, stop, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        seconds = time.perf_counter() - began
        if not answer.strip().isdigit():
            self.process.kill()
            self.process.wait()
            self.printed.seek(0)
            said = self.printed.read().decode(errors="replace").splitlines()[-15:]
            sys.exit("\n".join(["wrong: primes.py gave no answer", *("| " + line for line in said)]))
        return int(answer), seconds


def expect(child, start, stop, expected):
    """Ask for an interval and leave with a message when the answer is wrong; else the seconds."""
    answer, seconds = child.count(start, stop)
    if answer != expected:
        sys.exit(f"wrong: {answer} primes from {start} to below {stop}, there are {expected}")
    return seconds


def main():
    pick = random.Random(int(os.environ.get("LOOPSMITH_SEED", "0")))
    with Child() as child:
        # First the corners, against another method; this also warms up.
        short = [(2, 3), (2, 10), (4, 5), (2, 3000), (169, 170), (pick.randrange(2, 10**4), 10**4)]
        short += [(start, start + pick.randrange(1, 900)) for start in pick.choices(range(10**6, HIGHEST), k=4)]
        for start, stop in short:
            expect(child, start, stop, sum(map(is_prime, range(start, stop))))
        seconds = []
        while len(seconds) < INTERVALS and (len(seconds) < AT_LEAST or sum(seconds) < ENOUGH):
            start = pick.randrange(LOWEST, HIGHEST)
            stop = start + LENGTH + pick.randrange(100)
            seconds.append(expect(child, start, stop, reference_count(start, stop)))
    print(f"METRIC millions_per_second={LENGTH / 1e6 / min(seconds):.3f}")


def serve():
    """What the child does: answer `START STOP` lines with a count until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever primes.py prints must not mix with the answers
    from primes import count_primes

    for line in sys.stdin:
        start, stop = map(int, line.split())
        print(int(count_primes(start, stop)), file=answers, flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
