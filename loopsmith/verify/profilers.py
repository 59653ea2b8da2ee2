"""Profilers: how each is put around the workflow's command, what it needs, and its report in few words."""

import re
import shlex
from dataclasses import dataclass

from loopsmith.errors import WorkflowError
from loopsmith.workflow.quote import one_line
from loopsmith.workflow.roles import Profile

FOLDER = ".loopsmith-profile"  # in the run's own folder
REPORT = f"{FOLDER}/report"
# An interpreter, its flags that take no value, and what it runs; nothing that only a shell understands.
PYTHON = re.compile(
    r"""((?:\S*/)?(?:python|pypy)[\d.]*|"?\$\{?LOOPSMITH_PYTHON\}?"?)((?:\s+-[bBdEiIOPqsSuvx]+)*)\s+((?!-c\b)[^;&|<>`]+)"""
)
PSTATS = """
import pstats, sys
report = pstats.Stats(sys.argv[1], stream=open(sys.argv[2], "w"))
report.sort_stats("tottime").print_stats(25)
report.sort_stats("cumulative").print_stats(15)
"""
TORCH = """
import os, runpy, sys, torch
from torch.profiler import ProfilerActivity, profile
report, *argv = sys.argv[1:]
cuda = torch.cuda.is_available()
with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiled:
    try:
        if argv[0] == "-m":
            sys.argv = argv[1:]
            sys.path.insert(0, os.getcwd())
            runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = argv
            sys.path[0] = os.path.dirname(os.path.abspath(argv[0]))
            runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
found = profiled.key_averages()
names = ("self_device_time_total", "self_cuda_time_total")  # the second before PyTorch 2.4
device = next(name for name in names if not found or hasattr(found[0], name))
with open(report, "w") as file:
    file.write(found.table(sort_by=device if cuda else "self_cpu_time_total", row_limit=30, max_name_column_width=60))
"""


@dataclass(frozen=True, slots=True)
class Profiler:
    """A command that profiles.

    `file` is what it writes, relative to its folder; None: what it prints. `needs` is a command that succeeds where
    what it needs is there, and `advice` says what to do where it does not.
    """

    name: str
    command: str
    file: str | None
    needs: str = "true"
    advice: str = ""


def profiler(profile: Profile, verify_command: str) -> Profiler | None:
    """What the settings ask for; None: no profile.

    Raises:
        WorkflowError: the recipe cannot be put around the command.
    """
    if profile.command is not None:
        return Profiler("command", profile.command, profile.file)
    if profile.recipe is None:
        return None
    run = " ".join((profile.run or verify_command).split("\n")).strip()
    python = PYTHON.fullmatch(run)
    name = ("cprofile" if python else "perf") if profile.recipe == "auto" else profile.recipe
    if name in ("cprofile", "torch"):
        if python is None:
            raise WorkflowError(
                f"roles.profile: {name} profiles a plain command such as `python bench.py`, not `{one_line(run, 80)}`; "
                "give one in roles.profile.run, or choose py-spy or perf"
            )
        return of_python(name, *python.groups())
    shell = f"sh -c {shlex.quote(run)}"
    make, found = f"mkdir -p {FOLDER} && ", f"command -v {name} >/dev/null"
    if name == "py-spy":
        command = f"{make}py-spy record --subprocesses --rate 250 --format raw --output {REPORT} -- {shell}"
        return Profiler(name, command, REPORT, found, "install it (pip install py-spy)")
    if name == "perf":
        command = f"{make}perf stat -d --output {REPORT} -- {shell}"
        return Profiler(name, command, REPORT, found, "install it (apt install linux-perf, dnf install perf)")
    command = (
        f"{make}ncu --target-processes all --launch-count 50 --print-summary per-kernel --log-file {REPORT} {shell}"
    )
    return Profiler(name, command, REPORT, found, "install NVIDIA Nsight Compute, and put ncu on the PATH")


def of_python(name: str, python: str, flags: str, rest: str) -> Profiler:
    interpreter, make = f"{python}{flags}", f"mkdir -p {FOLDER} && "
    if name == "cprofile":
        raw = f"{FOLDER}/raw"
        command = f"{make}{interpreter} -m cProfile -o {raw} {rest} && {python} -c {shlex.quote(PSTATS)} {raw} {REPORT}"
        return Profiler(name, command, REPORT, f"{python} -c 'import cProfile'", f"check that {python} runs")
    script = f"{FOLDER}/profile.py"
    command = f"{make}printf %s {shlex.quote(TORCH)} > {script} && {interpreter} {script} {REPORT} {rest}"
    needs = f"{python} -c 'import torch'"
    return Profiler(name, command, REPORT, needs, f"install PyTorch for {python} (pip install torch)")


def summary(text: str, tokens: int, *, folder: str = "", stacks: bool = False) -> str:
    """A report within a number of tokens, at four characters each: its first lines, which profilers sort to matter.

    Args:
        folder: of the run; its path is left out wherever it stands.
        stacks: the text is folded stacks, a line each with its count (as py-spy's format `raw`).
    """
    if stacks:
        text = stack_table(text)
    if folder:
        text = text.replace(f"{folder}/", "").replace(folder, ".")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [re.sub(r"(?<=\S) {3,}", "  ", line.rstrip()) for line in text.splitlines()]
    lines = [line for line in lines if line.strip(" -=")]
    kept: list[str] = []
    left = tokens * 4 - 30  # room for the last line
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            kept.append(f"[{len(lines) - len(kept)} more lines]")
            break
        kept.append(line)
    return "\n".join(kept)


def stack_table(text: str, rows: int = 15) -> str:
    """Of folded stacks: the frames with most samples of their own, and those with most below them."""
    own: dict[str, int] = {}
    under: dict[str, int] = {}
    total = 0
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        frames = stack.split(";")
        total += int(count)
        own[frames[-1]] = own.get(frames[-1], 0) + int(count)
        for frame in set(frames):
            under[frame] = under.get(frame, 0) + int(count)
    if not total:
        return "no samples: the command ended too soon"

    def table(title: str, counts: dict[str, int]) -> list[str]:
        most = sorted(counts.items(), key=lambda item: -item[1])[:rows]
        return [title, *(f"{100 * count / total:5.1f} %  {frame}" for frame, count in most)]

    return "\n".join([*table(f"own time, {total} samples", own), *table("with all that it calls", under)])
