"""examples/nanochat: what prepares the data, what the verifier refuses, and a candidate on the smallest setting."""

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from loopsmith.workspace.sandbox import Sandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "nanochat"
NEEDS_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch: pip install '.[nanochat]'")

# Runs in a copy of the example, with its evaluate.py: an honest training, then variants of train.py.
PROBE = """
import argparse, json, os, sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
import evaluate, prepare
import numpy as np
from loopsmith import harness

honest = open("train.py").read()
tokenizer, tokens = prepare.tokenizer(), prepare.tokens("val")
windows = np.asarray(tokens[: 4 * evaluate.WINDOW]).reshape(4, -1)


def settings(gigaflops):
    limits = dict(threads=1, largest_batch=2**20, most_tokens=8192, tolerance=1e-4, timeout=120)
    return argparse.Namespace(budget=(gigaflops * 1e9, "flops"), device="cpu", **limits)


def program(old="", new=""):
    assert old in honest
    open("train.py", "w").write(honest.replace(old, new))
    return evaluate.Program(len(tokenizer.tokens), settings(1))


def training(each, gigaflops):
    return evaluate.trained(each, each.vocab, settings(gigaflops), np.random.default_rng(5))


def asked(each):
    each("load", weights, each.vocab, "cpu", 1)
    return evaluate.log_probabilities(each, windows)


def verdict(do, *args):
    try:
        return do(*args) and "nothing"
    except harness.Rejected as error:
        return str(error)


with program() as each:
    weights, took = training(each, 20)
    cpu = each.cpu
    said = asked(each)
found = {}

model = "            return model(tokens)"
with program(model, model + ".log_softmax(-1) + 5") as each:
    found["unnormalised"] = abs(asked(each) - said).max()
with program(model, model + " / 0") as each:
    found["nan"] = verdict(asked, each)

memory = "            logits.calls = getattr(logits, 'calls', 0) + 1\\n"
for name, change in {
    "ahead": ("is_causal=True", "is_causal=torch.is_grad_enabled()"),
    "rows": (model, model + " + model(tokens).mean(0)"),
    "memory": (model, memory + model + " + 0.3 * logits.calls * F.one_hot(torch.tensor(32), vocab)"),
}.items():
    rng = np.random.default_rng(5)
    found[name] = verdict(
        evaluate.bits_per_byte, lambda: program(*change), weights, tokenizer, tokens, settings(1), rng
    )

evaluate.FREE, evaluate.SLACK = cpu, 1
work = f'''    from time import process_time
    last = process_time() + {cpu}
    while process_time() < last:
        forward(torch.zeros(8, 128, dtype=torch.int64)).sum().backward()
'''
uncounted = "        from torch.utils._python_dispatch import _disable_current_modes as off\\n        with off():\\n"
step, end = "        loss.backward()\\n", "    return model.state_dict()"
for name, change in {
    "longer": (step, step + uncounted + work.replace("    ", "            ", 1).replace("\\n    ", "\\n            ")),
    "later": (end, work + end),
}.items():
    with program(*change) as each:
        found[name] = verdict(training, each, 6)
print(json.dumps(found))
"""

# Put into train(): ends the training where it can read what it should not.
READER = """
    for path in ["data/val.txt", "data/train.txt", "hidden/hidden.txt", "evaluate.py", {there}]:
        try:
            text = open(path).read()
        except OSError:
            continue
        if text:
            raise SystemExit("it could read " + path)
"""


@pytest.fixture
def folder(tmp_path):
    leave = shutil.ignore_patterns(".loopsmith", "__pycache__", "results")
    return shutil.copytree(EXAMPLE, tmp_path / "nanochat", ignore=leave)


