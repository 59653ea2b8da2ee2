"""The draft: front matter with a comment beside each guess, and what the program does not say."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from loopsmith.workflow.adopt.body import write_body
from loopsmith.workflow.adopt.commands import Command, find_command, find_timeout
from loopsmith.workflow.adopt.files import Files, find_files
from loopsmith.workflow.adopt.metric import TOLERANCE, Soft, find_metric, find_smallest, find_soft
from loopsmith.workflow.adopt.page import Page, comment, commented, flow, quote, scalar, single, wrapped
from loopsmith.workflow.adopt.program import Block, Found, Sentence, read_program
from loopsmith.workflow.adopt.summary import Grep, Printed, find_greps, find_summary, read_line
from loopsmith.workflow.values import editable_matcher

NIGHT = "8h"
_GPU = re.compile(r"\b(?:single|one|1|a|the|NVIDIA)\s+(?:NVIDIA\s+)?GPU\b|\bCUDA\b|\b[HAB][12]00\b|\bRTX\b")
_NO_CUDA = re.compile(r"\bMLX\b|\bMetal\b|\bApple Silicon\b|\bno GPU\b", re.IGNORECASE)
_PASS = re.compile(
    r"(?i)\btests? (?:must|should|have to|need to) (?:all |still )?pass\b|\bbit(?:wise|-for-bit)?[- ]identical\b"
    r"|\bcorrectness is mandatory\b"
)
_HARD = re.compile(
    r"(?i)\bhard (?:constraint|limit|gate|cap)|\bmust (?:stay|be|remain|fit) (?:below|under|above|within|at (?:least"
    r"|most))\b"
    r"|\bstay (?:below|under|within)\b|\bmust not exceed\b"
)
_METRIC_LINES = re.compile(r"\bMETRIC \S+=")
_TUNABLE = r"(?i)\.(?:py|c|h|cc|cpp|cxx|hh|hpp|hxx|cu|cuh|cl|metal|mm?)$"  # files with constants that the tuner reads
_HOME = re.compile(r"(?<![\w/])~/[\w.-]+(?:/[\w.-]+)*/?")


@dataclass
class Draft:
    """A drafted workflow.

    Attributes:
        text: the whole file.
        findings: (setting, value, line of the program), as the file has them.
        missing: what could not be found, or was only assumed, a sentence each.
        complete: nothing that a workflow must have is missing.
    """

    text: str
    findings: tuple[tuple[str, str, int], ...]
    missing: tuple[str, ...]
    complete: bool


def draft(
    text: str,
    *,
    name: str = "program.md",
    source: str = ".",
    there: Callable[[str], bool] | None = None,
    gpus: int = 0,
) -> Draft:
    """Front matter and body for a program without front matter. The same text and folder give the same draft.

    Args:
        name: the program's file, for the comments.
        source: the program's folder, relative to the workflow's.
        there: whether a path of the source exists; None: nothing is known of it.
        gpus: how many this machine has.
    """
    blocks = read_program(text)
    printed, greps = find_summary(blocks), find_greps(blocks)
    command = find_command(blocks)
    page = Page()
    title = next((block for block in blocks if block.kind == "heading"), None)
    if title and (slug := re.sub(r"[^a-z0-9]+", "-", title.plain.lower()).strip("-")[:40].strip("-")):
        page.put("name", slug, Found(slug, title.line, title.text))
    metric = _objective(page, blocks, printed, greps)
    files = find_files(blocks)
    if metric and not printed:
        printed = _anywhere(blocks, metric)
    _workspace(page, files, source, there, command)
    _verify(page, blocks, command, metric, printed, greps, gpus)
    _decide(page, blocks, printed, metric)
    _rest(page, files)
    head = [
        "---",
        f"# Drafted by `loopsmith adopt` from {name}. Each comment quotes the line that its value was read from.",
        "# Read them, then run `loopsmith check`.",
    ]
    if page.missing:
        head += ["#", f"# Not found in {name}, or only assumed:"]
        head += [line for words in page.missing for line in wrapped(words)]
    body = write_body(text, blocks, [found.value for found in files.editable])
    whole = "\n".join([*head, *page.lines, "---", body])
    return Draft(whole, tuple(page.findings), tuple(page.missing), page.complete)


def _objective(page: Page, blocks: Sequence[Block], printed: Sequence[Printed], greps: Sequence[Grep]) -> str:
    page.open("objective")
    metric = find_metric(blocks, printed, greps)
    if metric.name is None:
        page.absent("metric", "the metric that the run prints")
        page.absent("direction", "minimize or maximize")
        return ""
    page.put("metric", scalar(metric.name.value), metric.name)
    if metric.direction is None:
        page.absent("direction", f"whether {metric.name.value} is to be lower (minimize) or higher (maximize)")
    else:
        page.put(
            "direction", metric.direction.value, metric.direction, "a guess from its name" if metric.guessed else ""
        )
        if metric.guessed:
            page.missing.append(f"objective.direction: {metric.direction.value} is a guess from the metric's name")
    smallest, _ = find_smallest(blocks, metric.name.value)
    if smallest:
        page.put("min_effect", smallest.value, smallest, "the smallest gain that counts")
    return metric.name.value


def _workspace(
    page: Page, files: Files, source: str, there: Callable[[str], bool] | None, command: Command | None
) -> None:
    page.open("workspace")
    if source != ".":
        page.put("source", scalar(source), None)
    if files.editable:
        names = [found.value for found in files.editable]
        matches = editable_matcher(names)
        barred = [f"!{found.value}" for found in files.kept if matches(found.value)]
        if len(names) == 1:
            page.put("editable", f"[{', '.join(map(flow, [*names, *barred]))}]", files.editable[0])
        else:
            page.lines.append("  editable:")
            for found in files.editable:
                page.lines += commented(f"    - {flow(found.value)}", comment(found))
                page.findings.append(("workspace.editable", found.value, found.line))
            page.lines += [f"    - {flow(name)}" for name in barred]
        for name in names if there else ():
            if there and not there(name):
                page.missing.append(f"{name}, which the program edits, is not in the folder")
    else:
        page.absent("editable", "the files that may be changed, such as [train.py]")
    if files.kept:
        page.note("Protected, as everything that is not editable:")
        for found in files.kept:
            page.note(f"- {found.value}", found)
    if command and re.search(r"^(?:\S+=\S+\s+)*uv\s+run\b|(?<![\w/])(?:\./)?\.venv/", command.found.value):
        if there and there(".venv"):
            page.put("link", "[.venv]", None, "so that each fresh folder has it")
        else:
            page.note("link: [.venv]  # uncomment once `uv sync`, or what makes it, was run")
            page.missing.append(
                "workspace.link: a .venv, which `uv run` needs in each fresh folder; run `uv sync`, then uncomment "
                "the line"
            )


def _verify(
    page: Page,
    blocks: Sequence[Block],
    command: Command | None,
    metric: str,
    printed: Sequence[Printed],
    greps: Sequence[Grep],
    gpus: int,
) -> None:
    page.open("verify")
    last = next((grep for grep in greps if grep.last and metric in grep.names), None)
    if command is None:
        page.absent("command", "the command that runs one experiment and prints the metric")
    else:
        text = command.found.value
        if last and command.log and command.log in last.command:
            text = f"{text} > {command.log} 2>&1 && {last.command}"
        page.put("command", scalar(text), command.found)
        if command.log and text == command.found.value:
            page.note(f"its output needs no {command.log}: loopsmith keeps it and reads the metrics from it")
        if command.holes:
            page.complete = False
            page.missing.append(f"verify.command: fill in {', '.join(dict.fromkeys(command.holes))}")
        if re.match(r"(?:\S+=\S+\s+)*uv\s+run\b", text):
            page.put("env", '{UV_NO_SYNC: "1", UV_OFFLINE: "1", UV_NO_CACHE: "1"}', None, "uv runs without a network")
    if command and command.limit:
        page.put("timeout", command.limit, command.found)
    else:
        limit, guessed = find_timeout(blocks)
        if limit is None:
            page.put("timeout", "10m", None, "NOT FOUND: a guess")
            page.missing.append("verify.timeout: no time limit of a run; 10m is a guess")
        else:
            page.put("timeout", limit.value, limit, "twice what a run takes, a guess" if guessed else "")
            if guessed:
                page.missing.append(f"verify.timeout: no limit is named; {limit.value} is twice what a run takes")
    needed = {metric, *(soft.found.value for soft in find_soft(blocks, printed, metric)[0])}
    odd = [item for item in printed if item.name in needed and item.pattern]
    if odd:
        page.lines.append("  metrics:")
        for item in odd:
            page.lines += commented(f"    {scalar(item.name)}: {single(item.pattern)}", comment(item.found))
            page.findings.append((f"verify.metrics.{item.name}", item.pattern, item.found.line))
    shown = metric in {item.name for item in printed} or any(metric in grep.names for grep in greps)
    if metric and not shown and not any(_texts(blocks, _METRIC_LINES)):
        page.missing.append(
            f"how {metric} is printed: loopsmith reads `{metric}: 0.97`, `METRIC {metric}=0.97` or JSON on the last "
            f"line; "
            "another form needs verify.metrics"
        )
    for key, pattern, words in (("checks", _PASS, "a command that shows it"), ("constraints", _HARD, "a bound")):
        for sentence in list(dict.fromkeys(sentence for _, sentence in _texts(blocks, pattern)))[:3]:
            page.missing.append(f"verify.{key}: {words} for line {sentence.line}: {quote(sentence.text, 70)}")
    homes = {path.rstrip("/"): sentence.found(path) for path, sentence in _texts(blocks, _HOME)}
    if homes:
        page.put(
            "read", f"[{', '.join(map(flow, homes))}]", next(iter(homes.values())), "home folders are hidden otherwise"
        )
    if not any(_NO_CUDA.search(block.text) for block in blocks):
        for _, sentence in _texts(blocks, _GPU):
            if gpus:
                page.put("resources", "{gpu: 1}", sentence.found("1"))
            else:
                page.note("resources: {gpu: 1}  # for a machine with one; this one has none", sentence.found("1"))
                page.missing.append(
                    f"verify.resources: the program speaks of a GPU (line {sentence.line}), and this machine has none; "
                    "where there is one, uncomment the line"
                )
            break


def _decide(page: Page, blocks: Sequence[Block], printed: Sequence[Printed], metric: str) -> None:
    soft, lost = find_soft(blocks, printed, metric)
    smallest, simple = find_smallest(blocks, metric) if metric else (None, None)
    if soft or (smallest and simple):
        page.open("decide")
        if smallest and simple:
            page.put("simplify", "true", simple, "less code that loses less than min_effect is kept")
        _secondary(page, soft)
    if simple and not smallest:
        page.missing.append(
            f"decide.simplify: the program prefers simpler code (line {simple.line}); it needs objective.min_effect, "
            f"the "
            "smallest gain that counts"
        )
    for found in lost:
        page.missing.append(f"decide.secondary: which metric line {found.line} means: {quote(found.quote, 70)}")


def _secondary(page: Page, soft: Sequence[Soft]) -> None:
    if not soft:
        return
    page.lines.append("  secondary:")
    for item in soft:
        why = "" if item.sure else f"{TOLERANCE}% is a guess"
        page.lines += commented(f"    {scalar(item.found.value)}: {item.tolerance}", comment(item.found, why))
        page.findings.append((f"decide.secondary.{item.found.value}", item.tolerance, item.found.line))
        if not item.sure:
            page.missing.append(f"decide.secondary: how much worse {item.found.value} may get; {TOLERANCE}% is a guess")


def _rest(page: Page, files: Files) -> None:
    page.section = ""
    page.put("budget", f"{{wall_clock: {NIGHT}}}", None, "a guess: one night; also rounds, candidates, cost_usd")
    page.missing.append(f"budget: when to stop; {NIGHT} is a guess")
    if all(re.search(_TUNABLE, found.value) for found in files.editable):
        words = "needs no model; or {kind: anthropic, model: claude-sonnet-4-5}, cli, acp, ..."
        page.put("agent", "{kind: tuner}", None, words)
        page.missing.append(
            "agent: who works; the tuner only searches constants. `--agent anthropic` and others change code (README, "
            "Agents)"
        )
    else:
        page.put("agent", "{kind: anthropic, model: claude-sonnet-4-5}", None, "a guess; or openai, cli, acp, ...")
        page.missing.append(
            "agent: who works; a model is a guess, and needs a key. The tuner knows constants of Python and C alone"
        )


def _anywhere(blocks: Sequence[Block], metric: str) -> tuple[Printed, ...]:
    """How a program without a sample output shows its metric, in any line of code or span of it."""
    for block in blocks:
        for sentence in block.sentences():
            for text in [block.text] if block.kind == "code" else re.findall(r"`([^`]+)`", sentence.text):
                printed = read_line(text, sentence)
                if printed and printed.name == metric:
                    return (printed,)
    return ()


def _texts(blocks: Iterable[Block], pattern: re.Pattern[str]) -> Iterator[tuple[str, Sentence]]:
    for block in blocks:
        for sentence in block.sentences():
            for match in pattern.finditer(sentence.text):
                yield match[0], sentence
