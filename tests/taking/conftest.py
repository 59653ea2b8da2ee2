import pytest
from keeping import NOISY, make
from support import run

QUIET = {"min_effect": "10%"}


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """The workflow of such a campaign that ran, with an exact metric. Tests leave branches and events behind."""
    path = make(tmp_path_factory.mktemp("kept") / "source")
    assert run(path)["best"]["value"] == 26
    return path


@pytest.fixture(scope="session")
def noisy(tmp_path_factory):
    """The same with a noisy metric."""
    path = make(
        tmp_path_factory.mktemp("noisy") / "source",
        command=NOISY,
        objective=QUIET,
        repeats={"confirm": 24},
        calibrate={"runs": 8},
    )
    view = run(path)
    assert view["counts"]["kept"] == 3
    assert view["baseline"]["exact"] is False
    return path
