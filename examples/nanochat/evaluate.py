"""The verifier: lets train.py train a model under a fixed budget, and measures the model. Prints `METRIC val_bpb=...`.

train.py runs in processes of its own, without the data. The first gets its training data batch by batch until the budget
is over, and gives back weights. Another one makes a model of the weights and is asked for logits; cross-entropy, checks
and clock are here. A third is asked about texts that go on otherwise: what it said before must stay the same.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import re
import sys
import time

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # last, so that nothing here hides a module

import numpy as np
import prepare
from loopsmith import harness
from loopsmith.errors import LoopsmithError

WINDOW = 256  # tokens that are predicted together, each from those before it in its window
ROWS = 16  # windows in a batch
CUT = 96  # windows that are shown again with another end
SLACK = 12  # times the CPU time that the counted work takes as plain matrix products here
FREE = 10.0  # seconds of CPU time for everything else: importing PyTorch, making the model
UNITS = {"flop": "flops", "tok": "tokens", "s": "seconds"}
SCALES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def budget(text):
    """An amount and what it is of: 400Gflop, 200ktok, 300s."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]?)(flop|tok|s)", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError("a budget is written as 400Gflop, 200ktok or 300s")
    return float(match[1]) * SCALES[match[2]], UNITS[match[3]]


class Stream:
    """Batches of training text: windows in random order, none twice before all were there once."""

    def __init__(self, tokens, rng):
        self.tokens, self.rng = tokens, rng
        self.length, self.starts = 0, []

    def batch(self, rows, length):
        if length != self.length:
            self.length, self.starts = length, []
        while len(self.starts) < rows:
            first = self.rng.integers(length)
            self.starts += list(self.rng.permutation(np.arange(first, len(self.tokens) - length, length)))
        chosen, self.starts = self.starts[:rows], self.starts[rows:]
        return np.stack([self.tokens[start : start + length + 1] for start in chosen])


def machine():
    """Floating-point operations for each second of CPU time, of a matrix product in one thread."""
    a = np.random.default_rng(0).random((384, 384), np.float32)
    best = float("inf")
    for _ in range(20):
        began = time.process_time()
        a @ a
        best = min(best, time.process_time() - began)
    return 2 * 384**3 / best


