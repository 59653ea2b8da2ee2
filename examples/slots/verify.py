"""The verifier: how many cases of a file does `slots.py` answer right? Prints `METRIC passed=N`.

Each case is a command line and what it must print, and runs in a process of its own.
"""

import subprocess
import sys
from pathlib import Path

passed = 0
for line in Path(sys.argv[1]).read_text().splitlines():
    words, _, expected = line.partition(" -> ")
    command = [sys.executable, "slots.py", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    wanted = 2 if expected.startswith("error") else 0
    if done.stdout.strip() == expected and done.returncode == wanted:
        passed += 1
    else:
        said = done.stdout.strip() or (done.stderr.strip().splitlines() or ["nothing"])[-1]
        print(f"FAIL {words}: expected `{expected}` and exit {wanted}, got `{said[:100]}` and exit {done.returncode}")
print(f"METRIC passed={passed}")
