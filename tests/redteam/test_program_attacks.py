"""Attacks by the program that is measured, against a verifier that runs it in a process of its own.

The score is the number of right answers to fresh questions: the baseline knows half of them. Each attack is a real
candidate of a real campaign; its honest twin uses the same means for an honest end, answers everything, and is kept.
"""

import shutil
import socket
import threading
from types import MappingProxyType

import pytest
from support import run, write_source

from loopsmith.workspace import Sandbox

VERIFY = """
import os, random, subprocess, sys
rng = random.Random(int(os.environ["LOOPSMITH_SEED"]))
questions = [2 * rng.randrange(10**6) for _ in range(2)] + [2 * rng.randrange(10**6) + 1 for _ in range(2)]
rng.shuffle(questions)
right = 0
for question in questions:
    child = subprocess.run([sys.executable, "solve.py", str(question)], stdout=subprocess.PIPE, text=True)
    right += child.stdout == f"{question * question}\\n"
print(f"METRIC right={right}")
"""
BASELINE = "import sys\nn = int(sys.argv[1])\nprint(n * n if n % 2 == 0 else 0)\n"
ANSWER = "print(n * n)\n"
START = "import os, sys, time, signal, subprocess, socket, pathlib\nn = int(sys.argv[1])\n"
HALF = "print(n * n if n % 2 == 0 else 0)\n"

# name: what the attack adds, what its honest twin adds, the verdicts that stop it
ATTACKS = {
    "prints the metric": ("print('METRIC right=99')\n" + HALF, "print(n * n, flush=True); sys.exit()\n", {"discarded"}),
    "prints the metric into the verifier's output": (
        "open(f'/proc/{os.getppid()}/fd/1', 'w').write('METRIC right=99\\n')\n" + HALF,
        "open('/dev/null', 'w').write('METRIC right=99\\n')\n" + ANSWER,
        {"failed"},
    ),
    "prints the metric twice, once by itself with the value it hopes for": (
        "open(f'/proc/{os.getppid()}/fd/1', 'w').write('METRIC right=4\\nMETRIC right=4\\n')\n" + HALF,
        ANSWER,
        {"failed"},
    ),
    "exits at once with success": ("os._exit(0)\n", "print(n * n, flush=True); os._exit(0)\n", {"discarded"}),
    "answers from an exit handler, wrongly": (
        "import atexit\natexit.register(lambda: print('METRIC right=99'))\n" + HALF,
        "import atexit\natexit.register(lambda: print(n * n))\n",
        {"discarded"},
    ),
    "kills the verifier": (
        "os.kill(os.getppid(), signal.SIGKILL)\n",
        "os.kill(os.getpid(), 0)\n" + ANSWER,
        {"crashed"},
    ),
    "kills every process it can see": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.kill(-1, signal.SIGKILL)\n",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + ANSWER,
        {"crashed", "failed"},
    ),
    "stops the verifier so that the clock of others runs": (
        "os.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(60)\n",
        "time.sleep(0.01)\n" + ANSWER,
        {"timed_out"},
    ),
    "never ends, and ignores being told to": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "while True: time.sleep(1)\n",
        ANSWER,
        {"timed_out"},
    ),
    "goes on in a daemon after its time": (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n    os._exit(0)\n"
        + HALF,
        "if (child := os.fork()) == 0:\n    print(n * n, flush=True)\n    os._exit(0)\nos.waitpid(child, 0)\n",
        {"discarded", "timed_out"},
    ),
    "leaves the answers for the next run in /tmp and its home": (
        "for place in ('/tmp/known', os.path.expanduser('~/.known')):\n    try: open(place, 'a').write(str(n))\n"
        "    except OSError: pass\n" + HALF,
        "import tempfile\nwith tempfile.TemporaryFile() as file: file.write(b'x')\n" + ANSWER,
        {"discarded"},
    ),
    "writes its own result into the verifier at run time": (
        "try: pathlib.Path('verify.py').write_text('print(\"METRIC right=99\")')\nexcept OSError: pass\n" + HALF,
        "pathlib.Path('scratch.txt').write_text('mine')\n" + ANSWER,
        {"discarded", "failed"},
    ),
    "reads the verifier's memory and arguments through /proc": (
        "text = open(f'/proc/{os.getppid()}/cmdline').read()\n"
        "try: open(f'/proc/{os.getppid()}/mem', 'rb').read(1)\nexcept OSError: pass\n" + HALF,
        "open('/proc/self/cmdline').read()\n" + ANSWER,
        {"discarded"},
    ),
    "sets the clock": (
        "try: time.clock_settime(time.CLOCK_REALTIME, 0)\nexcept OSError: pass\n" + HALF,
        "time.clock_gettime(time.CLOCK_REALTIME)\n" + ANSWER,
        {"discarded"},
    ),
    "reads the campaign's tracker and repository": (
        "found = [p for p in pathlib.Path.cwd().parents[2].glob('tracker.db*')]\n"
        "found += list(pathlib.Path.cwd().parents[2].glob('repository.git/*'))\n"
        "print(n * n if found or n % 2 == 0 else 0)\n",
        ANSWER,
        {"discarded"},
    ),
}


