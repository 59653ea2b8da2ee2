"""The section `hooks`: shell commands of the workflow, run around each worker and after each decision.

The names of the first four are Symphony's.
"""

from typing import Literal

from pydantic import Field

from loopsmith.workflow.section import Section
from loopsmith.workflow.values import Text

HookName = Literal["after_create", "before_run", "after_run", "before_remove", "after_decision"]


class Hooks(Section):
    """Shell commands that run in a worker's folder, sandboxed as its own, but for the last; see SPEC.md."""

    after_create: Text | None = Field(default=None, description="when the folder was made; failing ends the attempt")
    before_run: Text | None = Field(default=None, description="before the agent starts; failing ends the attempt")
    after_run: Text | None = Field(
        default=None, description="after the agent, however it ended, and after its change was taken; may fail"
    )
    before_remove: Text | None = Field(default=None, description="before the folder is removed; may fail")
    after_decision: Text | None = Field(
        default=None, description="after each decision, as a command of your own: outside the sandbox; may fail"
    )
    timeout_ms: int = Field(default=60_000, ge=1, description="milliseconds that each of them may take")

    def script(self, name: HookName) -> str | None:
        script: str | None = getattr(self, name)
        return script
