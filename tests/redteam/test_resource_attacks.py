"""Attacks on the machine: processes, memory, disk, time and output, each within bounds of its own, beside its twin.

The program squares a number and is wrong at first. An attack is right if it got what it wanted, so that it would be
kept if nothing held it; its honest twin takes some of the same, within the limits, and is kept.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import run, write_source

from loopsmith import workflow
from loopsmith.records import Candidate, Decision, Status
from loopsmith.tracker import open_store
from loopsmith.workspace import Sandbox

sandboxed = pytest.mark.skipif(not Sandbox.detect("auto").available, reason="needs bubblewrap")

VERIFY = """
import os, random, subprocess, sys
n = random.Random(int(os.environ["LOOPSMITH_SEED"])).randrange(10**6)
child = subprocess.run([sys.executable, "solve.py", str(n)], stdout=subprocess.PIPE, text=True)
print(f"METRIC right={int(child.stdout == str(n * n)) + 1}")
"""
START = "import os, signal, sys, threading, time\nsignal.alarm(8)\nn = int(sys.argv[1])\n"
ANSWER = "print(n * n, end='')\n"
WRONG = "print(0)\n"

# At most 5 + 25 + 125 processes, each of which ends after three seconds.
BOMB = """
def bomb(depth):
    for _ in range(5):
        if os.fork() == 0:
            signal.alarm(3)
            if depth:
                bomb(depth - 1)
            time.sleep(2)
            os._exit(0)

bomb(2)
time.sleep(1)
"""
FORKS = """
children = []
for _ in range(5):
    if (child := os.fork()) == 0:
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""
THREADS = """
threads = [threading.Thread(target=time.sleep, args=(SECONDS,)) for _ in range(COUNT)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
MEMORY = (
    "taken = []\nfor _ in range(COUNT):\n    taken.append(b'x' * 20_000_000)\n    time.sleep(0.01)\ntime.sleep(0.3)\n"
)
SHARE = """
for _ in range(6):
    if os.fork() == 0:
        taken = b'x' * 80_000_000
        time.sleep(2)
        os._exit(0)
time.sleep(1.5)
"""
FILES = """
for number in range(COUNT):
    with open(f"{FOLDER}/{number}", "wb") as file:
        file.write(bytes(4_000_000))
    time.sleep(0.01)
time.sleep(0.5)
"""
NAMELESS = """
with open("gone", "wb") as file:
    os.unlink("gone")
    for _ in range(50):
        file.write(bytes(4_000_000))
        file.flush()
        time.sleep(0.01)
    time.sleep(0.5)
"""
ONE_FILE = """
with open("big", "wb") as file:
    for _ in range(COUNT):
        file.write(bytes(1_000_000))
"""
FLOOD = "for _ in range(COUNT):\n    sys.stderr.write('METRIX right=2 ' + 'x' * 980 + '\\n')\n"
DEEP = """
for _ in range(COUNT):
    os.mkdir("d")
    os.chdir("d")
os.chmod(".", 0)
"""


class Attack(NamedTuple):
    """`reason` is a part of the decision's; `settings` those of `verify`."""

    source: str
    twin: str
    reason: str
    settings: dict[str, Any]
    status: Status = Status.FAILED


def attack(source: str, twin: str, reason: str, answer: str = ANSWER, **limits: Any) -> Attack:
    return Attack(source + answer, twin + ANSWER, reason, {"limits": limits})


ATTACKS = {
    "a fork bomb": attack(BOMB, FORKS, "more than 60 processes", processes=60),
    "threads without end": attack(
        THREADS.replace("SECONDS", "2").replace("COUNT", "150"),
        THREADS.replace("SECONDS", "0.01").replace("COUNT", "5"),
        "more than 60 processes",
        processes=60,
    ),
    "eats memory": attack(
        MEMORY.replace("COUNT", "50"), MEMORY.replace("COUNT", "2"), "verify.limits.memory", memory="300M"
    ),
    "eats memory in several processes": attack(SHARE, FORKS, "verify.limits.memory", memory="300M"),
    "eats memory through files in /dev/shm": attack(
        FILES.replace("COUNT", "150").replace("{FOLDER}", "/dev/shm"),
        FILES.replace("COUNT", "2").replace("{FOLDER}", "/dev/shm"),
        "verify.limits.memory",
        memory="300M",
    ),
    "fills the disk": attack(
        FILES.replace("COUNT", "50").replace("{FOLDER}", "."),
        FILES.replace("COUNT", "2").replace("{FOLDER}", "."),
        "verify.limits.disk",
        disk="50M",
    ),
    "fills the disk through a file without a name": attack(
        NAMELESS, "with open('own', 'wb') as file: file.write(b'x')\n", "verify.limits.disk", disk="50M"
    ),
    "one file without end": attack(
        ONE_FILE.replace("COUNT", "100"), ONE_FILE.replace("COUNT", "2"), "no change", file_size="30M"
    )._replace(status=Status.DISCARDED),
    "takes more CPU time than it may": attack(
        "while time.process_time() < 2: pass\n", "for _ in range(1000): pass\n", "no change", cpu_time="1s"
    )._replace(status=Status.DISCARDED),
    "prints without end": attack(
        FLOOD.replace("COUNT", "30_000"), FLOOD.replace("COUNT", "3"), "no change", WRONG
    )._replace(status=Status.DISCARDED),
    "leaves folders that are hard to remove": attack(
        DEEP.replace("COUNT", "600"), DEEP.replace("COUNT", "3"), "no change", WRONG
    )._replace(status=Status.DISCARDED),
}


def campaign(folder: Path, attack: Attack, settings: dict[str, Any]) -> list[tuple[Candidate, Decision]]:
    write = "cat > solve.py <<'END'\n{}{}END\n"
    commands = [write.format(START, source) for source in (attack.source, attack.twin)]
    verify = {"command": "python3 verify.py", "timeout": "20s", "self_check": False, "output_limit": "100K"}
    path = write_source(
        folder,
        agent={"kind": "scripted", "commands": commands},
        objective={"metric": "right"},
        workspace={"editable": ["solve.py"]},
        verify={**verify, **settings},
    )
    (folder / "verify.py").write_text(VERIFY)
    (folder / "solve.py").write_text(START + WRONG)
    run(path)
    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        candidates = store.candidates(store.campaigns()[0].id)
        return [(candidate, store.decision(candidate.id)) for candidate in candidates]


@sandboxed
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_the_machine_is_ended_and_its_honest_twin_is_kept(tmp_path, name):
    attack = ATTACKS[name]
    (attacker, decision), (twin, kept) = campaign(tmp_path, attack, attack.settings)
    assert attacker.status is attack.status, decision.reason
    assert attack.reason in decision.reason
    assert twin.status is Status.KEPT, kept.reason
    state = tmp_path / ".loopsmith"
    assert not [each for folder in (state / "work").iterdir() for each in folder.iterdir()], "all is removed"
    logs = [file for file in (state / "artifacts").rglob("*") if file.is_file()]
    assert logs
    assert max(file.stat().st_size for file in logs) <= 100_000


@sandboxed
def test_without_the_limit_an_attack_gets_what_it_wants(tmp_path):
    (attacker, decision), _ = campaign(tmp_path, ATTACKS["one file without end"], {"limits": {}})
    assert decision.value == 2, decision.reason
    assert attacker.status in (Status.KEPT, Status.DISCARDED)
