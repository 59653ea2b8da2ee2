"""Compiles a candidate's `kernel.c` with fixed flags, and refuses what is no kernel.

The candidate decides its code, pragmas and attributes such as `optimize`, `target` and `always_inline`, and calls what
`EXTERNAL` names. It does not decide what the compiler reads or what happens before it is called: files that are no
system headers, inline assembly, sections, constructors, and calls of anything else are refused. The text that was read
is the text that is compiled. What is left runs in the process of `loopsmith.harness`.
"""

import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

FLAGS = ["-O3", "-march=native", "-std=gnu17", "-fPIC", "-U_FORTIFY_SOURCE", "-fno-stack-protector"]
FORBIDDEN = re.compile(
    r"\b(?:__)?(asm|section|constructor|destructor|init_priority|ifunc|alias|weakref|symver)(?:__)?\b"
)
EXTERNAL = re.compile(  # the memory and mathematics of C's library; _ZGV: the same for vectors
    r"_?(?:_GLOBAL_OFFSET_TABLE_|mem(?:cpy|move|set|cmp|chr)|malloc|calloc|realloc|free|aligned_alloc|posix_memalign|"
    r"(?:_ZGV\w+_)?(?:exp|exp2|expm1|log|log2|log1p|pow|sqrt|fma|fmax|fmin|floor|ceil|round|rint|nearbyint|trunc|"
    r"ldexp|scalbn|scalbln|frexp|fabs|copysign|lrint|lround|tanh|erf)f?)"
)
MARK = re.compile(r'# \d+ "(?:[^"\\]|\\.)*"[ \d]*')  # of the preprocessor: `# 1 "/usr/include/math.h" 1 3 4`
BEFORE = re.compile(r"\.(?:preinit_array|init|fini|ctors|dtors)|__mod_(?:init|term)_func")  # sections that run unasked


class Refused(Exception):
    """This is no kernel, or does not compile; the message says why."""


def compiler() -> list[str]:
    return shlex.split(os.environ.get("CC") or "cc")


def build(source: Path, symbol: str, *options: str) -> tuple[Path, str]:
    """The shared object of a kernel, in a folder of its own, and what the compiler said.

    Args:
        symbol: the function that it must have; it may have no other that others see.
        options: added to the flags, for reports.

    Raises:
        Refused: see above.
    """
    folder = Path(tempfile.mkdtemp(prefix="kernel-"))
    folder.chmod(0o755)  # the candidate's process may be another user
    (folder / source.name).write_bytes(source.read_bytes())
    text, found = folder / "read.i", folder / "read.d"
    headers = run(folder, *FLAGS, "-E", "-H", "-MD", "-MF", found.name, source.name, "-o", text.name)
    places = search_places(folder)
    check_files(folder, found.read_text(), source.name, places)
    check_words(folder, read(text), headers, places)
    said = run(folder, *FLAGS, *options, "-c", text.name, "-o", "kernel.o")
    check_symbols(folder, symbol)
    run(folder, "-shared", "kernel.o", "-o", "kernel.so", "-lm")
    return folder / "kernel.so", said


def search_places(folder: Path) -> list[str]:
    """The folders of system headers, as the compiler names them."""
    listing = run(folder, "-E", "-v", "-x", "c", os.devnull, "-o", os.devnull)
    places = listing.partition("#include <...> search starts here:\n")[2].partition("\nEnd of search list")[0]
    return [line.strip().removesuffix(" (framework directory)") for line in places.splitlines()]


def check_files(folder: Path, rule: str, own: str, places: list[str]) -> None:
    """The compiler read the kernel and system headers, nothing else."""
    system = [os.path.realpath(place) for place in places]
    for path in rule.replace("\\\n", " ").partition(":")[2].split():
        real = os.path.realpath(folder / path)
        if path != own and not any(real.startswith(each + os.sep) for each in system):
            raise Refused(f"{own} includes {path}, which is no system header")


def check_words(folder: Path, text: str, headers: str, places: list[str]) -> None:
    """No line has a word that decides more than code, but those that system headers have by themselves."""
    direct = [line.removeprefix(". ") for line in headers.splitlines() if line.startswith(". ")]
    for place in sorted(places, key=len, reverse=True):
        direct = [path.removeprefix(place + os.sep) for path in direct]
    (folder / "headers.c").write_text("".join(f"#include <{path}>\n" for path in direct))
    run(folder, *FLAGS, "-E", "headers.c", "-o", "headers.i")
    own = set(lines(read(folder / "headers.i")))
    for line in lines(text):
        if (word := FORBIDDEN.search(line)) and line not in own:
            raise Refused(f"`{word[1]}` is not for a kernel: {line.strip()[:100]}")


def read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")  # with line ends as the compiler sees them


def lines(text: str) -> list[str]:
    """All but the marks of where a line is from; a string of the kernel may hold what begins like one."""
    return [line for line in text.split("\n") if not MARK.fullmatch(line)]


def check_symbols(folder: Path, symbol: str) -> None:
    """It defines the function, calls nothing unknown, and has nothing that runs before it is called."""
    listed = run_program(folder, "nm", "-g", "kernel.o")
    kinds = [line.split()[-2:] for line in listed.splitlines() if line.strip()]
    if not any(kind == "T" and name in (symbol, f"_{symbol}") for kind, name in kinds):
        raise Refused(f"there is no function `{symbol}`")
    if foreign := sorted(name for kind, name in kinds if kind in "Uvw" and not EXTERNAL.fullmatch(name)):
        raise Refused(f"a kernel may not use `{foreign[0]}`")
    if extra := [name for kind, name in kinds if kind not in "Uvw" and name not in (symbol, f"_{symbol}")]:
        raise Refused(f"make `{extra[0]}` static: only `{symbol}` is to be seen")
    if begins := BEFORE.search(run_program(folder, "objdump", "-h", "kernel.o")):
        raise Refused(f"a kernel has nothing that runs before it is called ({begins[0]})")


def roofline(*sizes: int) -> dict[str, float]:
    """What `roofline.c` measures now: peak_gflops, memory_gb_s, cache_gb_s."""
    folder = Path(tempfile.mkdtemp(prefix="roofline-"))
    run(folder, "-O3", "-march=native", "-std=gnu17", str(Path(__file__).parent / "roofline.c"), "-o", "roofline")
    printed = run_program(folder, "./roofline", *map(str, sizes))
    return {name: float(value) for name, value in (word.split("=") for word in printed.split())}


def run(folder: Path, *options: str) -> str:
    """Run the compiler; gives what it said."""
    return run_program(folder, *compiler(), *options)


def run_program(folder: Path, *command: str) -> str:
    """Its output; nothing of the verifier's environment, the seed above all, is there for it."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120
        )
    except FileNotFoundError:
        raise SystemExit(f"there is no {command[0]}; install a C compiler (gcc or clang, with binutils)") from None
    except subprocess.TimeoutExpired:
        raise Refused(f"{command[0]} takes longer than 120 s") from None
    said = done.stdout.decode(errors="replace")
    if done.returncode:
        errors = [line for line in said.splitlines() if "error" in line] or said.splitlines()
        raise Refused("it does not compile:\n" + "\n".join(f"| {line}" for line in errors[:15]))
    return said
