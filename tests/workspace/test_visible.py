"""What stays visible of private places."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import setting_x, write_source

import loopsmith
from loopsmith.workspace import Sandbox
from loopsmith.workspace.visible import programs


def test_the_interpreter_and_loopsmith_itself_are_seen_wherever_they_are_installed():
    package = Path(loopsmith.__file__).parent
    seen = programs((package.parent, Path(sys.prefix).parent))
    assert any(package.is_relative_to(place) for place in seen)
    assert any(Path(sys.prefix).is_relative_to(place) for place in seen)


@pytest.mark.skipif(not Sandbox.detect("auto").available, reason="needs bubblewrap")
def test_a_verifier_finds_the_harness_of_an_editable_install_in_a_private_place(tmp_path):
    """The folder is under /tmp, of which a command sees nothing but what it needs."""
    home = tmp_path / "clone"
    shutil.copytree(Path(loopsmith.__file__).parent, home / "loopsmith", ignore=shutil.ignore_patterns("__pycache__"))
    command = f'PYTHONPATH={home} "$LOOPSMITH_PYTHON" -c "import loopsmith.harness as h; print(h.__file__)"'
    path = write_source(
        tmp_path / "source",
        command=f'{command} && echo "METRIC score=$X"',
        agent=setting_x(11),
        search={"candidates_per_round": 1},
        verify={"self_check": False},
    )
    environment = {**os.environ, "PYTHONPATH": str(home)}
    line = [sys.executable, "-m", "loopsmith", "run", str(path), "--plain"]
    done = subprocess.run(line, cwd=home, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    logs = [path.read_text() for path in path.with_name(".loopsmith").rglob("*.log")]
    assert any(str(home / "loopsmith" / "harness") in text for text in logs)