def trained(program, vocab, args, rng):
    """The weights, and what training took."""
    amount, unit = args.budget
    stream, rate = Stream(prepare.tokens("train"), rng), machine()
    seed, counted = int(rng.integers(2**31)), args.device == "cpu"
    used = {"flops": 0, "tokens": 0, "seconds": 0.0}
    steps, last, began = 0, 0.0, None
    wanted = program("start", vocab, args.device, seed, args.threads, counted)
    while used[unit] + last / 2 < amount:  # so that large steps neither gain nor lose
        rows, length = wanted
        if not (0 < rows * length <= args.largest_batch and 1 < length < len(stream.tokens) // 2):
            raise harness.Rejected(f"wrong: train.py asks for a batch of {rows} rows of {length} tokens")
        wanted, flops = program("step", stream.batch(rows, length), used[unit] / amount)
        steps += 1
        began = began or time.monotonic()  # the first step compiles
        if type(flops) is not int or flops < 0 or (counted and not flops):
            raise harness.Rejected("wrong: a step of training that took no work")
        before, seconds = used[unit], time.monotonic() - began
        used = {"flops": used["flops"] + flops, "tokens": used["tokens"] + rows * length, "seconds": seconds}
        last = used[unit] - before
        if used[unit] > 1.1 * amount:
            raise harness.Rejected(f"wrong: the last step took {last / amount:.0%} of the budget")
        if counted and program.cpu > FREE + SLACK * used["flops"] / rate:
            raise harness.Rejected(
                f"flagged: {program.cpu:.1f} s of CPU time for {used['flops'] / 1e9:.1f} GFLOP that were counted; "
                f"{SLACK} times what they take as matrix products are allowed"
            )
    weights = program("finish")
    if counted and program.cpu > FREE + SLACK * used["flops"] / rate:
        raise harness.Rejected(f"flagged: {program.cpu:.1f} s of CPU time, most of it when the budget was over")
    if unit == "seconds" and program.seconds > 0.05 * amount + 10:
        raise harness.Rejected(f"flagged: train.py went on for {program.seconds:.0f} s when the budget was over")
    if type(weights) is not dict or not all(
        type(name) is str and type(each) is np.ndarray and np.isfinite(each).all() for name, each in weights.items()
    ):
        raise harness.Rejected("wrong: the weights must be a dict of finite tensors")
    took = {
        "parameters_k": round(sum(each.size for each in weights.values()) / 1000),
        "train_tokens_k": round(used["tokens"] / 1000),
        "gflop": round(used["flops"] / 1e9),
        "steps": steps,
        "cpu_seconds": round(program.cpu, 1),
    }
    return weights, {name: value for name, value in took.items() if value}


def log_probabilities(program, windows):
    """Of every token at every place of some windows, from logits.

    Raises:
        harness.Rejected: they are no logits.
    """
    logits = program("logits", windows)
    if type(logits) is not np.ndarray or logits.dtype != np.float32 or logits.shape[:2] != windows.shape:
        raise harness.Rejected("wrong: logits must be float32 of (rows, length, vocab)")
    if logits.shape[2] != program.vocab or not np.isfinite(logits).all():
        raise harness.Rejected("wrong: a logit for each token of the vocabulary, finite, is expected at each place")
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    found = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    if abs(np.exp(found).sum(-1) - 1).max() > 1e-6:
        raise harness.Rejected("wrong: probabilities that do not sum to one")
    return found


def bits_per_byte(start, weights, tokenizer, tokens, args, rng):
    """Of the tokens, and whether no prediction knew what comes after it.

    Raises:
        harness.Rejected: one did.
    """
    count = min(len(tokens), args.most_tokens) // WINDOW
    windows = np.asarray(tokens[: count * WINDOW]).reshape(count, WINDOW)
    checked = set(rng.permutation(count)[:CUT].tolist())
    said, bits, size = {}, 0.0, 0
    with start() as program:
        program("load", weights, program.vocab, args.device, args.threads)
        for chosen in batches(rng.permutation(count)):
            found = log_probabilities(program, windows[chosen])
            targets = windows[chosen][:, 1:]
            bits -= np.take_along_axis(found[:, :-1], targets[..., None].astype(int), -1).sum() / np.log(2)
            size += tokenizer.bytes[targets].sum()
            said |= {number: found[row].astype(np.float32) for row, number in enumerate(chosen) if number in checked}
    # A model that looks ahead, at other rows, or back at earlier questions, says something else when those are others.
    # The second process has nothing from the first but the weights, so that it cannot know what was said.
    with start() as program:
        program("load", weights, program.vocab, args.device, args.threads)
        for chosen in batches(rng.permutation(sorted(checked))):
            cuts = WINDOW - (WINDOW * rng.random(len(chosen)) ** 2).astype(int)  # more of them late than early
            others = windows[(chosen + rng.integers(1, count, len(chosen))) % count]
            place = np.arange(WINDOW)
            found = log_probabilities(program, np.where(place < cuts[:, None], windows[chosen], others))
            for row, number in enumerate(chosen):
                apart = abs(np.exp(found[row]) - np.exp(said[number]))[: cuts[row]].max()
                if apart > args.tolerance:
                    raise harness.Rejected(
                        f"flagged: a prediction changed by {apart:.2g} when only later text, or other rows, did"
                    )
    return bits / size


def batches(order):
    return (order[place : place + ROWS] for place in range(0, len(order), ROWS))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=budget, help="400Gflop, 200ktok or 300s; default: 300Gflop, on a GPU 300s")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: bfloat16 and compiled")
    parser.add_argument("--split", choices=["val", "hidden"], default="val")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--largest-batch", type=int, default=2**20, help="tokens")
    parser.add_argument("--most-tokens", type=int, default=2**18, help="of the split that are predicted")
    parser.add_argument("--tolerance", type=float, help="of probabilities that should be the same")
    parser.add_argument("--timeout", type=float, default=180, help="seconds for one step, and for compiling")
    parser.add_argument("--save", help="a file for the weights (.npz)")
    args = parser.parse_args()
    args.budget = args.budget or budget("300Gflop" if args.device == "cpu" else "300s")
    if args.device != "cpu" and args.budget[1] == "flops":
        parser.error("work is counted on a CPU alone; with --device cuda give seconds or tokens, as --budget 300s")
    args.tolerance = args.tolerance or (1e-4 if args.device == "cpu" else 0.05)
    rng = np.random.default_rng(int(os.environ.get("LOOPSMITH_SEED") or 0))
    tokenizer = prepare.tokenizer()
    vocab = len(tokenizer.tokens)

    def start():
        return Program(vocab, args)

    with start() as program:
        for missing in program.missing:
            print(f"note: {missing}, as the kernel does not allow more here", file=sys.stderr)
        weights, took = trained(program, vocab, args, rng)
    value = bits_per_byte(start, weights, tokenizer, prepare.tokens(args.split), args, rng)
    if args.save:
        np.savez(args.save, **weights)
    for name, number in took.items():
        print(f"METRIC {name}={number}")
    print(f"METRIC val_bpb={value:.6f}")


class Program:
    """runner.py with train.py, in a process that can read neither the data nor this file."""

    def __init__(self, vocab, args):
        self.vocab = vocab
        hide = [path for path in ("data", "hidden") if (prepare.HERE / path).exists()]
        self.context = harness.session(
            harness.python("runner.py", "answer"),
            hide=hide,
            timeout=args.timeout,
            processes=args.device != "cpu",  # torch.compile starts compilers
            size_limit=4 << 30,
        )

    def __enter__(self):
        self.session = self.context.__enter__()
        self.missing = self.session.missing
        return self

    def __exit__(self, *error):
        return self.context.__exit__(*error)

    def __call__(self, *args):
        return self.session(*args)

    @property
    def cpu(self):
        return self.session.cpu

    @property
    def seconds(self):
        return self.session.seconds


if __name__ == "__main__":
    try:
        main()
    except LoopsmithError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
