import pytest
from keeping import make


@pytest.fixture
def kept(tmp_path, loopsmith, monkeypatch):
    """The source of such a campaign, run and with an exact metric."""
    path = make(tmp_path / "source")
    result = loopsmith("run", path)
    assert result.code == 0, result.err
    assert "score 10 -> 26" in result.out
    monkeypatch.chdir(path.parent)
    return path.parent
