"""The verifier: is a kernel right, and how fast, beside what this machine and a library can do in the same run?

    python -P verify.py matmul|softmax|spmv [--triton] [--small]

Prints, one `METRIC name=value` a line: the kernel's `gflops` or `gb_s` (of the bytes that must at least move), the best
of 16 calls, each with new inputs; the roofline, `peak_gflops`, `memory_gb_s` and `cache_gb_s`; what OpenBLAS (through
NumPy) or SciPy reach on the same kind of inputs, `library_...`; and `of_library` and `of_peak` or `of_memory`, the
shares of these that the kernel has. Everything on one thread.

`--triton` takes `kernel.py` in place of `kernel.c`, larger inputs, and PyTorch as the library, all on an NVIDIA GPU.
`--small` is a trial of the verifier with inputs too small to tell anything; of Triton, in its interpreter.

`loopsmith.harness` runs the kernel in a process of its own, draws inputs from LOOPSMITH_SEED, holds the clock and
checks each answer.
"""

import os
import sys
from pathlib import Path

TRITON, SMALL_ONLY = "--triton" in sys.argv, "--small" in sys.argv
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
if not TRITON:
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
elif SMALL_ONLY:
    os.environ["TRITON_INTERPRET"] = "1"
# Memory that was used once stays with the process: no call pays for fresh pages, which the system zeroes (glibc).
os.environ.update(MALLOC_MMAP_THRESHOLD_=str(4 << 30), MALLOC_TRIM_THRESHOLD_=str(4 << 30))
os.environ["MALLOC_TOP_PAD_"] = str(1 << 24)
FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER))

from build import Refused, build, roofline  # noqa: E402
from problems import PROBLEMS, SMALL, USUAL, Problem  # noqa: E402

from loopsmith import harness  # noqa: E402
from loopsmith.errors import LoopsmithError  # noqa: E402

SLACK = 1.25  # times the roofline that a moment may seem to reach


def in_c(name: str, problem: Problem):
    """Roofline, kernel and library on a processor; and how they are measured."""
    top = roofline(*([1 << 22, 1 << 18] if SMALL_ONLY else []))
    shared, _said = build(FOLDER / name / "kernel.c", name)
    kernel = harness.library(
        str(shared),
        name,
        arguments=problem.arguments,
        out=lambda *arguments: (problem.shape(*arguments), "float32"),
    )
    settings = {
        "inputs": lambda rng: problem.inputs(rng, SMALL if SMALL_ONLY else USUAL),
        "reference": problem.reference,
        "calls": 16,
        "batch": 1,
        "enough": 1.5,
        "timeout": 20,
        "clock": "cpu",  # a kernel has one thread; what else runs on the machine should not count
        **problem.tolerance,
    }
    its = {"load_seconds": 0.3, "cases": problem.cases}
    return top, (kernel, its), (harness.python("library.py", name), {"load_seconds": 20}), settings


def in_triton(name: str, problem: Problem):
    """The same on a GPU, or in the interpreter."""
    import accelerator

    accelerator.choose(SMALL_ONLY)
    its = {"cases": lambda rng: map(accelerator.given, problem.cases(rng))}
    settings = accelerator.settings(problem)
    return accelerator.roofline(), (accelerator.candidate(name), its), (accelerator.library(name), {}), settings


def main(name: str) -> None:
    problem = PROBLEMS[name]
    top, (kernel, its), (library, theirs), settings = (in_triton if TRITON else in_c)(name, problem)
    roof = "peak_gflops" if problem.metric == "gflops" else "memory_gb_s"
    bound = None
    if top:
        bound = SLACK * (top[roof] if problem.metric == "gflops" else max(top[roof], top.get("cache_gb_s", 0)))
    settings["metric"] = harness.rate(problem.metric, problem.work, at_most=bound)
    measured = harness.measure(candidate=kernel, **its, **settings)
    other = harness.measure(candidate=library, **theirs, **settings)
    for missing in measured.missing:
        print(f"note: {missing}, as the kernel does not allow more here", file=sys.stderr)
    shown = {problem.metric: measured.value, **top, f"library_{problem.metric}": other.value}
    shown["of_library"] = measured.value / other.value
    if top:
        shown["of_" + roof.partition("_")[0]] = measured.value / top[roof]
    for metric, value in shown.items():
        print(f"METRIC {metric}={value:.6g}")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word not in ("--small", "--triton")]
    if len(words) != 1 or words[0] not in PROBLEMS:
        sys.exit(f"usage: verify.py {'|'.join(PROBLEMS)} [--triton] [--small]")
    try:
        main(words[0])
    except Refused as refused:
        sys.exit(f"refused: {refused}")
    except LoopsmithError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
