"""The Triton side of the verifier: kernels on an NVIDIA GPU, or with tiny inputs in Triton's interpreter."""

import os
import sys
import tempfile

import torch
from problems import LARGE, TINY, Problem

from loopsmith import harness

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp(prefix="triton-")

import triton  # noqa: E402
import triton.language as tl  # noqa: E402


def given(args):
    return tuple(torch.from_numpy(each) if hasattr(each, "dtype") else each for each in args)


def settings(problem: Problem) -> dict:
    """What `harness.measure` takes for both the kernel and the library."""

    def right(*args):
        return torch.from_numpy(problem.reference(*(each.numpy() if hasattr(each, "numpy") else each for each in args)))

    size = TINY if INTERPRETED else LARGE
    return {
        "inputs": lambda rng: given(problem.inputs(rng, size)),
        "reference": right,
        "calls": 3 if INTERPRETED else 8,
        "batch": 1,
        "timeout": 60,
        "load_seconds": 60,  # PyTorch and Triton start, and a kernel is compiled in the first call
        "spread": None,
        "processes": not INTERPRETED,  # Triton's compilers
        **problem.tolerance,
        "atol": problem.tolerance["atol"] * (1 if INTERPRETED else 4),  # longer sums
    }


def candidate(name: str):
    return harness.python("runner.py", name, device=None if INTERPRETED else "cuda")


def library(name: str):
    return harness.python("library_torch.py", name, device=None if INTERPRETED else "cuda")


@triton.jit
def chains(out, steps, WIDTH: tl.constexpr):
    """Independent chains of multiply-adds in registers."""
    place = tl.arange(0, WIDTH)
    a = place.to(tl.float32)
    b, c, d = a + 1.0, a + 2.0, a + 3.0
    for _ in range(steps):
        a, b, c, d = tl.fma(a, 0.999, 0.001), tl.fma(b, 0.999, 0.001), tl.fma(c, 0.999, 0.001), tl.fma(d, 0.999, 0.001)
    tl.store(out + tl.program_id(0) * WIDTH + place, a + b + c + d)


def seconds(work, times=8):
    """The best of several."""
    best = float("inf")
    for _ in range(times):
        began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        began.record()
        work()
        ended.record()
        torch.cuda.synchronize()
        best = min(best, began.elapsed_time(ended) * 1e-3)
    return best


def roofline() -> dict[str, float]:
    """peak_gflops in single precision, without tensor cores, and memory_gb_s; nothing in the interpreter."""
    if INTERPRETED:
        return {}
    width, steps, programs = 1024, 20_000, 16 * torch.cuda.get_device_properties(0).multi_processor_count
    out = torch.empty(width * programs, device="cuda")
    peak = 8e-9 * width * steps * programs / seconds(lambda: chains[(programs,)](out, steps, WIDTH=width))
    a, b, c = (torch.ones(64 << 20, device="cuda") for _ in range(3))
    return {
        "peak_gflops": peak,
        "memory_gb_s": 3e-9 * a.nbytes / seconds(lambda: torch.add(b, c, alpha=3, out=a)),
    }


def choose(small: bool) -> None:
    if not small and not torch.cuda.is_available():
        sys.exit("there is no NVIDIA GPU that PyTorch can use; with --small Triton's interpreter tries the kernel")
