"""loopsmith runs generate-verify-refine loops without a person."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopsmith.library.improving import improve
    from loopsmith.library.result import Best, Result

__all__ = ["Best", "Result", "__version__", "improve"]
__version__ = "0.1.0"

_HOMES = {"improve": "improving", "Best": "result", "Result": "result"}


def __getattr__(name: str) -> Any:
    """`improve` and its result are imported when they are asked for: verifiers and workers import this package too."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"loopsmith.library.{_HOMES[name]}"), name)
