"""A campaign whose tracker is a server's."""

import shlex

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


def test_the_password_of_a_tracker_is_in_no_command_and_no_file_and_a_command_that_lacks_it_says_so(
    tmp_path, loopsmith
):
    if (programs := find_programs()) is None:
        pytest.skip("PostgreSQL is not installed")
    path = write_source(tmp_path, agent=setting_x(12))
    with serving(programs) as server:
        url = server.database().replace("tests@", "tests:planted-password@")
        ran = loopsmith("run", path, "--plain", "--tracker", url)
        status = loopsmith("status", "-w", path, "--tracker", url)
        page = loopsmith("report", "-w", path, "--tracker", url)
    assert [each.code for each in (ran, status, page)] == [0, 0, 0]
    assert not [each for each in (ran, status, page) if "planted-password" in each.out + each.err]
    files = [file for file in (tmp_path / ".loopsmith").rglob("*") if file.is_file()]
    assert not [file for file in files if b"planted-password" in file.read_bytes()]
    shown = next(line for line in status.out.splitlines() if "loopsmith show" in line)
    again = loopsmith(*shlex.split(shown.partition("loopsmith ")[2], comments=True))
    assert (again.code, "write it in the place of ***" in again.err) == (4, True)
