"""Attacks on a verifier that is written with `loopsmith.harness`, each a candidate of a real campaign beside its twin.

Each attack is slow but for what it does to look fast. Its honest twin uses the same means for an honest end, is fast,
and is kept. Most attacks are also shown to win against a verifier that imports the candidate.
"""

import pytest
from factors import FAST, SLOW, START, VERIFY, Attack, answers, campaign, check, failed, naive_grade

from loopsmith.workspace import Sandbox

sandboxed = pytest.mark.skipif(not Sandbox.detect("auto").available, reason="needs bubblewrap")

SAY = """
def say():
    for _ in range(2):
        print("METRIC grade=2", flush=True)
        os.write(1, b"METRIC grade=2\\n")
        sys.__stdout__.write("METRIC grade=2\\n")
"""
CACHE = """
kept = {}

def factors(numbers):
    key = KEY
    if key not in kept:
        kept[key] = numbers, slowly(numbers)
    return kept[key][1]
"""
TABLE = f"""
ALL = {sorted(answers(few=True))}
table = {{}}

def factors(numbers):
    return [table[n] if n in table else slow(n) for n in numbers]
"""
DAEMON = f"""
import mmap
ALL = {sorted(answers(few=True))}
shared = mmap.mmap(-1, 4096)

def known(n):
    at = 4 * ALL.index(n)
    return int.from_bytes(shared[at : at + 4], "little") or slow(n)

def factors(numbers):
    return [known(n) for n in numbers]

try:
    if os.fork() == 0:
        os.setsid()
        for n, at in zip(ALL, range(0, 4096, 4)):
            shared[at : at + 4] = slow(n).to_bytes(4, "little")
        os._exit(0)
except OSError:
    pass
"""
SHOWN = dict(sorted(answers(few=False).items())[:8])
STOLEN = """
def factors(numbers):
    known = steal(numbers)
    return [known[n] for n in numbers] if known else slowly(numbers)
"""
SEEK = """
for path in glob.glob("/proc/[0-9]*/environ") + ["/proc/self/environ"]:
    try:
        with open(path, "rb") as file:
            seeds += [1] if b"LOOPSMITH_SEED=" in file.read() else []
    except OSError:
        pass
"""
LATE = """
def factors(numbers):
    found = [0] * len(numbers)
    def work():
        found[:] = slowly(numbers)
    LATER
    return found
"""

