"""`loopsmith export`: for pandas, spreadsheets and Datasette; hostile text, large trackers, clear errors."""

import asyncio
import csv
import io
import itertools
import json
import os
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert
from support import run, write_source

from loopsmith import workflow
from loopsmith.cli.export import put
from loopsmith.errors import UsageError
from loopsmith.report.datasette import metadata
from loopsmith.report.export import export, tsv_row
from loopsmith.tracker import open_store, tables
from loopsmith.tracker.reading import extract
from loopsmith.tracker.reading.extract import KNOWN

HOSTILE = '=HYPERLINK("http://evil.example","x"),\n+1\r"quoted"\t<script>'


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """The state folder of a campaign: c2 kept, c1 discarded, c3 failed, c4 rejected; two metrics."""
    command = 'echo "METRIC score=$X"; echo "METRIC peak_mem_mb=2048"'
    commands = ["sed -i s/X=10/X=12/ program.sh", "sed -i s/X=10/X=15/ program.sh", "true", "echo x > verify.sh"]
    agent = {"kind": "scripted", "commands": commands}
    folder = tmp_path_factory.mktemp("source")
    path = write_source(folder, command=command, agent=agent, search={"candidates_per_round": 4})
    run(path)
    return workflow.load(path).state


@pytest.fixture
def done(campaign, tmp_path, monkeypatch):
    """An own folder, which is the present one, with the campaign's state in it."""
    (tmp_path / ".loopsmith").symlink_to(campaign)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_json_and_csv_hold_everything_known_of_each_candidate(done, loopsmith):
    records = json.loads(loopsmith("export", "--format", "json").out)
    rows = list(csv.DictReader(io.StringIO(loopsmith("export", "--format", "csv").out)))
    assert [record["status"] for record in records] == ["discarded", "kept", "failed", "rejected"]
    kept = records[1]
    assert list(kept) == [*KNOWN, "metrics"]
    assert kept["metrics"] == {"peak_mem_mb": 2048.0, "score": 15.0}
    assert (kept["value"], kept["baseline_value"], kept["effect"], kept["rule"]) == (15.0, 10.0, 0.5, "exact")
    assert kept["verify_seconds"] > 0
    assert kept["seconds"] > 0
    assert datetime.fromisoformat(kept["finished_at"]).tzinfo is not None
    assert list(rows[1]) == [*KNOWN, "metric.peak_mem_mb", "metric.score"]
    assert (rows[1]["metric.score"], rows[1]["commit"], rows[2]["metric.score"]) == ("15.0", kept["commit"], "")


def test_tsv_stays_autoresearch_s(done, loopsmith):
    rows = [line.split("\t") for line in loopsmith("export").out.splitlines()]
    assert rows[0] == ["commit", "score", "memory_gb", "status", "description"]
    assert [row[1:4] for row in rows[1:]] == [
        ["10.000000", "2.0", "keep"],
        ["12.000000", "2.0", "discard"],
        ["15.000000", "2.0", "keep"],
    ]
    assert loopsmith("export", "--table", "events").code == 2


@pytest.mark.parametrize("table", ["measurements", "decisions", "rounds", "events", "usage", "reflections"])
def test_any_table_of_the_campaign_can_be_had(done, loopsmith, table):
    records = json.loads(loopsmith("export", "--format", "json", "--table", table).out)
    rows = list(csv.DictReader(io.StringIO(loopsmith("export", "--format", "csv", "--table", table).out)))
    assert len(records) == len(rows)
    if table != "usage":
        assert records
        assert list(records[0]) == list(rows[0])
        assert "commit_id" not in records[0]


def test_a_table_that_does_not_exist_is_one_clear_line(done, loopsmith):
    result = loopsmith("export", "--format", "csv", "--table", "candidate")
    assert result.code == 2
    assert result.err.startswith("loopsmith: there is no table `candidate`; there are candidates, measurements,")


def test_parquet_has_types_and_reads_back_the_same(done, loopsmith):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'loopsmith[parquet]'")
    assert loopsmith("export", "-o", "all.parquet").code == 0  # the name says which format
    table = parquet.read_table("all.parquet")
    records = json.loads(loopsmith("export", "--format", "json").out)
    assert table.column_names == [*KNOWN, "metric.peak_mem_mb", "metric.score"]
    assert str(table.schema.field("effect").type) == "double"
    assert str(table.schema.field("finished_at").type) == "timestamp[us, tz=UTC]"
    for row, record in zip(table.to_pylist(), records, strict=True):
        assert {name: row[name] for name in ("candidate", "status", "effect", "commit", "cost_usd")} == {
            name: record[name] for name in ("candidate", "status", "effect", "commit", "cost_usd")
        }
        assert json.loads(row["params"]) == record["params"]
    assert loopsmith("export", "-o", "events.parquet", "--table", "events").code == 0
    events = parquet.read_table("events.parquet").to_pylist()
    assert json.loads(events[0]["data"]) == {}
    assert events[0]["created_at"].tzinfo is not None


