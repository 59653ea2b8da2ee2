"""Which function is measured, and how it is reached."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from loopsmith.errors import UsageError
from loopsmith.harness.shared import TYPES

Shape = tuple[Sequence[int], str]


class Candidate(NamedTuple):
    """See `python` and `library`."""

    kind: str
    path: str
    name: str
    device: str | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    out: Callable[..., Shape] | None = None

    def what(self, home: str) -> dict[str, Any]:
        """What its process is asked to load."""
        return {"kind": self.kind, "path": os.path.join(home, self.path), "name": self.name, **self.options}


def python(path: str, name: str, *, device: str | None = None) -> Candidate:
    """A function of a Python file.

    Args:
        path: of the file, relative to the verifier's folder; that folder is the first on the candidate's `sys.path`.
        name: of the function.
        device: where PyTorch tensors are when the clock starts, such as `cuda`, `cuda:1`, `xpu` or `mps`.
    """
    return Candidate("python", path, name, device)


def library(
    path: str,
    name: str,
    *,
    arguments: Sequence[str],
    returns: str = "void",
    out: Callable[..., Shape] | None = None,
) -> Candidate:
    """A function of a compiled shared object, called through ctypes.

    Args:
        path: of the shared object, relative to the verifier's folder.
        name: its symbol, with C linkage.
        arguments: for each, `pointer` (to the memory of a NumPy array, bytes or a bytearray) or a C type such as
            `int64` or `float32`.
        returns: a C type, `void` for none.
        out: for a function that writes its result: gives, of the arguments, the shape and dtype of the array that is
            then made for it, passed as the last argument and taken for the result.
    """
    if wrong := {*arguments, returns} - {*TYPES, "pointer", "void"}:
        raise UsageError(f"harness.library: unknown type {sorted(wrong)[0]!r}; known are {', '.join(TYPES)}, pointer")
    options = {"arguments": list(arguments), "returns": returns, "out": out is not None}
    return Candidate("library", path, name, None, options, out)


def check_device(name: str) -> None:
    """See that a device is there before a process is started for it.

    Raises:
        UsageError: it cannot be used here.
    """
    try:
        from loopsmith.harness import tensors
    except ImportError:
        raise UsageError(f"harness: device={name!r} is a place of PyTorch tensors; `pip install torch`") from None
    if reason := tensors.unusable(name):
        raise UsageError(f"harness: device={name!r} cannot be used here: {reason}")
