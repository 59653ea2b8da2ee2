"""What the tracker holds of a campaign, as a table for other programs: TSV, CSV, JSON, Parquet.

Rows are written as they are read, so that a hundred thousand candidates need no more memory than a thousand.
"""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator
from typing import IO, Any, Literal

from sqlalchemy import JSON, Boolean, Float, Integer, Table

from loopsmith.errors import UsageError
from loopsmith.observers import require
from loopsmith.records import Campaign, Phase
from loopsmith.tracker import Store
from loopsmith.tracker.columns import Moment
from loopsmith.tracker.reading.extract import KNOWN, TABLES, json_text, table_named
from loopsmith.workflow.quote import one_line

Format = Literal["tsv", "csv", "json", "parquet"]
CANDIDATES = "candidates"
TABLE_NAMES = (CANDIDATES, *TABLES)
METRIC = "metric."  # begins the columns of the metrics
MEMORY_METRICS = {"peak_vram_mb": 1 / 1024, "peak_mem_mb": 1 / 1024, "memory_gb": 1.0, "peak_memory_gb": 1.0}
BATCH = 2_000  # rows of a Parquet file that are held at a time
KEEP = {"kept": "keep", "discarded": "discard", "duplicate": "discard", "quarantined": "discard"}
# What a spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = tuple("=+-@\t\r\n＝＋－＠")

Row = dict[str, Any]


def export(store: Store, campaign: Campaign, form: Format, out: IO[bytes], *, table: str = CANDIDATES) -> None:
    """Write a table of a campaign.

    Args:
        form: tsv is autoresearch's five columns, of the candidates alone; the others hold everything.
        out: takes bytes, UTF-8 but for Parquet; need not be seekable.
        table: one of TABLE_NAMES.

    Raises:
        UsageError: there is no such table, or it does not go with the form.
        WorkflowError: Parquet, and pyarrow is not installed.
    """
    if table != CANDIDATES:
        table_named(table)
    if form == "tsv":
        if table != CANDIDATES:
            raise UsageError(f"tsv has autoresearch's five columns of candidates; take csv or json for {table}")
        out.writelines(line.encode() for line in tsv(store, campaign))
    elif form == "json":
        rows = store.known(campaign.id) if table == CANDIDATES else store.rows(campaign.id, table)
        out.writelines(chunk.encode() for chunk in json_list(rows))
    else:
        columns = columns_of(store, campaign, table)
        rows = map(flat, store.known(campaign.id)) if table == CANDIDATES else store.rows(campaign.id, table)
        if form == "csv":
            out.writelines(line.encode() for line in csv_lines(columns, rows))
        else:
            write_parquet(columns, rows, out)


def candidates(store: Store, campaign_id: str) -> list[Row]:
    """Everything known of each candidate, with the columns of the CSV and times as text, ready for a DataFrame."""
    return [
        {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in flat(record).items()}
        for record in store.known(campaign_id)
    ]


def flat(record: Row) -> Row:
    """A candidate's record with a column for each of its metrics."""
    metrics = {f"{METRIC}{name}": value for name, value in record["metrics"].items()}
    return {**{name: record[name] for name in KNOWN}, **metrics}


def columns_of(store: Store, campaign: Campaign, table: str) -> dict[str, str]:
    """The columns of a table and what is in them, in the words of KNOWN."""
    if table == CANDIDATES:
        return {**KNOWN, **{f"{METRIC}{name}": "float" for name in store.metric_names(campaign.id)}}
    return {column.name.replace("commit_id", "commit"): kind_of(column.type) for column in columns_in(TABLES[table])}


def columns_in(table: Table) -> Iterable[Any]:
    return table.columns


def kind_of(type_: Any) -> str:
    kinds = ((Moment, "time"), (JSON, "json"), (Boolean, "bool"), (Integer, "int"), (Float, "float"))
    return next((kind for cls, kind in kinds if isinstance(type_, cls)), "text")


def json_list(rows: Iterable[Row]) -> Iterator[str]:
    """A JSON list, one object a line."""
    yield "["
    for index, row in enumerate(rows):
        yield f"{',' if index else ''}\n  {json_text(row)}"
    yield "\n]\n"


def csv_lines(columns: dict[str, str], rows: Iterable[Row]) -> Iterator[str]:
    """CSV with a header; no cell of it is taken for a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row.get(name), kind) for name, kind in columns.items()])
        yield take(buffer)
    yield take(buffer)


def take(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def cell(value: Any, kind: str) -> Any:
    if value is None or kind in ("int", "float", "bool"):
        return value
    if kind == "time":
        return value.isoformat()
    return harmless(json_text(value) if kind == "json" else str(value))


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula: one that begins like one gets an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def write_parquet(columns: dict[str, str], rows: Iterable[Row], out: IO[bytes]) -> None:
    """A Parquet file; maps are JSON texts, times have microseconds and are UTC."""
    require("pyarrow", "parquet")
    import pyarrow
    from pyarrow import parquet

    types = {
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "time": pyarrow.timestamp("us", tz="UTC"),
    }
    schema = pyarrow.schema([(name, types.get(kind, pyarrow.string())) for name, kind in columns.items()])
    maps = [name for name, kind in columns.items() if kind == "json"]
    waiting = iter(rows)
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        while batch := list(itertools.islice(waiting, BATCH)):
            written = [{**row, **{name: json_text(row[name]) for name in maps}} for row in batch]
            writer.write_batch(pyarrow.RecordBatch.from_pylist(written, schema=schema))


def tsv(store: Store, campaign: Campaign) -> Iterator[str]:
    """The table of karpathy/autoresearch's results.tsv, so that its plots and habits go on working.

    Its columns are commit, the metric's name, memory_gb, status (keep, discard or crash) and description; the first
    row is the untouched source.
    """
    metric = campaign.settings["objective"]["metric"]
    yield "\t".join(("commit", metric, "memory_gb", "status", "description")) + "\n"
    runs: dict[str, list[float]] = {}
    for item in store.measurements(campaign.id, commit=campaign.origin_commit, phase=Phase.BASELINE):
        runs.setdefault(item.metric, []).append(item.value)
    means = {name: sum(values) / len(values) for name, values in runs.items()}
    yield tsv_row(campaign.origin_commit, metric, means, "keep", "baseline")
    for record in store.known(campaign.id, decided=True):
        if record["commit"]:
            text = one_line(record["hypothesis"] or record["summary"], 200)
            status = KEEP.get(record["status"], "crash")
            yield tsv_row(record["commit"], metric, record["metrics"], status, harmless(text))


def tsv_row(commit: str, metric: str, means: dict[str, float], status: str, text: str) -> str:
    memory = next((means[name] * scale for name, scale in MEMORY_METRICS.items() if name in means), 0.0)
    value = means.get(metric, 0.0)
    shown = f"{value:.6g}" if 0 < abs(value) < 1e-3 else f"{value:.6f}"  # six decimals leave nothing of 3e-7
    return "\t".join((commit[:7], shown, f"{memory:.1f}", status, text)) + "\n"
