"""The kernels' verifier scores what is right, and refuses what is no kernel."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "examples" / "kernels"
TEMPLATE = ROOT / "workflows" / "kernel-campaign"
CC = shutil.which(os.environ.get("CC", "cc")) and shutil.which("objdump")
compiled = pytest.mark.skipif(not CC, reason="needs a C compiler and binutils")
needs_triton = pytest.mark.skipif(not (find_spec("triton") and find_spec("torch")), reason="needs PyTorch and Triton")
NAMES = ["matmul", "softmax", "spmv"]
HEAD = "#include <stdint.h>\n"
BODY = "{ c[0] = a[0] * b[0]; }\n"
TAKES = "(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c)"


def load(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verify(folder: Path, *words: str, env: dict | None = None) -> tuple[int, dict, str]:
    environment = {**os.environ, "LOOPSMITH_SEED": "7", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    line = [sys.executable, "-P", "verify.py", *words]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    metrics = {name: float(value) for name, value in re.findall(r"(?m)^METRIC (\w+)=(\S+)$", done.stdout)}
    return done.returncode, metrics, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(KERNELS, tmp_path / "kernels", ignore=shutil.ignore_patterns(".loopsmith", "results")))


@compiled
@pytest.mark.parametrize("name", NAMES)
def test_the_starting_points_are_right_and_scored_beside_roofline_and_library(name):
    code, metrics, said = verify(KERNELS, name, "--small")
    assert code == 0, said
    metric, roof = ("gflops", "peak") if name == "matmul" else ("gb_s", "memory")
    shares = {"of_library", f"of_{roof}"}
    assert set(metrics) == {metric, f"library_{metric}", "peak_gflops", "memory_gb_s", "cache_gb_s", *shares}
    assert min(metrics.values()) > 0


@needs_triton
@pytest.mark.parametrize("name", NAMES)
def test_the_triton_kernels_are_right_in_the_interpreter(name):
    code, metrics, said = verify(KERNELS, name, "--triton", "--small")
    assert code == 0, said
    assert "of_library" in metrics


@needs_triton
def test_without_a_gpu_the_triton_side_says_so():
    code, metrics, said = verify(KERNELS, "matmul", "--triton", env={"CUDA_VISIBLE_DEVICES": ""})
    assert (code, metrics) == (1, {})
    assert "no NVIDIA GPU" in said


WRONG = {
    "a corner": ("j < least(j0 + TILE_N, n)", "j < least(j0 + TILE_N, n - (n == 1))", "wrong: "),
    "half precision": ("float factor = a", "float factor = (_Float16)a", "wrong: "),
    "too slow": ("float factor", "for (volatile int64_t i = 0; i < 1000000000; i++); float factor", "took longer than"),
    "no memory of its own": ("a[i * k + p]", "a[(int64_t)1 << 40]", "ended without an answer"),
}


@compiled
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_kernel_gets_no_score(copy, wrong):
    old, new, reason = WRONG[wrong]
    path = copy / "matmul" / "kernel.c"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    settings = copy / "verify.py"
    settings.write_text(settings.read_text().replace('"timeout": 20', '"timeout": 2'))
    code, metrics, said = verify(copy, "matmul", "--small")
    assert (code, metrics) == (1, {}), said
    assert reason in said


def kernel(before: str = "", body: str = BODY) -> str:
    return HEAD + before + f"void matmul{TAKES}\n{body}"


REFUSED = {
    "inline assembly": (kernel(body='{ __asm__ volatile("nop"); }\n'), "`asm` is not for a kernel"),
    "assembly by concatenation": (
        kernel("#define JOIN(a, b) a##b\n", '{ JOIN(__as, m__)("nop"); }\n'),
        "`asm` is not for a kernel",
    ),
    "assembly over two lines": (kernel(body='{ __as\\\nm__("nop"); }\n'), "`asm` is not for a kernel"),
    "assembly at file scope": (kernel('asm(".globl other");\n'), "`asm` is not for a kernel"),
    "a constructor": (
        kernel("__attribute__((constructor)) static void early(void) {}\n"),
        "`constructor` is not for a kernel",
    ),
    "a section": (
        kernel('static void early(void) {}\nvoid *at __attribute__((section(".init_array"))) = early;\n'),
        "`section` is not for a kernel",
    ),
    "an indirect function": (
        kernel('static void *pick(void) { return 0; }\nvoid other(void) __attribute__((ifunc("pick")));\n'),
        "`ifunc` is not for a kernel",
    ),
    "a file beside it": (kernel('#include "../verify.py"\n'), "it does not compile"),
    "a file of the system": (kernel('#include "/etc/passwd"\n'), "which is no system header"),
    "its environment": (kernel("#include </proc/self/environ>\n"), "which is no system header"),
    "a thread": (
        kernel("#include <pthread.h>\n", "{ pthread_t t; pthread_create(&t, 0, (void *(*)(void *))matmul, c); }\n"),
        "a kernel may not use `pthread_create`",
    ),
    "OpenMP": (
        kernel("extern void GOMP_parallel(void *, void *, unsigned, unsigned);\n", "{ GOMP_parallel(0, 0, 2, 0); }\n"),
        "a kernel may not use `GOMP_parallel`",
    ),
    "a library": (
        kernel("extern void cblas_sgemm(int, ...);\n", "{ cblas_sgemm(101, a, b, c); }\n"),
        "a kernel may not use `cblas_sgemm`",
    ),
    "a library by its address": (
        kernel("#include <dlfcn.h>\n", '{ ((void (*)(void))dlsym(0, "cblas_sgemm"))(); }\n'),
        "a kernel may not use `dlsym`",
    ),
    "a file": (kernel("#include <stdio.h>\n", '{ fopen("/tmp/x", "w"); }\n'), "a kernel may not use `fopen`"),
    "a system call": (kernel("#include <unistd.h>\n", "{ fork(); }\n"), "a kernel may not use `fork`"),
    "another's name": (kernel("void *malloc(unsigned long size) { return 0; }\n"), "make `malloc` static"),
    "a second name": (kernel("void free(void *);\n#pragma weak exit = matmul\n"), "make `exit` static"),
    "another function": (HEAD + f"void matrix{TAKES}\n{BODY}", "there is no function `matmul`"),
    "no C at all": ("matmul, please\n", "it does not compile"),
    "a false marker of lines": (
        kernel('# 1 "/usr/include/stdint.h" 1 3\n', '{ __asm__("nop"); }\n'),
        "`asm` is not for a kernel",
    ),
    "a marker of lines in a string": (
        kernel(body='{ const char *s = R"(\n# 1 )"; __asm__("nop"); }\n'),
        "`asm` is not for a kernel",
    ),
    "a marker of lines after a form feed": (
        kernel(body='{ const char *s = "\f# 1 "; __asm__("nop"); }\n'),
        "`asm` is not for a kernel",
    ),
}  # fmt: skip


@compiled
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_kernel_is_refused(tmp_path, what):
    build = load(KERNELS / "build.py", "kernels_build")
    text, reason = REFUSED[what]
    (tmp_path / "kernel.c").write_text(text)
    with pytest.raises(build.Refused, match=re.escape(reason)):
        build.build(tmp_path / "kernel.c", "matmul")


FINE = {
    "as it is": kernel(),
    "vector extensions and pragmas": kernel(
        "typedef float v __attribute__((vector_size(32)));\n#pragma GCC optimize(\"unroll-loops\")\n"
        "static inline __attribute__((always_inline)) v two(v a) { return a + a; }\n",
        "{ v x = {a[0]}; c[0] = two(x)[0] * b[0]; }\n",
    ),
    "memory and mathematics": kernel(
        "#include <stdlib.h>\n#include <string.h>\n#include <math.h>\nstatic _Alignas(64) float kept[64];\n",
        "{ float *p = malloc(m * 4); memcpy(p, a, m * 4); kept[0] = expf(p[0]); c[0] = kept[0]; free(p); }\n",
    ),
    "words of no meaning in comments": kernel("/* no asm here, no section, no constructor */\n"),
}  # fmt: skip
if os.uname().machine == "x86_64":
    FINE["intrinsics"] = kernel(
        "#include <immintrin.h>\n", "{ _mm_storeu_ps(c, _mm_mul_ps(_mm_loadu_ps(a), _mm_loadu_ps(b))); }\n"
    )


@compiled
@pytest.mark.parametrize("what", FINE)
def test_what_a_kernel_needs_is_allowed(tmp_path, what):
    build = load(KERNELS / "build.py", "kernels_build")
    (tmp_path / "kernel.c").write_text(FINE[what])
    shared, _said = build.build(tmp_path / "kernel.c", "matmul")
    assert shared.is_file()


@compiled
def test_the_profile_names_the_loop_that_was_not_vectorised_and_shows_the_machine_code(copy):
    analyse = subprocess.run(
        [sys.executable, "-P", "analyse.py", "softmax", "--small"],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert analyse.returncode == 0, analyse.stderr
    assert "of_library" in analyse.stdout
    assert "not vectorised:" in analyse.stdout
    assert re.search(r"innermost loop, \d+ instructions, \d+ multiply-adds", analyse.stdout)


def status(folder: Path) -> dict:
    line = [sys.executable, "-m", "loopsmith", "status", "--json"]
    return json.loads(subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True).stdout)


def campaign(folder: Path) -> dict:
    """The status after a campaign of the tuner with one candidate, on the smallest inputs."""
    workflow = folder / "WORKFLOW.md"
    settings = ["verify.self_check=false", "calibrate.runs=2", "repeats.confirm=2", "budget.candidates=1"]
    settings += ["search.candidates_per_round=1", "roles.profile=false"]
    words = [word for setting in settings for word in ("--set", setting)]
    workflow.write_text(re.sub(r"(verify\.py[^'\n]*?)(')", r"\1 --small\2", workflow.read_text(), count=1))
    line = [sys.executable, "-m", "loopsmith", "run", "--plain", "--accept-noise", *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return status(folder)


@compiled
def test_a_campaign_of_the_tuner_runs_from_the_example(copy):
    view = campaign(copy / "matmul")
    assert view["counts"]["candidates"] == 1
    assert view["baseline"]["value"] > 0


@compiled
def test_a_campaign_of_the_tuner_runs_from_the_template(tmp_path):
    folder = shutil.copytree(TEMPLATE, tmp_path / "mine", ignore=shutil.ignore_patterns(".loopsmith"))
    view = campaign(Path(folder))
    assert view["counts"]["candidates"] == 1
    assert view["baseline"]["value"] > 0


FILES = [KERNELS / name / file for name in NAMES for file in ("WORKFLOW.md", "TRITON.md")]


@pytest.mark.parametrize("path", [*FILES, TEMPLATE / "WORKFLOW.md"])
def test_the_workflows_are_valid_and_the_tuner_finds_their_constants(path):
    from loopsmith.agents.tuner import Tuner
    from loopsmith.workflow import load

    workflow = load(path)
    source = path.parent / workflow.settings.workspace.source
    Tuner(workflow.settings.agent).check(source, workflow.settings.workspace.editable)


@pytest.mark.parametrize("name", ["build.py", "roofline.c"])
def test_the_template_builds_as_the_examples_do(name):
    assert (TEMPLATE / name).read_bytes() == (KERNELS / name).read_bytes()


@pytest.mark.parametrize(
    ("copy", "original"),
    [("build.py", "build.py"), ("roofline.c", "roofline.c"), ("kernel.c", "matmul/kernel.c")],
)
def test_the_template_s_copies_are_the_example_s_files(copy, original):
    """A template is copied out of the package whole, so that it cannot share files with the example."""
    assert (TEMPLATE / copy).read_bytes() == (KERNELS / original).read_bytes()
