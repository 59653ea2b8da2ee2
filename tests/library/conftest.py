"""A folder with a program that a function or a command can score, and an agent that changes it as told."""

import pytest
import structlog

import loopsmith


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "program.py").write_text("X = 10\n")
    structlog.reset_defaults()
    return folder


@pytest.fixture
def improve(source):
    """`loopsmith.improve` on that folder, with as little work as there can be; `to` are the values that X gets."""

    def call(*, to=(12,), **arguments):
        scripted = {"kind": "scripted", "commands": [f"sed -i 's/^X = .*/X = {value}/' program.py" for value in to]}
        arguments = {
            "editable": ["program.py"],
            "objective": "maximize",
            "budget": {"candidates": len(to)},
            "agent": scripted,
            "search": {"candidates_per_round": 1},
            "calibrate": {"runs": 2},
            "progress": False,
            **arguments,
        }
        arguments["verify"] = arguments.get("verify", {})
        if isinstance(arguments["verify"], dict):
            arguments["verify"] = {"self_check": False, **arguments["verify"]}
        return loopsmith.improve(source, **arguments)

    return call