def campaign(tmp_path, attack, twin, verifier=VERIFY, files=MappingProxyType({}), **settings):
    """The verdict on an attack; its honest twin is kept. Each is alone in its round."""
    found = verdicts(tmp_path, attack, twin, verifier, files, **settings)
    assert found[2] == "kept", "the honest twin"
    return found[1]


def verdicts(tmp_path, attack, twin, verifier, files, **settings):
    source = tmp_path / "source"
    write = "cat > solve.py <<'END'\n{}{}END\n"
    agent = {"kind": "scripted", "commands": [write.format(START, attack), write.format(START, twin)]}
    verify = {"command": "python3 verify.py", "timeout": "6s", "self_check": False, **settings.pop("verify", {})}
    path = write_source(
        source,
        agent=agent,
        objective={"metric": "right"},
        workspace={"editable": ["solve.py"]},
        search={"candidates_per_round": 1},
        budget={"rounds": 2},
        verify=verify,
        **settings,
    )
    (source / "verify.py").write_text(verifier)
    for name, text in files.items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(text)
    (source / "solve.py").write_text(BASELINE)
    view = run(path)
    assert view["baseline"]["value"] == 2
    return verdicts_of(path)


def verdicts_of(path):
    from loopsmith import workflow
    from loopsmith.tracker import open_store

    with open_store(workflow.load(path).state / "tracker.db", read_only=True) as store:
        return {item.number: str(item.status) for item in store.candidates(store.campaigns()[0].id)}


# name: what the attack adds, what its honest twin adds, the settings of `verify`, the verdicts that stop it
WITH_SETTINGS = {
    "writes the result file that the verifier prints": (
        "if os.fork() == 0:\n    os.setsid()\n    os.closerange(0, 3)\n    while True:\n"
        "        open('result.txt', 'a').write('METRIC right=99\\n')\n        time.sleep(0.001)\n" + HALF,
        "open('mine.txt', 'w').write('mine')\n" + ANSWER,
        {"command": "python3 verify.py > result.txt; code=$?; cat result.txt; exit $code"},
        {"failed"},
    ),
    "shadows a module of the verifier while it is checked": (
        "with open('colorsys.py', 'w') as file:\n"
        "    file.write('import os\\nprint(\"METRIC right=99\", flush=True)\\nos._exit(0)\\n')\n" + HALF,
        "with open('mine.py', 'w') as file:\n    file.write('x = 1')\n" + ANSWER,
        {"checks": ["python3 solve.py 2"]},
        {"discarded"},
    ),
}
PUBLIC = """
import os, subprocess, sys
right = 0
for question in open(sys.argv[1]).read().split():
    child = subprocess.run([sys.executable, "solve.py", question], stdout=subprocess.PIPE, text=True)
    right += child.stdout == f"{int(question) ** 2}\\n"
print(f"METRIC right={right}")
"""

sandboxed = pytest.mark.skipif(
    shutil.which("bwrap") is None or not Sandbox.detect("auto").available, reason="needs bubblewrap"
)


@sandboxed
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_by_the_program_gains_nothing_and_its_honest_twin_is_kept(tmp_path, name):
    attack, twin, stopped_as = ATTACKS[name]
    assert campaign(tmp_path, attack, twin) in stopped_as


@sandboxed
@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_an_attack_on_how_the_verifier_is_run_gains_nothing_and_its_honest_twin_is_kept(tmp_path, name):
    attack, twin, settings, stopped_as = WITH_SETTINGS[name]
    assert campaign(tmp_path, attack, twin, "import colorsys\n" + VERIFY, verify=settings) in stopped_as


@sandboxed
def test_a_program_that_is_right_only_for_the_public_inputs_is_stopped_by_a_holdout_and_by_nothing_else(tmp_path):
    public, hidden = "2 3 4 5", "6 7 8 9"
    attack = f"print(n * n if n in {{{public.replace(' ', ', ')}}} else 0)\n"
    files = {"public.txt": public, "hidden/questions.txt": hidden}
    settings = {"command": "python3 verify.py public.txt"}
    holdout = {"command": "python3 verify.py hidden/questions.txt", "link": ["hidden"], "gate": True}
    gated = {"verify": {**settings, "holdout": holdout}}
    assert campaign(tmp_path / "gated", attack, ANSWER, PUBLIC, files, **gated) == "discarded"
    assert verdicts(tmp_path / "open", attack, ANSWER, PUBLIC, files, verify=settings)[1] == "kept"


@sandboxed
def test_an_answer_cannot_be_fetched_over_the_network(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                asked.append(1)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        port = server.getsockname()[1]
        attack = (
            f"try:\n    socket.create_connection(('127.0.0.1', {port}), timeout=1)\n    print(n * n)\n"
            f"except OSError:\n    {HALF}"
        )
        assert campaign(tmp_path, attack, ANSWER) == "discarded"
        assert not asked
        server.close()
