"""What stands between evaluate.py and train.py, in the process of train.py: counts its work, passes arrays on.

Nothing that evaluate.py believes rests on this file alone, as train.py could change it here while it runs: batches,
scores, the clock and CPU time are evaluate.py's.
"""

import numpy as np
import torch
import train
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

# Attention as PyTorch computes it on a CPU, which its own counter does not know.
FORMULAS = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, q, k, v, *_, **__: sdpa_backward_flop_count(grad, q, k, v)
    ),
}

state = {}


def answer(what, *args):
    return globals()[what](*args)


def start(vocab, device, seed, threads, count):
    """Begin a training; gives the shape of the batch that it wants first."""
    torch.set_num_threads(threads)
    state.update(device=device, count=count, training=train.train(vocab, device, seed))
    return shape(next(state["training"]))


def step(tokens, progress):
    """One batch; gives the shape of the next one, or None at the end, and the floating-point operations it took."""
    batch = torch.from_numpy(tokens.astype(np.int64)).to(state["device"]), progress
    if not state["count"]:
        return shape(state["training"].send(batch)), 0
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        wanted = state["training"].send(batch)
    return shape(wanted), counter.get_total_flops()


def finish():
    """The budget is over; gives the weights."""
    try:
        state["training"].send(None)
    except StopIteration as end:
        weights = end.value
    else:
        raise RuntimeError("train() asked for another batch after the last")
    return {name: weight.detach().float().cpu().numpy() for name, weight in weights.items()}


def load(weights, vocab, device, threads):
    torch.set_num_threads(threads)
    weights = {name: torch.from_numpy(weight.copy()) for name, weight in weights.items()}
    state.update(device=device, model=train.load(weights, vocab, device))


def logits(tokens):
    found = state["model"](torch.from_numpy(tokens.astype(np.int64)).to(state["device"]))
    return found.detach().float().cpu().numpy()


def shape(wanted):
    rows, length = wanted
    return int(rows), int(length)