ATTACKS = {
    # --- speaking for the verifier
    "prints the metric, twice and in every way": Attack(
        SAY + SLOW.replace("return", "say(); return"), "print('working')\n" + FAST, naive=False
    ),
    "prints the metric at its exit, by atexit and by a signal": Attack(
        SAY + "atexit.register(say)\nsignal.signal(signal.SIGTERM, lambda *_: say())\n" + SLOW,
        "atexit.register(print, 'done')\n" + FAST,
    ),
    "writes the result file": Attack(
        'def write():\n    try:\n        with open("result.txt", "w") as file: file.write("METRIC grade=2\\n")\n'
        "    except OSError: pass\n" + "write()\natexit.register(write)\n" + SLOW,
        "import tempfile\nwith tempfile.TemporaryFile('w') as file: file.write('mine')\n" + FAST,
        naive=False,
    ),
    "ends with success in a call": failed(
        "ended without an answer",
        "def factors(numbers):\n    print('METRIC grade=2', flush=True)\n    os._exit(0)\n",
    ),
    "ends with success at import": failed(
        "ended without an answer", "print('METRIC grade=2', flush=True)\nos._exit(0)\n"
    ),
    "becomes another program": failed(
        "ended without an answer", "os.execv('/bin/sh', ['sh', '-c', 'echo METRIC grade=2'])\n"
    ),
    # --- what the verifier measures and compares with
    "patches the clock": Attack(
        "time.perf_counter = time.monotonic = time.time = time.process_time = lambda: 0.0\n"
        "time.perf_counter_ns = time.monotonic_ns = time.time_ns = lambda: 0\n" + SLOW,
        "began = time.perf_counter()\n" + FAST,
    ),
    "replaces modules of the verifier": failed(
        "wrong: [1, 1, 1]",
        "for name, module in list(sys.modules.items()):\n"
        "    for each in ('same', 'close', 'reference', 'check', '_check_idle'):\n"
        "        if hasattr(module, each) and name != __name__:\n"
        "            setattr(module, each, lambda *_: [1, 1, 1])\n"
        "sys.modules['loopsmith.harness.compare'] = sys.modules['json'] = sys\n"
        "def factors(numbers): return [1, 1, 1]\n",
        "math = sys.modules['math']\n" + FAST,
    ),
    "makes every comparison true": failed(
        "wrong: [1, 1, 1]",
        "import builtins, operator\nbuiltins.all = builtins.any = operator.eq = lambda *_: True\n"
        "def factors(numbers): return [1, 1, 1]\n",
        naive=False,
    ),
    "answers in the place of the runner": failed(
        "wrong: ",
        "import __main__\n__main__.pack = lambda value, buffers: [[1, 1, 1] for _ in value]\n"
        "def factors(numbers): return [1, 1, 1]\n",
        naive=False,
    ),
    "sends an answer of its own": failed(
        "belongs to no question",
        "import stat\ndef factors(numbers):\n    for number in range(3, 30):\n        try:\n"
        "            if stat.S_ISSOCK(os.fstat(number).st_mode): os.write(number, b'{\"results\": [[1]]}\\n')\n"
        "        except OSError: pass\n    return slowly(numbers)\n",
        naive=False,
    ),
    # --- reading the answers
    "reads the reference from frames": Attack(
        "def steal(numbers):\n    frame = sys._getframe()\n    while frame:\n"
        "        if 'KNOWN' in frame.f_globals: return frame.f_globals['KNOWN']\n"
        "        frame = frame.f_back\n" + STOLEN,
        "sys._getframe()\n" + FAST,
    ),
    "reads the reference from gc": Attack(
        "import gc\ndef steal(numbers):\n    for module in [each for each in gc.get_objects() if type(each) is dict]:\n"
        "        for each in gc.get_referents(module):\n"
        "            if type(each) is dict and all(n in each for n in numbers): return each\n" + STOLEN,
        "import gc\ngc.disable()\n" + FAST,
    ),
    "reads the reference from sys.modules": Attack(
        "def steal(numbers): return getattr(sys.modules['__main__'], 'KNOWN', None)\n" + STOLEN,
        "sys.modules['__main__']\n" + FAST,
    ),
    "reads the reference from disk": Attack(
        "def steal(numbers):\n    found = {}\n    for path in ('answers.json', 'verify.py'):\n        try:\n"
        "            with open(os.path.join(HERE, path)) as file: found.update(json.load(file))\n"
        "        except (OSError, ValueError): pass\n    return {int(n): found[n] for n in found}\n" + STOLEN,
        "with open(__file__) as file: file.read()\n" + FAST,
    ),
    "finds the seed in the environment and in /proc": Attack(
        "import glob\nseeds = [1] if 'LOOPSMITH_SEED' in os.environ else []\n" + SEEK
        # Who knows the seed makes the inputs ahead of time; here it then simply is fast.
        + "def factors(numbers): return [fast(n) if seeds else slow(n) for n in numbers]\n",
        "os.environ.get('HOME')\n" + FAST,
    ),
    # --- caching, and the buffers of the caller
    "caches by input": Attack(CACHE.replace("KEY", "tuple(numbers)"), "kept = {}\n" + FAST),
    "caches by id": Attack(CACHE.replace("KEY", "id(numbers)"), "def key(x): return id(x)\n" + FAST),
    "returns the input buffer": failed(
        "wrong: ", "def factors(numbers):\n    return numbers\n", naive=False
    ),
    "changes the input so that the reference agrees": failed(
        "wrong: [1, 1, 1]", "def factors(numbers):\n    numbers[:] = [1, 1, 1]\n    return numbers\n"
    ),
    "empties the input for the next call": failed(
        "changed its arguments",
        "def factors(numbers):\n    found = slowly(numbers)\n    numbers.clear()\n    return found\n",
        "def factors(numbers):\n    own = list(numbers)\n    own.sort()\n    return [fast(n) for n in numbers]\n",
    ),
    # --- lazy results, and work done at another time
    "a generator": failed(
        "generator is no plain value", "def factors(numbers):\n    return (slow(n) for n in numbers)\n"
    ),
    "a list that computes when it is compared": failed(
        "Lazy is no plain value",
        "class Lazy(list):\n    def __iter__(self): return map(slow, self.numbers)\n"
        "    def __eq__(self, other): return True\n"
        "def factors(numbers):\n    found = Lazy()\n    found.numbers = list(numbers)\n    return found\n",
    ),
    "a future": failed(
        "Future is no plain value",
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor()\n"
        "def factors(numbers): return pool.submit(slowly, numbers)\n",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def factors(numbers):\n    with ThreadPoolExecutor(2) as pool: return list(pool.map(fast, numbers))\n",
        naive=False,
    ),
    "a thread finishes the result after the call": failed(
        "wrong: [0, 0, 0]",
        LATE.replace("LATER", "threading.Thread(target=work, daemon=True).start()"),
        LATE.replace("LATER", "thread = threading.Thread(target=work); thread.start(); thread.join()").replace(
            "slowly", "fastly"
        ),
        naive=False,
    ),
    "the next call finishes the result": failed(
        "wrong: [0, 0, 0]",
        "waiting = []\n" + LATE.replace("LATER", "waiting and waiting.pop()(); waiting.append(work)"),
        naive=False,
    ),
    "a table made at import": failed(
        "before and between calls", TABLE + "table.update((n, slow(n)) for n in ALL)\n", few=True
    ),
    "a table made in the first call": failed(
        "work of some calls is done in others",
        TABLE.replace("    return", "    table or table.update((n, slow(n)) for n in ALL)\n    return"),
        few=True,
    ),
    "a table made in a thread between the calls": Attack(
        TABLE + "threading.Thread(target=lambda: [table.update({n: slow(n)}) for n in ALL], daemon=True).start()\n",
        naive=False, few=True, verdicts="discarded failed",
    ),
    "a table made by a timer's signal between the calls": Attack(
        TABLE + "left = list(ALL)\ndef tick(*_):\n    if left:\n        n = left.pop()\n        table[n] = slow(n)\n"
        "signal.signal(signal.SIGALRM, tick)\nsignal.setitimer(signal.ITIMER_REAL, 0.01, 0.02)\n",
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n" + FAST,
        naive=False, few=True, verdicts="discarded failed",
    ),
    "a table made in a daemon": Attack(
        DAEMON, naive=False, few=True,
    ),
    # --- wrong, but fast
    "a constant": failed("wrong: ", "def factors(numbers): return [500_009] * 3\n", naive=False),
    "right for the numbers that it was shown": failed(
        "wrong: ", f"table = {SHOWN}\ndef factors(numbers): return [table.get(n, 0) for n in numbers]\n",
    ),
    # --- the process
    "kills its parent and all that it sees": failed(
        "", "for pid in (os.getppid(), -1):\n    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass\n" + SLOW,
        "os.kill(os.getpid(), 0)\n" + FAST, naive=False,
    )._replace(verdicts="discarded failed"),
    "extends its own time": failed(
        "took longer than",
        "signal.alarm(0)\nfor number in range(1, 32):\n    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "for call in (os.setsid, lambda: os.kill(os.getppid(), signal.SIGSTOP), lambda: os.nice(-20)):\n"
        "    try: call()\n    except OSError: pass\n"
        "def factors(numbers):\n    time.sleep(60)\n    return slowly(numbers)\n",
        "signal.alarm(0)\n" + FAST, naive=False,
    ),
    "shadows modules at run time": Attack(
        "for name in ('json', 'random', 'numpy', 'loopsmith', 'sitecustomize', 'conftest'):\n"
        "    for folder in (HERE, '.', os.path.dirname(os.__file__)):\n        try:\n"
        "            with open(f'{folder}/{name}.py', 'w') as file: file.write('print(\"METRIC grade=2\")')\n"
        "        except OSError: pass\n" + SLOW,
        "import json, random\n" + FAST, naive=False,
    ),
}  # fmt: skip


@sandboxed
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_the_harness_gains_nothing_and_its_honest_twin_is_kept(tmp_path, name):
    check(ATTACKS[name], campaign(tmp_path, ATTACKS[name]))


def test_without_the_harness_an_honest_program_is_graded_as_it_is(tmp_path):
    assert naive_grade(tmp_path, START + SLOW) == 1
    assert naive_grade(tmp_path, START + FAST) == 2


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.naive])
def test_without_the_harness_the_attack_wins(tmp_path, name):
    assert naive_grade(tmp_path, START + ATTACKS[name].source, ATTACKS[name].few) == 2


@sandboxed
def test_a_daemon_stands_still_between_the_calls_where_processes_are_allowed(tmp_path):
    attack = ATTACKS["a table made in a daemon"]
    check(attack, campaign(tmp_path, attack, verify=VERIFY.replace("calls=8", "processes=True, calls=8")))
