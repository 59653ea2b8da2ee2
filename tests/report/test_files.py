"""Where the report is written: at each campaign's end and on request, whole or not at all, and never in the way."""

import json
import shutil
import subprocess
import sys

import pytest
from filled import discarded, fill, kept
from support import run, setting_x, write_source

import loopsmith as library
from loopsmith.errors import UsageError
from loopsmith.report.morning import files
from loopsmith.report.morning.files import ReportFormat, write_report
from loopsmith.report.progress.curve import curve
from loopsmith.report.progress.picture import draw

NAMES = {"report.html", "report.md", "progress.png"}
BWRAP = shutil.which("bwrap")


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_all_three_are_written_and_nothing_else_is_left(store, tell, tmp_path):
    it = tell(fill(store, [kept(90.0, hypothesis="$x^$ 漢字 \x00"), discarded(95.0)], exact=False, target=95.0))
    for _ in range(2):  # the second replaces the first
        written, problems = write_report(it, tmp_path / "new" / "folder")
        assert problems == []
        assert {path.name for path in written} == names(tmp_path / "new" / "folder") == NAMES
    assert (tmp_path / "new" / "folder" / "progress.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("baseline", [(), (0.0,), (1e-9,), (5e12,)])
def test_a_picture_of_nothing_and_of_any_scale_is_drawn(store, tell, tmp_path, baseline):
    candidates = [kept(value * 0.9) for value in baseline if value]
    written, problems = write_report(tell(fill(store, candidates, baseline=baseline)), tmp_path, [ReportFormat.png])
    assert (len(written), problems) == (1, [])


def test_the_picture_tells_apart_what_the_page_does(store):
    from matplotlib.figure import Figure

    overtaken, waiting = discarded(85.0, baseline=None), {"verdict": "quarantined", "value": 10.0}
    campaign = fill(store, [kept(90.0), discarded(95.0, first=85.0), discarded(95.0), overtaken, waiting], exact=False)
    axes = Figure().subplots()
    draw(axes, curve(store, campaign))
    said = set(axes.get_legend_handles_labels()[1])
    assert {"discarded", "looked better once, refused", "overtaken in its round", "waits for a person"} <= said


def test_a_format_is_written_alone(store, tell, tmp_path):
    write_report(tell(fill(store, [])), tmp_path / "out", [ReportFormat.md])
    assert names(tmp_path / "out") == {"report.md"}
    assert "progress.png" not in (tmp_path / "out" / "report.md").read_text()


def test_a_broken_matplotlib_costs_the_picture_alone(store, tell, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    written, problems = write_report(tell(fill(store, [kept(90.0)])), tmp_path / "out")
    assert {path.name for path in written} == {"report.html", "report.md"}
    assert problems[0].startswith("progress.png could not be drawn: ")
    assert "progress.png" not in (tmp_path / "out" / "report.md").read_text()


def test_a_disk_that_is_full_leaves_the_old_report_as_it_was(store, tell, tmp_path, monkeypatch):
    it = tell(fill(store, [kept(90.0)]))
    write_report(it, tmp_path / "out", [ReportFormat.html])
    before = (tmp_path / "out" / "report.html").read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UsageError, match="no space left on device; give another folder with --output"):
        write_report(it, tmp_path / "out", [ReportFormat.html])
    assert names(tmp_path / "out") == {"report.html"}
    assert (tmp_path / "out" / "report.html").read_bytes() == before


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "source", agent=setting_x(12, 11), search={"workers": 1})


def test_a_run_leaves_a_report_and_names_it(source, loopsmith):
    done = loopsmith("run", source, "--plain")
    (folder,) = (source.parent / ".loopsmith" / "reports").iterdir()
    assert names(folder) == NAMES
    assert f"report    {folder / 'report.html'}\n" in done.out
    assert "score went from 10 to 12" in (folder / "report.md").read_text()


def test_a_run_that_fails_leaves_one_too(tmp_path, loopsmith):
    path = write_source(tmp_path / "source", command="exit 3", agent=setting_x(1))
    done = loopsmith("run", path, "--plain")
    assert done.code == 3
    (folder,) = (path.parent / ".loopsmith" / "reports").iterdir()
    assert f"the report is {folder / 'report.html'}" in done.err
    assert "did not pass its own verifier" in (folder / "report.md").read_text()


def test_a_report_that_cannot_be_written_is_a_line_of_warning_and_changes_nothing(source, loopsmith):
    reports = source.parent / ".loopsmith" / "reports"
    reports.parent.mkdir()
    reports.write_text("a file in its place")
    done = loopsmith("run", source, "--plain")
    assert done.code == 0
    assert "report    " not in done.out
    assert len([line for line in done.err.splitlines() if "report.failed" in line]) == 1
    assert json.loads(loopsmith("status", "-w", source, "--json").out)["campaign"]["status"] == "done"


def test_improve_leaves_a_report_too(source):
    command, agent = "sh verify.sh", {"kind": "scripted", "commands": ["sed -i 's/^X=.*/X=12/' program.sh"]}
    result = library.improve(
        source.parent,
        editable="program.sh",
        evaluate=command,
        objective={"metric": "score", "direction": "maximize"},
        budget={"candidates": 1},
        agent=agent,
        progress=False,
        calibrate={"runs": 2},
    )
    assert result.report is not None
    assert result.report.read_text().startswith("<!doctype html>")
    assert str(result.report) in str(result)


def test_a_report_on_request_goes_where_it_is_asked_to(source, loopsmith, tmp_path):
    run(source)
    done = loopsmith("report", "-w", source, "--output", tmp_path / "out", "--format", "md", "--format", "html")
    assert done.out.split() == [str(tmp_path / "out" / "report.html"), str(tmp_path / "out" / "report.md")]
    assert not (source.parent / ".loopsmith" / "reports").exists()
    assert loopsmith("report", "-w", source, "--format", "md").out.startswith(
        str(source.parent / ".loopsmith/reports/")
    )
    assert loopsmith("report", "-w", source, "--format", "pdf").code == 2
    taken = loopsmith("report", "-w", source, "--output", source)
    assert taken.code == 2
    assert taken.err.startswith(f"loopsmith: cannot write the report to {source}: ")


@pytest.mark.skipif(BWRAP is None, reason="needs bubblewrap for a read-only disk")
def test_a_tracker_on_a_read_only_disk_is_told_of(source, tmp_path):
    run(source)
    (tmp_path / "out").mkdir()
    disk = [BWRAP, "--dev-bind", "/", "/", "--ro-bind", source.parent, source.parent, "--bind", *[tmp_path / "out"] * 2]
    line = [sys.executable, "-m", "loopsmith", "report", "-w", source, "--format", "md", "--output", tmp_path / "out"]
    done = subprocess.run([*disk, *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "+X=12" in (tmp_path / "out" / "report.md").read_text()
