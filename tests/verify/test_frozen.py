"""Frozen names: every way to change one is seen, and nothing else is."""

import pytest
from guarded import change, find
from hypothesis import given
from hypothesis import strategies as st

BASE = """\
import random

SEED = 42
RATE = 0.1


def train(steps=10, seed=SEED):
    rng = random.Random(seed)
    model = fit(rng, steps, seed=42, rate=RATE)
    config = {"seed": 42, "rate": 1}
    return model, config
"""


def frozen(after, before=BASE, path="train.py", names=("SEED", "seed")):
    return change(before, after, path=path, freeze=list(names))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SEED = 42", "SEED = 137"),
        ("SEED = 42", "SEED: int = 137"),
        ("SEED = 42", "SEED, x = 137, 0"),
        ("SEED = 42", "SEED = 42 + 95"),
        ("SEED = 42", "SEED = 42\nSEED = 137"),
        ("SEED = 42", "SEED = 42\nSEED += 95"),
        ("SEED = 42", "SEED = 42\ndel SEED"),
        ("SEED = 42\n", ""),
        ("SEED = 42", "if RATE: SEED = 42"),
        ("SEED = 42", "try:\n    SEED = 42\nexcept Exception:\n    pass"),
        ("SEED = 42", "SEED = 42\nfor SEED in range(3): pass"),
        ("SEED = 42", "SEED = 42\nfrom config import SEED"),
        ("SEED = 42", "SEED = 42\nimport config as SEED"),
        ("SEED = 42", "SEED = 42\ndef SEED(): pass"),
        ("SEED = 42", "SEED = 42\nclass SEED: pass"),
        ("SEED = 42", "SEED = 42\nprint(SEED := 137)"),
        ("SEED = 42", "SEED = 42\nwith open('x') as SEED: pass"),
        ("SEED = 42", "SEED = 42\nglobals()['SEED'] = 137"),
        ("SEED = 42", "SEED = 42\nglobals()['SE' + 'ED'] = 137"),
        ("SEED = 42", "SEED = 42\nimport sys\nsetattr(sys.modules[__name__], 'SEED', 137)"),
        ("SEED = 42", "SEED = 42\nsys.modules['train'].SEED = 137"),
        ("SEED = 42", "SEED = 42\n[SEED for SEED in [137]]"),
        ("SEED = 42", "SEED = 42\nmatch 137:\n    case SEED: pass"),
        ("SEED = 42", "SEED = 42\ntry: pass\nexcept OSError as SEED: pass"),
        ("SEED = 42", "SEED = 42\n\n\ndef other():\n    global SEED\n    SEED = 137"),
        ("SEED = 42", "𝐒𝐄𝐄𝐃 = 137"),
        ("seed=SEED", "seed=137"),
        ("seed=SEED", "*, seed"),
        ("seed=42", "seed=137"),
        (", seed=42", ""),
        ("rng = random", "seed = 137\n    rng = random"),
        ("rng = random", "rng = (lambda seed=137: 1)\n    rng = random"),
        ("rng = random", "rng = other(seed=137)\n    rng = random"),
        ('"seed": 42', '"seed": 137'),
        ('"seed": 42, ', ""),
        ("return model", "config['seed'] = 137\n    return model"),
        ("return model", "model.seed = 137\n    return model"),
        ("return model", "config.update(seed=137)\n    return model"),
        ("return model", "config.update({'seed': 137})\n    return model"),
    ],
)
def test_a_change_of_a_frozen_name_in_python_is_refused(old, new):
    assert BASE.count(old) == 1
    found = find({"train.py": BASE}, {"train.py": BASE.replace(old, new)}, freeze=["SEED", "seed"], unicode="any")
    assert found
    assert all("guardrails.freeze" in problem for problem in found), found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RATE = 0.1", "RATE = 0.2"),
        ("SEED = 42", "SEED = 42  # the same\n\n\n# SEED = 137"),
        ("SEED = 42", "SEED = (42)"),
        ("steps=10", "steps=20"),
        ("rate=RATE", "rate=0.3"),
        ("fit(", "fit_faster("),
        ("rng = random.Random(seed)", "with clock():\n        rng = random.Random(seed)"),
        ("rng = random", "warm(seed=seed)\n    rng = random"),
        ("rng = random", "fit(rng, 1, seed=42)\n    rng = random"),
        ('"rate": 1', '"rate": SEED'),
        ("return model", "print(f'SEED = {SEED}', 'seed = 137')\n    return model"),
        ("return model", "if SEED == 137: pass\n    return model"),
    ],
)
def test_other_changes_of_the_same_lines_are_allowed(old, new):
    assert BASE.count(old) == 1
    assert frozen(BASE.replace(old, new)) == ""


def test_values_of_two_calls_cannot_be_swapped_nor_two_assignments():
    assert "seed" in frozen("f(seed=7)\ng(seed=42)\n", before="f(seed=42)\ng(seed=7)\n")
    assert "another order" in frozen("SEED = 2\nSEED = 1\n", before="SEED = 1\nSEED = 2\n")


