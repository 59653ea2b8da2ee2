"""The experiment: model, optimizer and schedule of a small language model. The only file that may be changed.

evaluate.py calls `train`, and in another process `load`, with nothing but what stands in their docstrings.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

# The dial: the width follows from it, and the learning rates from the width.
DEPTH = 2

# The shape of a batch.
ROWS = 8
LENGTH = 128

# Optimizer and schedule.
MATRIX_LR = 0.02
EMBEDDING_LR = 0.1
HEAD_LR = 0.01
WEIGHT_DECAY = 0.1
MOMENTUM = 0.95
BETA1 = 0.9
BETA2 = 0.95
WARMUP = 0.02  # share of the budget
DECAY = 0.5
FINAL_LR = 0.05  # share of the learning rate at the end

# Architecture.
WIDTH_PER_LAYER = 32
HEAD_WIDTH = 32
MLP_FACTOR = 4
SOFTCAP = 15.0
ROPE_BASE = 10_000


# ---------------------------------------------------------------------------------------------------------------------
# Model: a transformer with rotary positions, normalised queries and keys, squared ReLU, no biases


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


def rotate(x, cos, sin):
    """Rotary position embedding (Su et al., 2021), the two halves of a head as pairs."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, MLP_FACTOR * width, bias=False)
        self.down = nn.Linear(MLP_FACTOR * width, width, bias=False)

    def forward(self, x, cos, sin):
        rows, length, width = x.shape
        y = norm(x)
        q, k, v = (part(y).view(rows, length, self.heads, -1).transpose(1, 2) for part in self.qkv)
        q, k = norm(rotate(q, cos, sin)), norm(rotate(k, cos, sin))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(F.relu(self.up(norm(x))).square())


class Model(nn.Module):
    """Logits (rows, length, vocab) of the tokens after each of `tokens` (rows, length)."""

    def __init__(self, vocab):
        super().__init__()
        width = DEPTH * WIDTH_PER_LAYER
        heads = max(1, width // HEAD_WIDTH)
        self.head_width = width // heads
        self.embedding = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(DEPTH))
        self.head = nn.Linear(width, vocab, bias=False)
        for name, weight in self.named_parameters():
            if name == "embedding.weight":
                nn.init.normal_(weight)
            elif name == "head.weight" or "out." in name or "down." in name:
                nn.init.zeros_(weight)
            else:
                nn.init.uniform_(weight, -math.sqrt(3 / weight.size(1)), math.sqrt(3 / weight.size(1)))

    def forward(self, tokens):
        frequencies = ROPE_BASE ** (-torch.arange(0, self.head_width, 2, device=tokens.device) / self.head_width)
        angles = torch.arange(tokens.size(1), device=tokens.device)[:, None] * frequencies
        x = norm(self.embedding(tokens))
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin)
        return SOFTCAP * torch.tanh(self.head(norm(x)).float() / SOFTCAP)


# ---------------------------------------------------------------------------------------------------------------------
# Optimizer: Muon for the matrices of the blocks, AdamW for embedding and head


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal by five steps of a quintic Newton-Schulz iteration (Jordan et al., 2024).

    Matrices of one shape are stacked and done at once.
    """

    def __init__(self, matrices, lr, momentum, weight_decay):
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for matrix in group["params"]:
                shapes.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in shapes.items():
                gradient = torch.stack([matrix.grad for matrix in matrices])
                average = self.state[matrices[0]].setdefault("average", torch.zeros_like(gradient))
                average.lerp_(gradient, 1 - group["momentum"])
                update = orthogonal(gradient.lerp(average, group["momentum"]))
                rate = group["lr"] * math.sqrt(max(1, shape[0] / shape[1]))
                for matrix, change in zip(matrices, update.to(gradient.dtype)):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(change, alpha=-rate)


def orthogonal(x):
    if x.is_cuda:
        x = x.bfloat16()
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x


# ---------------------------------------------------------------------------------------------------------------------
# Training


def rate(progress):
    """Warmup, constant, linear decay; `progress` is the share of the budget that is used."""
    return min(1.0, (progress + 1e-3) / WARMUP, FINAL_LR + (1 - FINAL_LR) * (1 - progress) / DECAY)


def train(vocab, device, seed):
    """Train a model: a generator that asks for batches and ends with the weights.

    Args:
        vocab: number of tokens.
        device: `cpu`, or `cuda` with bfloat16 and torch.compile.
        seed: for the initial weights; another in each run.

    Yields:
        (rows, length): the batch that is wanted next. It gets tokens, int64 of (rows, length + 1), and the share of
        the budget that is used, from 0 to 1; or None when the budget is over.

    Returns:
        weights: a dict of tensors, for `load`.
    """
    torch.manual_seed(seed)
    model = Model(vocab).to(device)
    matrices = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
    scale = (model.embedding.embedding_dim / 64) ** -0.5
    optimizers = [
        Muon(matrices, MATRIX_LR, MOMENTUM, WEIGHT_DECAY),
        torch.optim.AdamW(
            [
                {"params": [model.embedding.weight], "lr": EMBEDDING_LR * scale},
                {"params": [model.head.weight], "lr": HEAD_LR * scale},
            ],
            betas=(BETA1, BETA2),
            weight_decay=0.0,
            fused=True,
        ),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base"] = group["lr"]
    gpu = device != "cpu"
    forward = torch.compile(model, dynamic=False) if gpu else model
    while (batch := (yield ROWS, LENGTH)) is not None:
        tokens, progress = batch
        with torch.autocast("cuda", torch.bfloat16, enabled=gpu):
            logits = forward(tokens[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rate(progress)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return model.state_dict()


def load(weights, vocab, device):
    """The trained model, as a function from tokens (rows, length) to logits (rows, length, vocab).

    The logits at a place are of the token after it, and may depend on the tokens up to there alone; each row is by
    itself. `length` is 256 and less.
    """
    model = Model(vocab).to(device).eval()
    model.load_state_dict(weights)

    @torch.no_grad()
    def logits(tokens):
        with torch.autocast("cuda", torch.bfloat16, enabled=device != "cpu"):
            return model(tokens)

    return logits
