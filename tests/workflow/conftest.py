"""A workflow file in a folder of its own, which is the present folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

MINIMAL = """\
objective: {metric: seconds, direction: minimize}
workspace: {editable: [solve.py]}
verify: {command: python measure.py}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes `WORKFLOW.md`: the three lines that every workflow needs, in lines 2 to 4, then `extra`, then the body."""
    monkeypatch.chdir(tmp_path)

    def write(extra: str = "", body: str = "Make it faster. {{ brief }}\n", *, front: str = MINIMAL) -> Path:
        path = Path("WORKFLOW.md")
        path.write_text(f"---\n{front}{extra}---\n{body}")
        return path

    return write