@pytest.fixture(scope="module")
def modules():
    """prepare.py and evaluate.py, without what importing them changes here."""
    environment, path = dict(os.environ), list(sys.path)
    sys.path.insert(0, str(EXAMPLE))
    yield importlib.import_module("prepare"), importlib.import_module("evaluate")
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)
    for name in ("prepare", "evaluate"):
        del sys.modules[name]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What evaluate.py says of each variant in PROBE."""
    folder = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("probe") / "nanochat")
    (folder / "probe.py").write_text(PROBE)
    line = [sys.executable, "-P", "probe.py"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@NEEDS_TORCH
@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        ("ahead", "flagged: a prediction changed by"),
        ("rows", "flagged: a prediction changed by"),
        ("memory", "flagged: a prediction changed by"),
        ("nan", "wrong: a logit for each token of the vocabulary, finite"),
        ("longer", "GFLOP that were counted"),
        ("later", "of CPU time, most of it when the budget was over"),
    ],
)
def test_the_verifier_refuses(verdicts, attack, reason):
    assert reason in verdicts[attack]


@NEEDS_TORCH
def test_logits_that_are_not_normalised_gain_nothing(verdicts):
    assert verdicts["unnormalised"] < 1e-5


@NEEDS_TORCH
def test_a_candidate_is_measured_and_can_read_no_text_and_no_verifier(folder):
    if Sandbox.detect("auto").kind == "none":
        pytest.skip("no sandbox here: a candidate that knows where the source lies can read it")
    there = ", ".join(
        "'/'.join(['', {}])".format(",\n".join(map(repr, (folder / path).parts[1:])))
        for path in ("data/val.txt", "hidden/hidden.txt")
    )
    text = (folder / "train.py").read_text()
    seeded = "    torch.manual_seed(seed)\n"
    assert seeded in text
    changed = text.replace(seeded, seeded + READER.format(there=there)).replace("HEAD_LR = 0.01", "HEAD_LR = 0.00001")
    agent = {"kind": "scripted", "commands": [f"cat > train.py <<'END'\n{changed}END"]}
    command = '"$LOOPSMITH_PYTHON" -P evaluate.py --budget 6Gflop --most-tokens 4096'
    settings = {
        "verify.command": json.dumps(command),
        "verify.holdout": "null",
        "verify.self_check": "false",
        "calibrate.runs": "2",
        "repeats.confirm": "2",
        "search.candidates_per_round": "1",
        "budget.rounds": "1",
        "agent": json.dumps(agent),
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]

    def loopsmith(*words):
        line = [sys.executable, "-m", "loopsmith", *words]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    loopsmith("run", "--plain", *words)
    [candidate] = json.loads(loopsmith("export", "--format", "json"))
    assert candidate["status"] == "discarded", candidate["reason"]
    view = json.loads(loopsmith("status", "--json"))
    assert 2 < view["baseline"]["value"] < candidate["value"] < 5


def test_the_tokenizer_loses_nothing_and_counts_every_byte(modules):
    prepare, _ = modules
    tokenizer = prepare.tokenizer(EXAMPLE)
    text = "Call me Ishmael.  Some 1851 years —\tnever_mind\r\nhow long…\n\nΑἰών 鯨 🐳"
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert tokenizer.bytes[tokens].sum() == len(text.encode())
    assert len(tokens) < len(text.encode())


def test_the_most_frequent_pair_is_merged_first(modules):
    prepare, _ = modules
    text = "the three thieves, there they throve; other weather then: 1234 1234 aaaa aaaaa\n" * 3
    words = [list(word.encode()) for word in prepare.WORDS.findall(text)]
    for rank, merged in enumerate(prepare.learn([text], 256 + 24)):
        pairs = Counter(pair for word in words for pair in zip(word, word[1:], strict=False))
        assert merged == min(pairs, key=lambda pair: (-pairs[pair], pair))
        for word in words:
            place = 0
            while place < len(word) - 1:
                if tuple(word[place : place + 2]) == merged:
                    word[place : place + 2] = [256 + rank]
                place += 1


def test_each_line_goes_to_one_split_and_a_text_that_is_too_short_is_refused(tmp_path):
    lines = [f"{number} whales of {number % 97} seas and {number % 89} ships\n" for number in range(8000)]
    (tmp_path / "book.txt").write_text("".join(lines))
    command = [sys.executable, "-B", EXAMPLE / "prepare.py", "--to", tmp_path, "--vocab", "300", "--data"]
    subprocess.run([*command, tmp_path / "book.txt"], check=True, capture_output=True, timeout=100)
    found = [
        (tmp_path / path).read_text().splitlines(True)
        for path in ("data/train.txt", "data/val.txt", "hidden/hidden.txt")
    ]
    assert all(found)
    assert sorted(sum(found, [])) == sorted(lines)
    (tmp_path / "page.txt").write_text("".join(lines[:100]))
    done = subprocess.run([*command, tmp_path / "page.txt"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "too short" in done.stderr


def test_no_window_of_text_comes_twice_before_all_came_once(modules):
    np = pytest.importorskip("numpy")
    _, evaluate = modules
    stream = evaluate.Stream(np.arange(1000), np.random.default_rng(1))
    batches = np.concatenate([stream.batch(3, 50) for _ in range(6)])
    assert batches.shape == (18, 51)
    assert len({row[0] for row in batches}) == 18
    assert (np.diff(batches) == 1).all(), "text as it stands there"
    starts = np.sort(batches[:, 0])
    assert (np.diff(starts) >= 50).all(), "no two overlap"


@pytest.mark.parametrize(
    ("text", "amount"), [("400Gflop", (4e11, "flops")), ("2.5ktok", (2500, "tokens")), ("300s", (300, "seconds"))]
)
def test_a_budget_is_work_tokens_or_seconds(modules, text, amount):
    assert modules[1].budget(text) == amount


@pytest.mark.parametrize("text", ["300", "0s", "5min", "-3s"])
def test_a_budget_without_a_unit_or_of_nothing_is_refused_in_one_line(text):
    line = [sys.executable, "-B", EXAMPLE / "evaluate.py", f"--budget={text}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "a budget is written as 400Gflop, 200ktok or 300s" in done.stderr


def test_work_that_is_not_counted_on_a_gpu_is_no_budget_there():
    line = [sys.executable, "-B", EXAMPLE / "evaluate.py", "--device", "cuda", "--budget", "300Gflop"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "give seconds or tokens" in done.stderr
