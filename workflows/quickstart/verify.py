"""The verifier: is `nearest.py` right, and how many queries a second does it answer?

Prints `METRIC queries_per_second=N`, the median over several problems, or says what is wrong and exits with 1.
The problems come from LOOPSMITH_SEED; `nearest.py` runs in a process of its own, which gets one problem at a
time and sends back the answer, while this process holds the clock and checks every answer by itself.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

POINTS, QUERIES, CLUSTERS = 4000, 2000, 20
PROBLEMS = 5  # timed ones; a first one, not timed, warms up
ENOUGH = 0.8  # seconds of timed work, after which a slow candidate is spared the rest
AT_LEAST = 3  # timed problems even so
CHECKED = 250  # queries per problem, picked after the answer, that are compared with brute force


def make_problem(rng):
    """Points and queries in and around the same clusters: float64 of shapes (POINTS, 2) and (QUERIES, 2)."""
    centres = rng.random((CLUSTERS, 2))
    points = centres[rng.integers(CLUSTERS, size=POINTS)] + rng.normal(0, 0.05, (POINTS, 2))
    queries = centres[rng.integers(CLUSTERS, size=QUERIES)] + rng.normal(0, 0.06, (QUERIES, 2))
    return points, queries


def check(points, queries, answer, rng):
    """Compare with brute force on some queries; raise ValueError when something else is closer."""
    if answer.min() < 0 or answer.max() >= len(points):
        raise ValueError("the answer holds an index that no point has")
    for query in rng.choice(len(queries), CHECKED, replace=False):
        distances = np.hypot(*(points - queries[query]).T)
        if distances[answer[query]] > distances.min() * (1 + 1e-9):
            raise ValueError(f"query {query}: point {answer[query]} is not the closest, {distances.argmin()} is")


def ask(child, points, queries):
    """Send one problem to the child and read its answer: int64 of shape (QUERIES,)."""
    try:
        child.stdin.write(points.tobytes() + queries.tobytes())
        child.stdin.flush()
        reply = child.stdout.read(QUERIES * 8)
    except BrokenPipeError:
        reply = b""
    if len(reply) < QUERIES * 8:
        raise ValueError("nearest.py ended before it had answered")
    return np.frombuffer(reply, dtype=np.int64)


def measure(child, seed):
    """Queries per second, the median over the timed problems."""
    rng = np.random.default_rng(seed)
    seconds = []
    for number in range(PROBLEMS + 1):
        points, queries = make_problem(rng)
        start = time.perf_counter()
        answer = ask(child, points, queries)
        elapsed = time.perf_counter() - start
        check(points, queries, answer, rng)
        if number > 0:
            seconds.append(elapsed)
        if len(seconds) >= AT_LEAST and sum(seconds) > ENOUGH:
            break
    return QUERIES / float(np.median(seconds))


def serve():
    """The child: answer problems from stdin on stdout, until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever nearest.py prints must not mix with the answers
    from nearest import nearest

    while numbers := sys.stdin.buffer.read((POINTS + QUERIES) * 16):
        plane = np.frombuffer(numbers).reshape(-1, 2)
        answer = np.asarray(nearest(plane[:POINTS], plane[POINTS:]))
        if answer.shape != (QUERIES,) or not np.issubdtype(answer.dtype, np.integer):
            raise TypeError(f"nearest() must return {QUERIES} integers, not {answer.dtype} of shape {answer.shape}")
        answers.write(answer.astype(np.int64).tobytes())
        answers.flush()


def main():
    seed = int(os.environ.get("LOOPSMITH_SEED", "0"))
    # The child is not told the seed, so that it cannot know a problem before it gets it.
    environment = {name: value for name, value in os.environ.items() if name != "LOOPSMITH_SEED"}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, Path(__file__).name, "serve"]
    folder = Path(__file__).parent
    with tempfile.TemporaryFile() as printed:
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed
        )
        try:
            print(f"METRIC queries_per_second={measure(child, seed):.1f}")
        except ValueError as error:
            child.kill()
            child.wait()
            printed.seek(0)
            for line in printed.read().decode(errors="replace").splitlines()[-20:]:
                print("nearest.py |", line)
            sys.exit(f"wrong: {error}")
        finally:
            child.kill()
            child.wait()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
