"""`loopsmith init`: a ready workflow, written into a folder and fitted to the program that is there."""

import asyncio
import inspect
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_command

from loopsmith import process, workflow
from loopsmith.agents.tuner import Tuner
from loopsmith.cli.check import problems_of
from loopsmith.cli.guess import GUESSES, Answers, Found, needed
from loopsmith.errors import LoopsmithError, UsageError, WorkflowError
from loopsmith.library.run import agent_named
from loopsmith.verify.runner import Verifier
from loopsmith.workflow.templates import Question, Template, fit, templates
from loopsmith.workspace import Sandbox, source_files

FILE, EDITABLE = "WORKFLOW.md", "workspace.editable"
AGENT = Question(
    name="agent",
    ask="Who works: anthropic:MODEL or openai:MODEL (with a key in ANTHROPIC_API_KEY or OPENAI_API_KEY), cli:claude, "
    "cli:codex, acp:opencode, or the tuner, which searches constants without a model",
    key=("agent",),
    guess="agent",
)


class Templates(TyperGroup):
    """The templates as subcommands, each with a flag for each of its questions."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(templates())

    def get_command(self, ctx: Any, name: str) -> Any:
        found = templates()
        if name not in found:
            raise UsageError(f"there is no template `{name}`; there are {', '.join(found)}")
        return command_of(found[name])


app = typer.Typer(
    cls=Templates,
    invoke_without_command=True,
    no_args_is_help=False,
    add_completion=False,
    subcommand_metavar="[TEMPLATE] [--flags]",
)


@app.callback()
def init(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print_templates()


def print_templates() -> None:
    console, table = Console(highlight=False), Table.grid(padding=(0, 2))
    for template in templates().values():
        table.add_row(Text(template.name, style="bold"), Text(template.when))
    console.print("Use a template when ...", table, sep="\n")
    console.print("`loopsmith init NAME` writes one here; `loopsmith init NAME --help` shows what it asks.")


def command_of(template: Template) -> Any:
    """The subcommand of a template."""

    def call(into: Path, force: bool, yes: bool, example: bool = False, **given: Any) -> None:
        answers = {name.replace("_", "-"): tuple(value) if isinstance(value, list) else value
                   for name, value in given.items() if value}  # fmt: skip
        write_template(template, into, answers, yes=yes, force=force, example=example)

    def option(name: str, kind: Any, default: Any, flag: str, words: str) -> inspect.Parameter:
        annotated = Annotated[kind, typer.Option(flag, help=words)]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotated)

    parameters = [
        option("into", Path, Path(), "--into", "The folder; made if need be."),
        option("force", bool, False, "--force", "Overwrite files that exist."),
        option("yes", bool, False, "--yes", "Ask nothing: take what was found, or say what is missing."),
    ]
    if template.settings:
        parameters.append(option("example", bool, False, "--example", "With its own example, as in an empty folder."))
    for question in questions_of(template):
        kind = list[str] | None if question.many else str | None
        parameters.append(option(question.name.replace("-", "_"), kind, None, question.flag, question.words))
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    single = typer.Typer(add_completion=False)
    single.command(name=template.name, help=f"Use it when {template.when}.")(call)
    return get_command(single)


def questions_of(template: Template) -> list[Question]:
    settings = template.settings
    if settings is None:
        return []
    return [*settings.ask, *([] if settings.agent == "given" else [AGENT])]


def write_template(
    template: Template, into: Path, given: Mapping[str, Any], *, yes: bool, force: bool, example: bool
) -> None:
    """Write a template into a folder, check it, and say how to go on.

    Args:
        given: answers by the questions' names; the others are found out or, on a terminal, asked for.
        yes: ask nothing.
        example: as it is, with its example, rather than fitted.

    Raises:
        UsageError: files exist, an answer is missing, or what must be written down first cannot be.
        WorkflowError: what was written does not pass `loopsmith check`.
    """
    folder = into.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = source_files(folder)
    except OSError as error:
        raise UsageError(f"{folder}: it cannot be written: {(error.strerror or str(error)).lower()}") from None
    found = Found(folder, files)
    whole = example or template.settings is None or not (files or given)
    if example and given:
        raise UsageError(f"--example takes the template as it is; leave out {', '.join(f'--{name}' for name in given)}")
    refuse_existing(template, folder, template.files(example=whole), force)
    contents = {path: (template.folder / path).read_bytes() for path in template.files(example=whole)}
    if not whole:
        values, texts = answers_for(template, found, given, asks=not yes and sys.stdin.isatty())
        contents[FILE] = fit(contents[FILE].decode(), values).encode()
        contents |= {path: text.encode() for path, text in texts.items()}
        refuse_existing(template, folder, tuple(contents), force)
    record = template.settings.record if template.settings and not whole else None
    before = {path: (folder / path).read_bytes() if (folder / path).is_file() else None
              for path in (*contents, *(record.makes if record else ()))}  # fmt: skip
    try:
        write(folder, contents)
        loaded = workflow.load(folder / FILE)
        if record:
            write(folder, recorded(loaded, found.folder, record.command, record.makes))
    except LoopsmithError:
        write(folder, before)
        raise
    written = [*contents, *(record.makes if record else ())]
    print(f"wrote {template.name} into {folder}{', with its example' if whole else ''}: {', '.join(sorted(written))}")
    if problems := problems_of(loaded):
        raise WorkflowError(*problems, f"{folder / FILE} was written; mend this there, then run `loopsmith check`")
    where = "" if folder == Path.cwd() else f" {into}"
    print(f"loopsmith check: no problem found; it affords {workflow.affordance(loaded)}")
    print(f"next: read {FILE}, then `loopsmith check{where} --calibrate` (the noise), `loopsmith run{where}`")


def refuse_existing(template: Template, folder: Path, paths: Sequence[str], force: bool) -> None:
    """Raise where something would be overwritten."""
    there = [path for path in paths if (folder / path).exists()]
    if there and not force:
        raise UsageError(f"{folder} has {', '.join(there)} already; --force overwrites, --into DIR writes elsewhere")


def answers_for(
    template: Template, found: Found, given: Mapping[str, Any], *, asks: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of the front matter by dotted key, and the texts of files by path.

    Raises:
        UsageError: an answer is missing, or is none that the question allows.
    """
    answers: dict[str, str | tuple[str, ...]] = {}
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    missing = []
    for question in questions_of(template):
        answer = given.get(question.name) or guessed(template, question, found, answers)
        if asks and question.name not in given:
            answer = ask(question, answer)
        if answer is None or answer == ():
            missing.append(f"{question.flag}: {question.words}")
            continue
        answers[question.name] = answer
        value = agent_named(str(answer)) if question is AGENT else question.value(answer)
        values |= {key: [value] if key == EDITABLE and isinstance(value, str) else value for key in question.key}
        if question.file:
            texts[question.file] = f"{answer}\n"
    if missing:
        raise UsageError("\n".join(("not found out, so say it with these flags:", *missing)))
    if linked := needed(found, [answer for answer in answers.values() if isinstance(answer, str)]):
        values["workspace.link"] = list(linked)
    for name, answer in answers.items():
        print(f"{name}: {answer if isinstance(answer, str) else ' '.join(answer)}")
    if linked:
        print(f"linked read-only, as git ignores it and the command uses it: {' '.join(linked)}")
    return values, texts


