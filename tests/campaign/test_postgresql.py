"""A campaign whose tracker is a server's."""

import pytest
from postgresql_server import find_programs, serving
from support import setting_x, write_source


def test_a_campaign_runs_is_read_and_goes_on_with_its_tracker_in_postgresql(tmp_path, loopsmith):
    if (programs := find_programs()) is None:
        pytest.skip("PostgreSQL is not installed")
    path = write_source(tmp_path, agent=setting_x(12, 11, 14))
    with serving(programs) as server:
        url = server.database()
        assert "kept" in loopsmith("run", path, "--plain", "--tracker", url).out
        again = loopsmith("run", path, "--plain", "--tracker", url, "--set", "budget.rounds=2")
        assert "score 10 -> 14" in again.out
        shown = loopsmith("status", "-w", path, "--tracker", url)
        assert "score 10 -> 14" in shown.out
        assert "candidate 3 of" in loopsmith("show", "3", "-w", path, "--tracker", url).out
    gone = loopsmith("status", "-w", path, "--tracker", url)
    assert gone.code != 0
    assert "the tracker postgresql" in gone.err
    assert len(gone.err.splitlines()) == 1
    assert "Traceback" not in gone.err
    assert not (tmp_path / ".loopsmith" / "tracker.db").exists()
