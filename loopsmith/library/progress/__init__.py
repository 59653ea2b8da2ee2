"""Where a campaign shows what it does: a terminal, a notebook, or plain lines."""

import sys
import warnings
from typing import Any

from rich.console import Console

from loopsmith.campaign.context import Context
from loopsmith.library.progress.lines import LinesView
from loopsmith.library.progress.live import LiveView
from loopsmith.library.progress.notebook import NotebookView
from loopsmith.library.progress.view import View

__all__ = ["LinesView", "LiveView", "NotebookView", "View", "notebook_display", "view_of"]


def notebook_display() -> Any:
    """A place below the notebook's present cell; None outside of a notebook. Call it in the notebook's own thread."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    import IPython.display

    warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm, which optuna imports and we do not show
    display: Any = IPython.display.display
    return display({"text/plain": "starting"}, raw=True, display_id=True)


def view_of(context: Context, display: Any) -> View:
    """The view for where this process runs.

    Args:
        display: of a notebook, if it is one.
    """
    if display is not None:
        return NotebookView(context, display)
    return LiveView(context, Console(stderr=True)) if sys.stderr.isatty() else LinesView(context)
