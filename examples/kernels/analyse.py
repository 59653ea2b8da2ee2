"""Where a kernel stands and what its loops became: the profile of a baseline, for the briefs.

    python -P analyse.py matmul|softmax|spmv [--small]

Prints the verifier's figures beside the roofline, the loops that the compiler did not vectorise, with its reasons, and
the innermost loops of the machine code, those with most arithmetic first.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER))

from build import Refused, build, run_program  # noqa: E402

LOOPS, LENGTH = 3, 26  # loops that are shown, and lines of each
ARITHMETIC = re.compile(r"\bv?(?:fn?m(?:add|sub)|add|sub|mul|div|max|min|sqrt|cvt|rcp|gather|exp|dot|fmla|fadd|fmul)")


def figures(name: str, *words: str) -> str:
    """The verifier's metrics in one line, and which bound is nearer."""
    command = [sys.executable, "-P", str(FOLDER / "verify.py"), name, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = dict(re.findall(r"(?m)^METRIC (\w+)=(\S+)", done.stdout))
    if not found:
        return f"the verifier gives no score: {done.stdout.strip()[:300]}"
    return ", ".join(f"{metric} {float(value):.3g}" for metric, value in found.items())


def missed(said: str, source: list[str]) -> list[str]:
    """Each loop that was not vectorised, with its first line and the compiler's reason."""
    found: dict[int, str] = {}
    for number, reason in re.findall(r"kernel\.c:(\d+):\d+: missed: +(?:not vectorized: )?(.+)", said):
        if "couldn't vectorize loop" not in reason or int(number) not in found:
            found[int(number)] = reason if "couldn't" not in reason else found.get(int(number), "no reason given")
    done = {int(number) for number in re.findall(r"kernel\.c:(\d+):\d+: optimized: loop vectorized", said)}
    return [
        f"line {number} `{source[number - 1].strip()[:60]}`: {reason[:100]}"
        for number, reason in sorted(found.items())
        if number not in done and number <= len(source) and re.search(r"\b(?:for|while)\b", source[number - 1])
    ]


def loops(listing: str) -> list[list[str]]:
    """The innermost loops: from the target of a jump backwards to the jump, no other such jump between."""
    code = [(int(address, 16), text.strip()) for address, text in re.findall(r"(?m)^ *([0-9a-f]+):\t(.+)$", listing)]
    found, last = [], -1
    for at, (address, text) in enumerate(code):
        jump = re.match(r"(?:j\w+|b\.\w+|cbn?z|b)\s+(?:\w+,\s*)?(?:0x)?([0-9a-f]+)\b", text)
        if jump and (target := int(jump[1], 16)) <= address:
            start = next((index for index, (place, _text) in enumerate(code) if place == target), at)
            loop = [re.sub(r"\s+", " ", line.split("#")[0]) for _place, line in code[start : at + 1]]
            if start > last:
                last = at
                found += [] if any(line.startswith("ret") for line in loop) else [loop]
    return sorted(found, key=lambda loop: -weight(loop))


def weight(loop: list[str]) -> float:
    """How much arithmetic, and how densely: what leads out of a loop and back is long and has little."""
    count = sum(bool(ARITHMETIC.match(line)) for line in loop)
    return count * count / len(loop)


def describe(loop: list[str]) -> str:
    widths = [
        f"{sum(name in line for line in loop)} {name}"
        for name in ("zmm", "ymm", "xmm")
        if any(name in line for line in loop)
    ]
    fused = sum("fmadd" in line or "fnmadd" in line or "fmla" in line for line in loop)
    memory = sum("(" in line or "[" in line for line in loop)
    return (
        f"{len(loop)} instructions, {fused} multiply-adds, {memory} with memory, {', '.join(widths) or 'no vectors'}:"
    )


def main(name: str, *words: str) -> None:
    source = FOLDER / name / "kernel.c"
    print(figures(name, *words))
    shared, said = build(source, name, "-fopt-info-vec-all")
    if lost := missed(said, source.read_text().splitlines()):
        print("not vectorised:", *lost[:8], sep="\n  ")
    innermost = loops(run_program(shared.parent, "objdump", "-d", "--no-show-raw-insn", "kernel.o"))
    for loop in [each for each in innermost if weight(each)][:LOOPS]:
        shown = loop if len(loop) <= LENGTH else [*loop[: LENGTH // 2], "...", *loop[-LENGTH // 2 :]]
        print(f"innermost loop, {describe(loop)}", *shown, sep="\n  ")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--small"]):
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} matmul|softmax|spmv [--small]")
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(f"refused: {refused}")