def test_parquet_says_which_extra_it_needs_and_leaves_no_file(done, loopsmith, monkeypatch):
    monkeypatch.setattr("loopsmith.observers.find_spec", lambda _: None)
    result = loopsmith("export", "-o", "all.parquet")
    assert result.code == 2
    assert "pip install 'loopsmith[parquet]'" in result.err
    assert [path.name for path in done.iterdir()] == [".loopsmith"]


def test_parquet_does_not_go_to_a_terminal(monkeypatch):
    _, end = os.openpty()
    with open(end, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        with pytest.raises(UsageError, match="this is a terminal; give --output FILE"):
            put(None, lambda out: out.writelines([b"PAR1"]), binary=True)


def test_a_file_is_there_only_when_it_is_whole(done, loopsmith):
    target = done / "out.csv"
    target.write_text("before")
    assert loopsmith("export", "--table", "nonsense", "-o", target).code == 2
    assert target.read_text() == "before"
    assert loopsmith("export", "-o", target).code == 0
    assert target.read_text().startswith("candidate,round,status,")
    result = loopsmith("export", "-o", done / "no/such/x.csv")
    assert result.code == 2
    assert result.err.endswith("no such file or directory\n")
    assert sorted(path.name for path in done.iterdir() if "out" in path.name) == ["out.csv"]


def bulk(store, count, hypothesis):
    """A campaign with so many discarded candidates, each with a run, a call and a decision."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    campaign = store.start_campaign(
        id="c",
        name="c",
        workflow_path="w",
        workflow_text="",
        workflow_hash="",
        identity_hash="",
        settings={"objective": {"metric": "score", "direction": "maximize"}},
        source="s",
        origin_commit="0" * 40,
        task_titles=["t"],
    )
    numbers = range(1, count + 1)
    same = {"campaign_id": "c", "created_at": at}
    none = dict.fromkeys(("retry_of", "tree"))
    words = dict.fromkeys(("emphasis", "summary", "tried", "lesson", "try_next", "finish_reason"), "")
    rows = {
        tables.round_: [
            {"id": "c.r1", "task_id": "c.t1", "number": 1, "baseline_commit": "b", "finished": True, **same}
        ],
        tables.candidate: [
            {"id": f"c.{n}", "round_id": "c.r1", "number": n, "status": "discarded", "attempt": 1, "seed": n}
            | {
                "agent": "a",
                "parent_commit": "b",
                "hypothesis": hypothesis,
                "commit_id": f"{n:040x}",
                "value": float(n),
            }
            | {"lines_added": 1, "lines_removed": 0, "params": {}, "plan": {"category": "wild"}, "updated_at": at}
            | {**same, **none, **words}
            for n in numbers
        ],
        tables.decision: [
            {"candidate_id": f"c.{n}", "verdict": "discarded", "reason": "r", "rule": "x", "evidence": {}, "value": 1.0}
            | dict.fromkeys(("effect_mean", "effect_low", "effect_high", "effect_samples", "baseline_value"))
            | same
            for n in numbers
        ],
        tables.measurement: [
            {"candidate_id": f"c.{n}", "commit_id": f"{n:040x}", "phase": "screen", "pair": 0, "metric": "score"}
            | {"value": float(n), "seed": 1, "seconds": 2.0, "log": None, **same}
            for n in numbers
        ],
        tables.usage: [
            {"round_id": "c.r1", "candidate_id": f"c.{n}", "role": "worker", "model": "m", "input_tokens": 10}
            | {"cached_tokens": 0, "output_tokens": 5, "cost_usd": 0.5, "seconds": 1.0, "settled": True, **same}
            for n in numbers
        ],
    }
    with store._database.writing() as connection:
        for table, values in rows.items():
            connection.execute(insert(table), values)
    return campaign


def test_no_cell_is_taken_for_a_formula_and_hostile_text_comes_back_as_it_was(tmp_path):
    with open_store(tmp_path / "t.db") as store:
        campaign = bulk(store, 2, HOSTILE)
        out = io.BytesIO()
        export(store, campaign, "csv", out)
        rows = list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))
        assert rows[0]["hypothesis"] == "'" + HOSTILE
        assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for value in row.values())
        out = io.BytesIO()
        export(store, campaign, "json", out)
        assert json.loads(out.getvalue())[0]["hypothesis"] == HOSTILE
        out = io.BytesIO()
        export(store, campaign, "tsv", out)
        lines = out.getvalue().decode().splitlines()
        assert len(lines) == 4
        assert all(line.count("\t") == 4 for line in lines)
        assert lines[-1].split("\t")[4].startswith("'=HYPERLINK")


@pytest.mark.parametrize("form", ["csv", "json", "tsv", "parquet"])
def test_rows_are_written_as_they_are_read_and_never_all_held(tmp_path, monkeypatch, form):
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="pip install 'loopsmith[parquet]'")
    monkeypatch.setattr(extract, "PAGE", 10)
    monkeypatch.setattr(sys.modules["loopsmith.report.export"], "BATCH", 20)
    pages, known_of = [], extract.known_of
    monkeypatch.setattr(extract, "known_of", lambda *given: pages.append(1) or known_of(*given))
    seen = []

    class Reader(io.RawIOBase):
        """Notes how many pages had been read at each of its writes."""

        def writable(self):
            return True

        def write(self, data):
            seen.append(len(pages))
            return len(data)

    with open_store(tmp_path / "t.db") as store:
        export(store, bulk(store, 205, "idea"), form, Reader())
    assert len(pages) == 21
    steps = [after - before for before, after in itertools.pairwise(seen)]
    assert max(steps) <= 2, "pages that were read between two writes"


def test_records_of_open_and_decided_candidates_hold_their_sums(tmp_path):
    with open_store(tmp_path / "t.db") as store:
        bulk(store, 700, "idea")  # more than a page
        records = list(store.known("c"))
        assert [record["candidate"] for record in records] == list(range(1, 701))
        last = records[-1]
        assert (last["cost_usd"], last["input_tokens"], last["calls"], last["verify_seconds"]) == (0.5, 10, 1, 2.0)
        assert (last["category"], last["metrics"], last["round"]) == ("wild", {"score": 700.0}, 1)
        assert store.known_candidate("c", 700) == last


def test_datasette_knows_every_table_and_column(tmp_path):
    described = metadata(tmp_path / "tracker.db")["databases"]["tracker"]["tables"]
    for name, table in tables.METADATA.tables.items():
        assert described[name]["description"], name
        assert set(described[name]["columns"]) == set(table.columns.keys()), name
        assert all(described[name]["columns"].values())


def test_datasette_opens_the_tracker_with_it_and_answers_every_question(done, loopsmith):
    app = pytest.importorskip("datasette.app", reason="pip install datasette")
    result = loopsmith("export", "--format", "datasette", "-o", "metadata.json")
    tracker = done / ".loopsmith/tracker.db"
    assert result.err == f"open it with: datasette {tracker} --metadata metadata.json\n"
    known = json.loads((done / "metadata.json").read_text())

    async def look():
        datasette = app.Datasette(files=[str(tracker)], metadata=known)
        await datasette.invoke_startup()
        database = (await datasette.client.get("/tracker.json")).json()
        assert "loopsmith_schema" not in {table["name"] for table in database["tables"] if not table["hidden"]}
        page = (await datasette.client.get("/tracker/candidate")).text
        assert "A patch with its hypothesis, and where it stands." in page
        assert "who made it" in page
        assert "facet" in page
        answers = {}
        for name in known["databases"]["tracker"]["queries"]:
            answer = await datasette.client.get(f"/tracker/{name}.json?campaign=&_shape=objects")
            assert answer.status_code == 200, answer.text
            answers[name] = answer.json()["rows"]
        return answers

    with open_store(tracker) as store:  # as a campaign that runs has it
        store.record_event(store.campaigns()[0].id, "test.looked")
        answers = asyncio.run(look())
    (kept,) = answers["progress"]
    assert (kept["candidate"], kept["percent"], kept["value"]) == (2, 50.0, 15.0)
    assert [row["best"] for row in answers["best_value"]][1] == 15.0
    assert answers["agents"][0] == {"agent": "scripted", "tried": 4, "kept": 1, "cost_usd": None, "usd_per_keep": None}
    assert {row["verdict"] for row in answers["why_not"]} == {"discarded", "failed", "rejected"}
    assert answers["noise"][0]["spread_percent"] == 0.0
    assert answers["spending"] == []


def test_a_tiny_value_keeps_its_digits_in_tsv():
    values = [tsv_row("c" * 40, "s", {"s": value}, "keep", "").split("\t")[1] for value in (0.9979, 3.25e-7, -3e-7)]
    assert values == ["0.997900", "3.25e-07", "-3e-07"]
