"""What a program that loopsmith does not trust gets to know of the environment."""

import os
import sys
from collections.abc import Collection, Mapping

# Only what programs and compilers need to run. Nothing that commonly holds a credential, proxies included.
ALLOWED = frozenset(
    """
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR VIRTUAL_ENV CONDA_PREFIX LD_LIBRARY_PATH DYLD_LIBRARY_PATH
    CC CXX CPP FC AR LD CFLAGS CXXFLAGS CPPFLAGS FFLAGS LDFLAGS CPATH LIBRARY_PATH PKG_CONFIG_PATH MAKEFLAGS
    CUDA_HOME CUDA_PATH CUDA_VISIBLE_DEVICES ROCM_PATH HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES
    OMP_NUM_THREADS OMP_PROC_BIND OMP_PLACES MKL_NUM_THREADS OPENBLAS_NUM_THREADS NUMEXPR_NUM_THREADS
    JAVA_HOME GOPATH GOROOT GOCACHE CARGO_HOME RUSTUP_HOME NVM_DIR
    """.split()  # noqa: SIM905 - a list of names reads better in lines
)


def clean_environment(extra: Mapping[str, str], keep: Collection[str] = ()) -> dict[str, str]:
    """The environment of a program: inherited by an allowlist, so without any key.

    Args:
        extra: variables to add; they win over inherited ones.
        keep: names of further variables to inherit.
    """
    inherited = {
        name: value for name, value in os.environ.items() if name in ALLOWED or name.startswith("LC_") or name in keep
    }
    # Last on PATH, loopsmith's own interpreter: `python` works where the system has only `python3`.
    path = os.pathsep.join((inherited.get("PATH", os.defpath), os.path.dirname(sys.executable)))
    own = {"PATH": path, "LOOPSMITH_PYTHON": sys.executable}
    return {**inherited, **own, "TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1", **extra}
