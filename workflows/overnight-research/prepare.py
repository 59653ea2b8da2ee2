"""Makes the data: inputs of eight numbers, and what a random network with noise says of them.

The network is drawn anew each time and kept nowhere, so that no program can know it. Run it once: `python prepare.py`.
"""

from pathlib import Path

import numpy as np

INPUTS, WIDTH, NOISE = 8, 12, 0.1
SIZES = {"data/train.csv": 1000, "data/validation.csv": 400, "hidden/test.csv": 400}

random = np.random.default_rng()
first, shift = random.normal(size=(INPUTS, WIDTH)), random.normal(size=WIDTH)
second = random.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)
last = random.normal(size=WIDTH) / np.sqrt(WIDTH)
for name, size in SIZES.items():
    x = random.normal(size=(size, INPUTS))
    y = np.tanh(np.sin(x @ first * 0.7 + shift) @ second * 1.5) @ last + NOISE * random.normal(size=size)
    Path(name).parent.mkdir(exist_ok=True)
    np.savetxt(name, np.column_stack([x, y]), fmt="%.3f", delimiter=",")
