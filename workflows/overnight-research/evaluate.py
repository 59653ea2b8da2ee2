"""The verifier: trains within a budget, then scores the predictions. `evaluate.py FILE` prints METRIC val_loss.

The training gets the inputs of FILE without the results, and FILE looks empty to it. Run it with the Python that has
loopsmith.
"""

import os
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np

from loopsmith import harness

CPU_SECONDS = 4  # of the training, all its processes together
TIMEOUT = 120.0  # seconds

os.chdir(Path(__file__).parent)
file = Path(sys.argv[1])
held = np.loadtxt(file, delimiter=",")
with tempfile.TemporaryDirectory() as place:
    inputs, predictions = Path(place, "inputs.csv"), Path(place, "predictions.csv")
    np.savetxt(inputs, held[:, :-1], fmt="%.3f", delimiter=",")
    words = [sys.executable, "-P", "train.py", "data/train.csv", str(inputs), str(predictions)]
    hidden = [path for folder in ("data", "hidden") for path in Path(folder).glob("*") if path.name != "train.csv"]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ran = harness.run(shlex.join(words), hide=hidden, env={**os.environ, **one_thread}, timeout=TIMEOUT)
    for missing in ran.missing:
        print(f"not protected: {missing}", file=sys.stderr)
    if ran.timed_out or ran.exit_code:
        sys.exit(f"the training ended with {ran.exit_code}:\n{ran.stderr.decode(errors='replace')[-2000:]}")
    if ran.cpu_seconds > CPU_SECONDS:
        sys.exit(f"the training took {ran.cpu_seconds:.1f} s of CPU time, and may take {CPU_SECONDS}")
    predicted = np.loadtxt(predictions)
if predicted.shape != held[:, -1].shape or not np.isfinite(predicted).all():
    sys.exit(f"{len(held)} finite predictions are needed, not an array of the shape {predicted.shape}")
print(f"METRIC val_loss={np.mean((predicted - held[:, -1]) ** 2):.6g}")
