"""The examples do what their READMEs say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_golf_shows_what_becomes_of_each_candidate(tmp_path):
    folder = shutil.copytree(ROOT / "examples" / "golf", tmp_path / "golf", ignore=shutil.ignore_patterns(".loopsmith"))

    def loopsmith(*words):
        line = [sys.executable, "-m", "loopsmith", *words]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    loopsmith("run")
    view = json.loads(loopsmith("status", "--json"))
    assert view["baseline"]["exact"] is True
    assert view["best"]["candidate"] == 7
    verdicts = {item["candidate"]: item["status"] for item in json.loads(loopsmith("export", "--format", "json"))}
    assert verdicts == {
        1: "kept",
        2: "discarded",
        3: "failed",
        4: "rejected",
        5: "timed_out",
        6: "rejected",
        7: "kept",
        8: "failed",
    }
    shown = loopsmith("show", "3")
    assert "KeyError: 'J'" in shown, "the verifier's own words"
