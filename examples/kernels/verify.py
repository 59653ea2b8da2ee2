"""The verifier: is a kernel right, and how fast, beside what this machine and a library can do in the same run?

    python -P verify.py matmul|softmax|spmv [--small]

Prints, one `METRIC name=value` a line: the kernel's `gflops` or `gb_s` (of the bytes that must at least move), the best
of 16 calls, each of another shape; the roofline, `peak_gflops`, `memory_gb_s` and `cache_gb_s`; what OpenBLAS (through NumPy) or SciPy reach on the same kind of
inputs, `library_...`; and `of_library` and `of_peak` or `of_memory`, the shares of these that the kernel has. Everything
on one thread. `--small` is a trial of the verifier with inputs too small to tell anything.

`loopsmith.harness` runs the kernel in a process of its own, draws inputs from LOOPSMITH_SEED, holds the clock and checks
each answer.
"""

import os
import sys
from pathlib import Path

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
# Memory that was used once stays with the process, so that no call pays for the kernel's zeroing of fresh pages (glibc).
os.environ.update(MALLOC_MMAP_THRESHOLD_=str(4 << 30), MALLOC_TRIM_THRESHOLD_=str(4 << 30), MALLOC_TOP_PAD_=str(1 << 24))
FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER))

from build import Refused, build, roofline  # noqa: E402
from problems import PROBLEMS  # noqa: E402

from loopsmith import harness  # noqa: E402
from loopsmith.errors import LoopsmithError  # noqa: E402

SLACK = 1.25  # times the roofline that a moment may seem to reach


def main(name: str, small: bool) -> None:
    problem = PROBLEMS[name]
    top = roofline(*([1 << 22, 1 << 18] if small else []))
    bound = top["peak_gflops"] if problem.metric == "gflops" else max(top["memory_gb_s"], top["cache_gb_s"])
    shared, _said = build(FOLDER / name / "kernel.c", name)
    settings = {
        "inputs": lambda rng: problem.inputs(rng, small),
        "reference": problem.reference,
        "metric": harness.rate(problem.metric, problem.work, at_most=bound * SLACK),
        "calls": 16,
        "batch": 1,
        "enough": 1.5,
        "timeout": 20,
        "clock": "cpu",  # a kernel has one thread; what else runs on the machine should not count
        **problem.tolerance,
    }
    kernel = harness.library(
        str(shared),
        name,
        arguments=problem.arguments,
        out=lambda *arguments: (problem.shape(*arguments), "float32"),
    )
    measured = harness.measure(candidate=kernel, cases=problem.cases, load_seconds=0.3, **settings)
    library = harness.measure(candidate=harness.python("library.py", name), load_seconds=20, **settings)
    for missing in measured.missing:
        print(f"note: {missing}, as the kernel does not allow more here", file=sys.stderr)
    roof = "peak" if problem.metric == "gflops" else "memory"
    shown = {
        problem.metric: measured.value,
        **top,
        f"library_{problem.metric}": library.value,
        "of_library": measured.value / library.value,
        f"of_{roof}": measured.value / top["peak_gflops" if roof == "peak" else "memory_gb_s"],
    }
    for metric, value in shown.items():
        print(f"METRIC {metric}={value:.6g}")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--small"]
    if len(words) != 1 or words[0] not in PROBLEMS:
        sys.exit(f"usage: verify.py {'|'.join(PROBLEMS)} [--small]")
    try:
        main(words[0], "--small" in sys.argv)
    except Refused as refused:
        sys.exit(f"refused: {refused}")
    except LoopsmithError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
