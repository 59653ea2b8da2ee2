import os
import sys
from dataclasses import dataclass

import pytest
import structlog

from loopsmith.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def own_locks(tmp_path_factory):
    """The tests' processes do not wait for each other's leases, as the campaigns of one machine do."""
    os.environ["LOOPSMITH_LOCKS"] = str(tmp_path_factory.mktemp("locks"))


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def no_torch_by_chance(request, monkeypatch):
    """Where a verifier has imported PyTorch, each candidate's process does: seconds for a test that is not about it."""
    if "torch" not in request.fixturenames:
        monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.fixture
def quick_steering(monkeypatch):
    """A campaign with a key that hears at once what is asked of it."""
    from loopsmith.campaign.live import steering

    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key")
    monkeypatch.setattr(steering, "LOOK", 0.01)


@pytest.fixture
def loopsmith(monkeypatch, capsys):
    """The command line, called in this process: arguments in, exit code and output out."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["loopsmith", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Result(code, out, err)

    yield call
    structlog.reset_defaults()
