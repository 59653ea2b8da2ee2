"""`loopsmith export`: what the tracker holds, for other programs."""

import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import IO, Annotated, cast

import typer

from loopsmith import report
from loopsmith.cli.find import Found, find_campaign
from loopsmith.cli.options import CampaignOption, StateOption, TrackerOption, WorkflowOption
from loopsmith.errors import UsageError
from loopsmith.report.datasette import metadata_text


class Format(StrEnum):
    tsv = "tsv"
    csv = "csv"
    json = "json"
    parquet = "parquet"
    datasette = "datasette"


OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default, or -: standard output.")
]


def export(
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="tsv has autoresearch's five columns; datasette is metadata for it, not a table. "
            "Default: as the output file's name ends, else tsv.",
        ),
    ] = None,
    table: Annotated[
        str,
        typer.Option("--table", help="candidates, measurements, decisions, rounds, events, usage, reflections, ..."),
    ] = "candidates",
    output: OutputOption = None,
    workflow: WorkflowOption = None,
    state: StateOption = None,
    tracker: TrackerOption = None,
    campaign: CampaignOption = None,
) -> None:
    chosen = form or by_name(output)
    with find_campaign(workflow, state, tracker, campaign) as found:
        if chosen is Format.datasette:
            describe(found, output)
        else:
            kind = cast(report.TableFormat, chosen.value)
            write = partial(report.export, found.store, found.campaign, kind, table=table)
            put(output, write, binary=chosen is Format.parquet)


def by_name(output: Path | None) -> Format:
    """The format that a file's name asks for."""
    ending = output.suffix.lstrip(".").lower() if output else ""
    return next((form for form in Format if form.value == ending), Format.tsv)


def describe(found: Found, output: Path | None) -> None:
    """Write Datasette's metadata, and say how to open the tracker with it."""
    place = Path(found.store.place)
    if not place.is_file():
        raise UsageError(f"Datasette opens SQLite files, and this tracker is {found.store.place}")
    put(output, lambda out: out.writelines([metadata_text(place).encode()]))
    file = shlex.quote(str(output)) if to_file(output) else "METADATA.json"
    print(f"open it with: datasette {shlex.quote(str(place))} --metadata {file}", file=sys.stderr)


def put(output: Path | None, write: Callable[[IO[bytes]], None], *, binary: bool = False) -> None:
    """Let `write` write to a file, which is there only when it is whole, or to standard output.

    Raises:
        UsageError: it cannot be written, or is binary and would go to a terminal.
    """
    if not to_file(output):
        if binary and sys.stdout.isatty():
            raise UsageError("Parquet is binary, and this is a terminal; give --output FILE")
        sys.stdout.flush()
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    assert output is not None
    target = output.expanduser()
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as part:
            try:
                write(part.file)
                part.close()
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(part.name, 0o666 & ~mask)
                os.replace(part.name, target)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UsageError(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from error


def to_file(output: Path | None) -> bool:
    return output is not None and str(output) != "-"
