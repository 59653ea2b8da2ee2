"""A tiny real program with a real verifier, and the way to run campaigns on it."""

import asyncio
from pathlib import Path
from typing import Any

import yaml

from loopsmith import workflow
from loopsmith.agents.recording import Tape
from loopsmith.campaign.campaign import run_campaign
from loopsmith.campaign.opening import open_campaign
from loopsmith.campaign.state import StateFolder
from loopsmith.report import status

EXACT = 'echo "METRIC score=$X"'
# A repeatable disturbance of at most 2 in the score, of the run's seed and not of the candidate.
NOISY = "echo \"METRIC score=$(awk -v x=$X -v s=$LOOPSMITH_SEED 'BEGIN { print x + s % 1000 / 500 }')\""


def write_source(folder: Path, *, command: str = EXACT, **front: Any) -> Path:
    """A source whose score is the X in program.sh, 10 at first; gives the workflow's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.sh").write_text("X=10\nY=0\n")
    (folder / "verify.sh").write_text(f". ./program.sh\n{command}\n")
    settings: dict[str, Any] = {
        "name": "tiny",
        "objective": {"metric": "score", "direction": "maximize"},
        "workspace": {"editable": ["program.sh"]},
        "verify": {"command": "sh verify.sh", "timeout": "20s"},
        "calibrate": {"runs": 2},
        "repeats": {"confirm": 4},
        "budget": {"rounds": 1},
        "search": {"candidates_per_round": 2, "workers": 2},
    }
    for key, value in front.items():
        settings[key] = {**settings[key], **value} if isinstance(settings.get(key), dict) and key != "agent" else value
    path = folder / "WORKFLOW.md"
    path.write_text(f"---\n{yaml.safe_dump(settings)}---\n{{{{ brief }}}}\n")
    return path


def setting_x(*values: object) -> dict[str, Any]:
    """A scripted agent whose candidate n sets X to the n-th value."""
    return {"kind": "scripted", "commands": [f"sed -i 's/^X=.*/X={value}/' program.sh" for value in values]}


def run(path: Path, *overrides: str, new: bool = False, before: Any = None, tape: Tape | None = None) -> dict[str, Any]:
    """Run or resume the campaign; gives its status, as `status --json` prints it."""
    loaded = workflow.load(path, overrides)
    with open_campaign(loaded, StateFolder(loaded.state), new=new, tape=tape) as context:
        if before is not None:
            before(context)
        asyncio.run(run_campaign(context))
        return status(context.store, context.store.campaign(context.id))
