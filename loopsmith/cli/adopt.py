"""`loopsmith adopt`: a workflow drafted from a program that has no front matter."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from loopsmith.campaign.measure.leases import machine_gpus
from loopsmith.errors import UsageError, WorkflowError
from loopsmith.workflow.adopt import Draft, draft
from loopsmith.workflow.load import read_text

PROGRAMS = ("program.md", "autoresearch.md", ".auto/prompt.md")
STANDARD = Path("-")
LARGEST = 100_000  # characters


def adopt(
    program: Annotated[
        Path | None,
        typer.Argument(metavar="program.md", help="A program without front matter. Default: ./program.md."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Default: WORKFLOW.md beside the program; - for standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    raise typer.Exit(adopt_program(program, output, force=force))


def adopt_program(program: Path | None, output: Path | None, *, force: bool = False) -> int:
    """Write the draft and say what it holds; gives the exit code, 2 where it cannot run as it is.

    Raises:
        WorkflowError: the program cannot be read, or has front matter already.
        UsageError: the file exists, or cannot be written.
    """
    program = program or next((path for each in PROGRAMS if (path := Path(each)).is_file()), Path(PROGRAMS[0]))
    if not program.is_file():
        raise WorkflowError(f"{program}: there is no such file; name the program, as in `loopsmith adopt program.md`")
    text = read_text(program)
    if not text.strip():
        raise WorkflowError(f"{program}: the file is empty")
    if len(text) > LARGEST:
        raise WorkflowError(f"{program}: {len(text)} characters are too many for a program; is this the right file?")
    if text.split("\n")[0].rstrip() == "---":
        raise WorkflowError(f"{program}: it has front matter already; `loopsmith check {program}` says what is missing")
    folder = program.absolute().parent
    source = folder.parent if folder.name.startswith(".") else folder  # a program in .auto/ is about the folder above
    target = output or source / "WORKFLOW.md"
    if target != STANDARD and target.is_dir():
        target = target / "WORKFLOW.md"
    home = source if target == STANDARD else target.absolute().parent
    made = draft(
        text,
        name=program.name,
        source=Path(os.path.relpath(source, home)).as_posix(),
        there=lambda path: (source / path).exists(),
        gpus=len(machine_gpus()),
    )
    if target == STANDARD:
        sys.stdout.write(made.text)
    else:
        write(target, made.text, force=force)
    shown = target if output else os.path.relpath(target)
    print(account(made, program, None if target == STANDARD else str(shown)), file=sys.stderr)
    return 0 if made.complete else 2


def write(target: Path, text: str, *, force: bool) -> None:
    """Write a file, and never over another one without `force`.

    Raises:
        UsageError: it exists, or cannot be written.
    """
    try:
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{target} exists; write another file with --output, or over it with --force") from None
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None


def account(made: Draft, program: Path, target: str | None) -> str:
    """What was found and what was not, for a person."""
    width = max((len(key) for key, _, _ in made.findings), default=0)
    lines = [f"found in {program}:"] if made.findings else [f"nothing was found in {program}"]
    lines += [f"  {key:{width}}  {value}  (line {line})" for key, value, line in made.findings]
    lines += ["not found, or only assumed:", *(f"  {words}" for words in made.missing)]
    if target is not None:
        check = "loopsmith check" if target == "WORKFLOW.md" else f"loopsmith check {target}"
        what = "read it" if made.complete else "fill in what is missing"
        lines.append(f"wrote {target}; {what}, then `{check}`, and `{check} --calibrate` for the noise of a run")
    return "\n".join(lines)
