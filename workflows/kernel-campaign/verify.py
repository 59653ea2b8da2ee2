"""The verifier: is `kernel.c` right, and how fast?

Prints METRIC lines: the rate of the fastest of several calls; what this machine can do at most in the same run,
`peak_gflops`, `memory_gb_s` and `cache_gb_s`; the rate of the library that you would use instead, and the kernel's
share of it. All on one thread. Or says what is wrong, and exits with 1. `problem.py` says what the kernel computes;
`build.py` compiles it with fixed flags and refuses what is no kernel; `loopsmith.harness` runs it in a process of its
own, draws inputs from LOOPSMITH_SEED, holds the clock and checks each answer. `--small` tries all of it on inputs too
small to tell anything.
"""

import os
import sys
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[variable] = "1"
FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER))

import problem  # noqa: E402
from build import Refused, build, roofline  # noqa: E402

from loopsmith import harness  # noqa: E402
from loopsmith.errors import LoopsmithError  # noqa: E402

SLACK = 1.25  # times the roofline that a moment may seem to reach


def main(small: bool) -> None:
    top = roofline(1 << 22 if small else 64 << 20, 1 << 18)
    bound = top["peak_gflops"] if problem.METRIC == "gflops" else max(top["memory_gb_s"], top["cache_gb_s"])
    shared, _said = build(FOLDER / "kernel.c", problem.NAME)
    settings = {
        "inputs": lambda rng: problem.inputs(rng, small),
        "reference": problem.reference,
        "metric": harness.rate(problem.METRIC, problem.work, at_most=bound * SLACK),
        "calls": 40,
        "batch": 1,
        "enough": 0.5,
        "timeout": 10,
        "clock": "cpu",  # a kernel has one thread; what else runs on the machine should not count
        **problem.TOLERANCE,
    }
    kernel = harness.library(
        str(shared), problem.NAME, arguments=problem.ARGUMENTS, out=lambda *args: (problem.shape(*args), "float32")
    )
    value = harness.measure(candidate=kernel, cases=problem.corners, load_seconds=0.3, **settings).value
    library = harness.measure(candidate=harness.python("problem.py", "library"), load_seconds=20, **settings).value
    shown = {problem.METRIC: value, **top, f"library_{problem.METRIC}": library, "of_library": value / library}
    for metric, number in shown.items():
        print(f"METRIC {metric}={number:.6g}")


if __name__ == "__main__":
    try:
        main("--small" in sys.argv)
    except Refused as refused:
        sys.exit(f"refused: {refused}")
    except LoopsmithError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
