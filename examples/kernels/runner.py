"""Lets a Triton kernel compile where the candidate's process may write; named to `loopsmith.harness` in its place."""

import importlib.util
import os
from pathlib import Path

os.environ["TRITON_CACHE_DIR"] = os.path.join(os.environ["TMPDIR"], "triton")


def called(name):
    def call(*args):
        if not loaded:
            spec = importlib.util.spec_from_file_location(
                "kernel", Path(__file__).resolve().parent / name / "kernel.py"
            )
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            loaded.append(getattr(module, name))
        return loaded[0](*args)

    loaded = []
    return call


matmul, softmax, spmv = map(called, ("matmul", "softmax", "spmv"))
