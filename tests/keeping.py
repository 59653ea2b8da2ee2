"""A source in a git repository, whose campaign keeps three changes; the third builds on the first."""

import subprocess
from pathlib import Path
from typing import Any

from support import write_source

FILLER = "".join(f"# line {number}\n" for number in range(6))
PROGRAM = f"A=0\n{FILLER}B=0\n{FILLER}C=0\n{FILLER}D=0\n"
EXACT = 'echo "METRIC score=$((10 + A + B))"'
# A disturbance of at most 1 in the score, of the run's seed and of the program: so it does not cancel out in a pair.
NOISY = (
    "echo \"METRIC score=$(awk -v x=$((10 + A + B)) -v s=$LOOPSMITH_SEED -v p=$(cksum < program.sh | cut -d' ' -f1) "
    "'BEGIN { print x + (s * 7919 + p * 104729) % 1009 / 1009 }')\""
)
# Kept: 15 (with two lines that do nothing), 22, 26 (on the line of the first); then one that is not.
COMMANDS = (
    "sed -i 's/^A=.*/A=5/; s/^C=.*/C=1/; s/^D=.*/D=1/' program.sh",
    "sed -i 's/^B=.*/B=7/' program.sh",
    "sed -i 's/^A=.*/A=9/' program.sh",
    "sed -i 's/^B=.*/B=1/' program.sh",
)


def git(folder: Path, *arguments: str) -> str:
    person = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *person, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def make(folder: Path, *, command: str = EXACT, commands: tuple[str, ...] = COMMANDS, **front: Any) -> Path:
    """The workflow of such a campaign, in a git repository with one commit."""
    settings: dict[str, Any] = {
        "agent": {"kind": "scripted", "commands": list(commands)},
        "search": {"candidates_per_round": 1, "workers": 1},
        "budget": {"rounds": len(commands)},
        "verify": {"self_check": False},
    }
    for key, value in front.items():
        settings[key] = {**settings.get(key, {}), **value}
    path = write_source(folder, command=command, **settings)
    (folder / "program.sh").write_text(PROGRAM)
    (folder / ".gitignore").write_text(".loopsmith\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return path
