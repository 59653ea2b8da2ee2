"""Measuring the candidates of `squares`, in this process or by a real verifier."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from squares import HONEST, SETTINGS, VERIFIER

import loopsmith
from loopsmith import harness


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., harness.Measured]:
    """Measure a candidate's source in this process."""
    monkeypatch.setenv("LOOPSMITH_SEED", "93817465")

    def measure(source: str, **settings: Any) -> harness.Measured:
        (tmp_path / "candidate.py").write_text(source)
        return harness.measure(**SETTINGS | {"folder": tmp_path} | settings)

    return measure


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a real verifier on a candidate's source."""

    def verify(source: str, verifier: str = VERIFIER, seed: int = 93817465) -> subprocess.CompletedProcess[str]:
        (tmp_path / "candidate.py").write_text(source)
        (tmp_path / "verify.py").write_text(verifier)
        root = str(Path(loopsmith.__file__).parents[1])
        environment = {**os.environ, "LOOPSMITH_SEED": str(seed), "PYTHONPATH": root}
        command = [sys.executable, "-P", "verify.py"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    return verify


@pytest.fixture
def held(measure: Callable[..., harness.Measured]) -> Callable[[str], None]:
    """Skip where the kernel does not allow to take something from the candidate."""

    def held(what: str) -> None:
        if what in measure(HONEST).missing:
            pytest.skip(what)

    return held