def guessed(template: Template, question: Question, found: Found, answers: Answers) -> Any:
    answer = GUESSES[question.guess](found, answers) if question.guess else None
    if answer is None and question is AGENT and template.settings and template.settings.agent == "any":
        editable = workflow.editable_matcher(answers.get("editable", ()))
        try:
            Tuner(workflow.TunerAgent()).check(found.folder, list(filter(editable, found.files)))
            return "tuner"
        except WorkflowError:
            return None
    return answer or question.default


def ask(question: Question, answer: Any) -> Any:
    """A person's answer, or what stands in the brackets."""
    print(f"\n{question.words}" + (", separated by spaces" if question.many else ""))
    while True:
        said = typer.prompt(" ", default=" ".join(answer) if isinstance(answer, tuple) else answer).strip()
        if question.values and said not in question.values:
            print(f"one of: {', '.join(question.values)}")
        elif said:
            return tuple(said.split()) if question.many else said


def recorded(loaded: workflow.Workflow, source: Path, command: str, makes: Sequence[str]) -> dict[str, bytes]:
    """The files that a command of the template makes, run in the verifier's place on a copy of the source.

    Raises:
        UsageError: it fails; with what it said.
    """
    settings = loaded.settings
    print(f"recording: {command}", flush=True)
    with tempfile.TemporaryDirectory(prefix="loopsmith-") as name:
        copy, log = Path(name).resolve() / "copy", Path(name).resolve() / "log"
        for path in source_files(source, exclude=settings.workspace.exclude, links=settings.workspace.link):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / path, copy / path, follow_symlinks=False)
        for link in settings.workspace.link:
            (copy / link).symlink_to((source / link).resolve())
        sandbox = Sandbox.detect(
            settings.sandbox, links=settings.workspace.link, source=source, limits=settings.verify.limits.bounds()
        )
        verifier = Verifier(settings, sandbox)
        done = asyncio.run(verifier.command(command, copy, seed=1, log=log, mark="loopsmith.init"))
        if not done.ok or not all((copy / path).is_file() for path in makes):
            raise UsageError(
                f"`{command}` failed in a copy of {source} (without what git ignores):\n"
                f"{process.tail(log).strip() or 'it said nothing'}\nnothing was written"
            )
        return {path: (copy / path).read_bytes() for path in makes}


def write(folder: Path, contents: Mapping[str, bytes | None]) -> None:
    """Write files; None removes one, and folders that are empty then."""
    for name, content in contents.items():
        path = folder / name
        if content is None:
            path.unlink(missing_ok=True)
            for parent in path.parents:
                if parent == folder or not parent.is_dir() or any(parent.iterdir()):
                    break
                parent.rmdir()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
