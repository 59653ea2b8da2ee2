"""Writing the report's files: each whole or not at all, under a temporary name first."""

import os
import secrets
from collections.abc import Callable, Collection
from enum import StrEnum
from pathlib import Path

from loopsmith.errors import UsageError
from loopsmith.log import mask
from loopsmith.report.morning.render import PICTURE, html, markdown
from loopsmith.report.morning.report import Morning
from loopsmith.report.progress.picture import png


class ReportFormat(StrEnum):
    html = "html"
    md = "md"
    png = "png"


NAMES = {ReportFormat.html: "report.html", ReportFormat.md: "report.md", ReportFormat.png: PICTURE}
ALL = tuple(ReportFormat)


def write_report(it: Morning, folder: Path, forms: Collection[ReportFormat] = ALL) -> tuple[list[Path], list[str]]:
    """Write the report into a folder, which is made.

    Returns:
        the files that are written, and in words what could not be drawn; a picture is never the reason that the
        text is missing.

    Raises:
        UsageError: the folder cannot be written.
    """
    written, problems = [], []
    picture = None
    if ReportFormat.png in forms:
        try:
            picture = png(it.curve)
        except Exception as error:  # whatever a broken matplotlib raises
            problems.append(f"{PICTURE} could not be drawn: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    texts: dict[ReportFormat, Callable[[], str]] = {
        ReportFormat.html: lambda: html(it),
        ReportFormat.md: lambda: markdown(it, picture=picture is not None or (folder / PICTURE).exists()),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form in ALL:
            if form not in forms:
                continue
            data = picture if form is ReportFormat.png else mask(texts[form]()).encode("utf-8", "replace")
            if data is not None:
                written.append(write_whole(folder / NAMES[form], data))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot write the report to {folder}: {reason}; give another folder with --output") from error
    return written, problems


def write_whole(path: Path, data: bytes) -> Path:
    """Replace a file at once, so that a reader sees the old one or the new one."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return path
