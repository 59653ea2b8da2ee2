"""A plain program in Markdown, as autoresearch has them, becomes the draft of a workflow. No model is asked."""

from loopsmith.workflow.adopt.body import escape
from loopsmith.workflow.adopt.draft import Draft, draft

__all__ = ["Draft", "draft", "escape"]