def test_a_problem_names_the_line_or_that_of_the_baseline():
    assert frozen(BASE.replace("SEED = 42", "SEED = 137")).startswith("train.py:3: changes `SEED` (assigned)")
    assert "line 3 of the baseline, which sets `SEED`" in frozen(BASE.replace("SEED = 42\n", ""))


def test_new_and_deleted_files_count():
    assert "changes `SEED`" in find({}, {"new.py": "SEED = 1\n"}, freeze=["SEED"])[0]
    assert "line 1 of the baseline" in find({"old.py": "SEED = 1\n"}, {"old.py": None}, freeze=["SEED"])[0]


C = "#include <x.h>\n#define SEED 42\nconst int seed = 42; int rate = 3;\nstruct S s = {.seed = 42};\n"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.c", C, C.replace("SEED 42", "SEED 137")),
        ("a.c", C, C.replace("#define SEED 42\n", "")),
        ("a.c", C, C.replace("#define", "// #define")),
        ("a.c", C, C.replace("#define SEED 42", "/* #define SEED 42 */")),
        ("a.c", C, C + "#undef SEED\n"),
        ("a.c", C, C + "# define SEED 137\n"),
        ("a.c", C, C + '"/*"; int seed = 137; "*/"\n'),
        ("a.c", C, C.replace("int seed = 42", "int seed = 137")),
        ("a.c", C, C.replace("int seed = 42", "int seed =\n    137")),
        ("a.c", C, C.replace(".seed = 42", ".seed = 137")),
        ("a.c", C, C + "void f() { seed++; }\n"),
        ("a.c", C, C + "void f() { seed += 1; }\n"),
        ("a.cpp", "int seed{42};\n", "int seed{137};\n"),
        ("a.rs", "const SEED: u64 = 42;\n", "const SEED: u64 = 137;\n"),
        ("a.go", "SEED := 42\n", "SEED := 137\n"),
        ("a.sh", "SEED=42\nrun --seed=42 --n 3\n", "SEED=137\nrun --seed=42 --n 3\n"),
        ("a.sh", "SEED=42\nrun --seed=42 --n 3\n", "SEED=42\nrun --seed=137 --n 3\n"),
        ("a.sh", "SEED=42\nrun --seed 42\n", "SEED=42\nrun --seed 137\n"),
        ("a.sh", "SEED=42\n", "SEED=42\nunset SEED\n"),
        ("a.r", "SEED <- 42\n", "SEED <- 137\n"),
        ("a.yaml", "model:\n  seed: 42\n", "model:\n  seed: 137\n"),
        ("a.json", '{"seed": 42, "n": 1}', '{"seed": 137, "n": 1}'),
        ("a.toml", "seed = 42\n", "# seed = 42\n"),
        ("Makefile", "SEED ?= 42\n", "SEED ?= 137\n"),
        ("a.py", "print 'old python'\nSEED = 42\n", "print 'old python'\nSEED = 137\n"),
    ],
)
def test_a_change_of_a_frozen_name_in_other_languages_is_refused(path, before, after):
    assert before != after
    assert "guardrails.freeze" in frozen(after, before=before, path=path)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.c", C, C.replace("rate = 3", "rate = 4")),
        ("a.c", C, C + "if (seed == 3 || SEED >= 4) go(seed, SEED);\n"),
        ("a.c", C, C.replace("int seed = 42", "int  seed=42").replace("seed=42", "seed = 42")),
        ("a.c", C, C + "int reseed = 3; int seed2 = 4;\n"),
        ("a.sh", "run --seed 42 --n 3\n", "run --seed 42 --n 4\n"),
        ("a.json", '{"seed": 42, "n": 1}', '{"seed": 42, "n": 2}'),
    ],
)
def test_other_changes_in_other_languages_are_allowed(path, before, after):
    assert frozen(after, before=before, path=path) == ""


def test_hostile_text_costs_no_time_that_grows_with_its_square():
    for piece in ("SEED[", "/*", "SEED:", "SEED\n", "--", "#define ", "SEED = "):
        text = piece * (400_000 // len(piece))
        change("", text, path="a.c", freeze=["SEED"], unicode="any")


STATEMENTS = ["SEED = 42", "x = SEED", "f(seed=1)", "def g(a, b=2):\n    return a", "for i in range(3): y = i", "del x"]


@given(st.lists(st.sampled_from(STATEMENTS)), st.lists(st.sampled_from(STATEMENTS)))
def test_a_patch_is_allowed_just_when_it_leaves_the_assignments_alone(before, after):
    old, new = ("\n".join(lines) + "\n" for lines in (before, after))
    same = before.count("SEED = 42") == after.count("SEED = 42")
    assert (change(old, new, freeze=["SEED"]) == "") == same
