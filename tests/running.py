"""A campaign in a process of its own, for tests that speak to it from another."""

import json
import subprocess
import sys


def start(path, *arguments, **options):
    line = [sys.executable, "-m", "loopsmith", "run", str(path), "--plain", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for_event(process, name):
    """Read the event lines until one with this name."""
    for line in process.stderr:
        if name in line:
            return line
    raise AssertionError(f"it ended without {name}")


def ended(process):
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err + out
    return process.returncode, out


def status(loopsmith, path):
    return json.loads(loopsmith("status", "-w", path, "--json").out)
