"""The profile for `sandbox-exec` of macOS, and that a sandbox which holds nothing is not believed.

No Mac was at hand: what a profile really holds is tried by loopsmith itself at the start of each campaign.
"""

import os
import sys
from pathlib import Path

import pytest

from loopsmith.workspace import Sandbox, seatbelt

RULES = {"writable": [], "hidden": [], "seen": [], "network": True}


def rules(**settings):
    return seatbelt.profile(**{**RULES, **settings}).splitlines()


def test_only_the_folder_is_written(tmp_path):
    found = rules(writable=[tmp_path])
    assert found.index("(deny file-write*)") < found.index(f'(allow file-write* (subpath "{tmp_path}"))')
    assert "(deny network*)" not in found


def test_the_deeper_rule_stands_last():
    found = rules(hidden=[Path("/a"), Path("/a/b/c")], seen=[Path("/a/b")])
    assert [line for line in found if "file-read" in line] == [
        '(deny file-read* (subpath "/a"))',
        '(allow file-read* (subpath "/a/b"))',
        '(deny file-read* (subpath "/a/b/c"))',
    ]


def test_the_network_is_taken_away():
    assert rules(network=False)[-1] == "(deny network*)"


def test_no_path_ends_its_string():
    assert seatbelt.quoted(Path('/a"))(allow default)("\\')) == '"/a\\"))(allow default)(\\"\\\\"'


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Makes the one sandbox here a `sandbox-exec` that runs these lines of sh before the command."""

    def make(lines: str) -> Sandbox:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "sandbox-exec"
        program.write_text(f'#!/bin/sh\nshift 2\n{lines}\nexec "$@"\n')
        program.chmod(0o755)
        shown = [path for path in os.environ["PATH"].split(os.pathsep) if not Path(path, "bwrap").exists()]
        monkeypatch.setenv("PATH", os.pathsep.join((str(folder), *shown)))
        monkeypatch.setattr("loopsmith.workspace.sandbox.detect_landlock", lambda: None)
        return Sandbox.detect("auto", state=tmp_path / "state")

    return make


def test_one_that_holds_nothing_is_not_believed(stand_in):
    found = stand_in("")
    assert found.kind == "none"
    assert "commands can write outside their folder, linked inputs included" in found.missing


def test_one_that_does_not_run_is_not_believed(stand_in):
    assert stand_in("echo 'unbound variable' >&2; exit 65").kind == "none"


def test_a_connection_that_is_made_is_seen():
    assert not seatbelt.cuts_off([sys.executable, "-I", "-S", "-c"])
    assert seatbelt.cuts_off([sys.executable, "-I", "-S", "-c", "raise SystemExit(1)"])
