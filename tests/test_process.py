"""Real processes throughout. A process is looked for by a word that only its own command line holds."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import psutil
import pytest

from loopsmith.errors import HarnessError
from loopsmith.process import clean_environment, run, sweep, tail
from loopsmith.process.output import CappedLog

DAEMON = """
import os, sys, time
if os.fork():
    os._exit(0) if len(sys.argv) < 3 else time.sleep(float(sys.argv[2]))
    sys.exit()
os.setsid()
if os.fork():
    os._exit(0)
if "wipe" in sys.argv[1]:
    os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", sys.argv[1]], {})
open(sys.argv[1] + ".up", "w").close()
time.sleep(60)
"""


@pytest.fixture
def word():
    return f"word-{uuid.uuid4().hex}"


@pytest.fixture
def call(tmp_path):
    """Run a shell command, or an argv, in the tmp folder."""

    async def call(command, **options):
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        options = {"timeout": 20, "env": clean_environment({}), "mark": "test:", "log": tmp_path / "log", **options}
        return await run(argv, cwd=tmp_path, **options)

    return call


def code_of(pid):
    """What `python -c` was given; nothing of a process that ended meanwhile."""
    try:
        return "".join(psutil.Process(pid).cmdline()[2:3])
    except psutil.Error:
        return ""


def alive(word):
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if word in " ".join(process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


async def until(condition):
    """Wait for something that comes, without a claim on how fast."""
    for _ in range(2000):
        if result := condition():
            return result
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


def test_output_exit_code_and_input_are_those_of_the_command(call, tmp_path):
    done = asyncio.run(call("cat; echo problem >&2; exit 7", stdin=b"from stdin\n"))
    assert (done.exit_code, done.signal, done.ok, done.timed_out) == (7, None, False, False)
    assert (tmp_path / "log").read_text() == "from stdin\nproblem\n"
    assert done.output_bytes == 19


def test_without_input_the_command_reads_an_empty_one(call):
    assert asyncio.run(call("cat")).ok


def test_a_signal_is_told_apart_from_an_exit_code(call):
    done = asyncio.run(call("kill -SEGV $$"))
    assert (done.exit_code, done.signal) == (None, signal.SIGSEGV)


def test_a_command_that_the_shell_does_not_know_is_its_own_failure(call, tmp_path):
    assert asyncio.run(call("no-such-command")).exit_code == 127
    assert "no-such-command" in tail(tmp_path / "log")


@pytest.mark.parametrize("argument", ["x" * 300_000, "a\0b"])
def test_arguments_that_cannot_be_passed_are_the_commands_failure(call, tmp_path, argument):
    assert asyncio.run(call(f"echo {argument}")).exit_code == 126
    assert "cannot run the command" in tail(tmp_path / "log")


@pytest.mark.parametrize("argv", [["/no/such/program"], ["/etc/passwd"]])
def test_a_program_that_cannot_be_started_is_a_harness_failure(call, argv):
    with pytest.raises(HarnessError, match=f"cannot run {argv[0]}"):
        asyncio.run(call(argv))


def test_a_folder_that_is_missing_is_a_harness_failure(tmp_path):
    with pytest.raises(HarnessError, match="cannot run true"):
        asyncio.run(run(["true"], cwd=tmp_path / "no", env={}, timeout=5, log=tmp_path / "log", mark="test:"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_a_harness_failure_and_ends_the_command(call, word):
    with pytest.raises(HarnessError, match="No space left"):
        asyncio.run(call(f"yes; : {word}", log=Path("/dev/full")))
    assert not alive(word)


def test_a_daemon_of_double_fork_and_setsid_is_gone_afterwards(call, tmp_path, word):
    done = asyncio.run(call(f"{sys.executable} -c '{DAEMON}' {tmp_path / word}; sleep 0.5"))
    assert done.exit_code == 0
    assert done.leftovers == 1
    assert not alive(word)


def test_a_daemon_that_dropped_its_environment_is_gone_afterwards(call, tmp_path, word):
    asyncio.run(call([sys.executable, "-c", DAEMON, str(tmp_path / f"wipe-{word}"), "1.0"]))
    assert not alive(word)


def test_daemons_are_ended_with_their_own_command_and_not_before(call, tmp_path, word):
    other = f"word-{uuid.uuid4().hex}"

    async def both():
        go_on = tmp_path / "go-on"
        script = f"{sys.executable} -c '{DAEMON}' {tmp_path / word}; while ! [ -e {go_on} ]; do sleep 0.02; done"
        slow = asyncio.create_task(call(script, log=tmp_path / "slow"))
        await until((tmp_path / f"{word}.up").exists)
        for _ in range(10):  # it ends while its daemon is being made
            assert (await call([sys.executable, "-S", "-c", DAEMON, str(tmp_path / other)])).leftovers >= 1
        assert not alive(other)
        assert alive(word)
        assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
        go_on.touch()
        await slow

    asyncio.run(both())
    assert not alive(word)


def test_a_daemon_without_environment_waits_for_the_last_command_that_may_have_started_it(call, tmp_path, word):
    async def both():
        go_on = tmp_path / "go-on"
        script = f"{sys.executable} -c '{DAEMON}' {tmp_path}/wipe-{word}; while ! [ -e {go_on} ]; do sleep 0.02; done"
        slow = asyncio.create_task(call(script, log=tmp_path / "slow"))
        await until(lambda: [pid for pid in alive(word) if "time.sleep(60)" in code_of(pid)])
        await call("true")
        assert alive(word)
        go_on.touch()
        await slow

    asyncio.run(both())
    assert not alive(word)


def test_children_of_other_parts_of_the_program_are_left_alone(call):
    other = subprocess.Popen(["sleep", "60"])
    try:
        asyncio.run(call("sleep 60 & true"))
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_background_child_that_holds_the_pipe_does_not_make_us_wait(call, tmp_path, word):
    done = asyncio.run(call(f"sh -c 'sleep 60; : {word}' & echo done", timeout=30))
    assert not done.timed_out
    assert done.leftovers >= 1
    assert (tmp_path / "log").read_text() == "done\n"
    assert not alive(word)


def test_everything_printed_before_the_end_is_in_the_log(call, tmp_path):
    asyncio.run(call(f"{sys.executable} -c \"print('x' * 60000)\" ; exec echo last"))
    assert (tmp_path / "log").read_bytes() == b"x" * 60000 + b"\nlast\n"


def test_a_timeout_gives_time_to_clean_up_and_then_ends_the_command(call, tmp_path, word):
    done = asyncio.run(call(f"trap 'echo bye; exit 3' TERM; echo up; while :; do :; done # {word}", timeout=1))
    assert done.timed_out
    assert not done.ok
    assert tail(tmp_path / "log") == "up\nbye"
    assert not alive(word)


def test_a_timeout_ends_a_command_that_ignores_sigterm_with_its_children(call, word):
    script = f"trap '' TERM; sh -c 'sleep 60; : {word}' & while :; do sleep 0.05; done # {word}"
    done = asyncio.run(call(script, timeout=0.3))
    assert done.timed_out
    assert done.signal == signal.SIGKILL
    assert not alive(word)


def test_a_stopped_command_is_ended_too(call, word):
    assert asyncio.run(call(f"kill -STOP $$; : {word}", timeout=0.2)).signal == signal.SIGKILL
    assert not alive(word)


def test_cancelling_the_task_ends_the_command_and_its_daemons(call, tmp_path, word):
    async def cancelled():
        task = asyncio.create_task(call(f"{sys.executable} -c '{DAEMON}' {tmp_path / word}; sleep 60; : {word}"))
        await until((tmp_path / f"{word}.up").exists)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # a second one must not break the clean-up off
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not alive(word)

    asyncio.run(cancelled())


def test_what_a_command_leaves_as_it_is_killed_is_found_too(call, tmp_path, word):
    async def cancelled(number):
        task = asyncio.create_task(
            call(f"setsid sh -c 'sleep 60; : {word}' & touch {word}.{number}; sleep 60; : {word}")
        )
        await until((tmp_path / f"{word}.{number}").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return alive(word)

    async def often():
        return [await cancelled(number) for number in range(30)]

    assert not any(asyncio.run(often()))


def test_a_flood_of_output_stays_bounded_on_disk_and_in_memory(call, tmp_path):
    size, limit = 200_000_000, 10_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = asyncio.run(call(f"echo first; yes 0123456789 | head -c {size}; echo; echo last", log_limit=limit))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    log = (tmp_path / "log").read_bytes()
    assert done.output_bytes == size + 12
    assert limit * 0.9 < len(log) <= limit
    assert grown < 20_000
    assert log.startswith(b"first\n")
    assert log.endswith(b"\nlast\n")
    assert set(log.splitlines()[1:-2]) - {b"0123456789"} == {
        b"[loopsmith: %d bytes left out here]" % (size + 12 - len(log) + len(gap_of(log)) + 1)
    }


def gap_of(log):
    return next(line for line in log.splitlines() if line.startswith(b"[loopsmith: "))


@pytest.mark.parametrize("limit", [1000, 1999, 5000, 300_000])
def test_a_cut_log_holds_no_half_line(tmp_path, limit):
    lines = [b"METRIC x=%d.%s\n" % (number, b"25" * (number % 50)) for number in range(20_000)]
    with CappedLog(tmp_path / "log", limit) as log:
        for start in range(0, len(lines), 7):
            log.write(b"".join(lines[start : start + 7]))
    text = (tmp_path / "log").read_bytes()
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith(b"[loopsmith: ")]
    assert len(text) <= limit
    assert set(kept) <= set(lines)
    assert kept[0] == lines[0]
    assert kept[-1] == lines[-1]


def test_output_up_to_the_limit_is_kept_whole(tmp_path):
    for size in (499, 500, 501, 999, 1000):
        with CappedLog(tmp_path / "log", 1000) as log:
            log.write(b"x" * size)
        assert (tmp_path / "log").read_bytes() == b"x" * size


def test_an_endless_line_is_kept_in_part(call, tmp_path):
    asyncio.run(call("head -c 3000000 /dev/zero", log_limit=1_000_000))
    log = (tmp_path / "log").read_bytes()
    assert 900_000 < len(log) <= 1_000_000
    assert b"\n[loopsmith: " in log


def test_binary_output_is_kept_and_shown_without_control_characters(call, tmp_path):
    data = bytes(range(256)) * 10
    asyncio.run(call("cat", stdin=data))
    assert (tmp_path / "log").read_bytes() == data
    assert all(c.isprintable() or c in "\n\t\xa0\xad" for c in tail(tmp_path / "log"))


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"\x1b[31mred\x1b[0m\n", "red"),
        (b"10%\r20%\r\nend", "10%\n20%\nend"),
        (b"\x1b]0;title\x07body", "body"),
        ("evil \u202e text\u200b".encode(), "evil  text"),
        (b"a\tb\x00\x07\n", "a\tb"),
        ("größer €".encode(), "größer €"),
    ],
)
def test_a_tail_is_plain_text(tmp_path, printed, shown):
    (tmp_path / "log").write_bytes(printed)
    assert tail(tmp_path / "log") == shown


def test_a_tail_is_the_end_and_empty_without_a_log(tmp_path):
    (tmp_path / "log").write_text("x" * 10_000 + "end")
    assert tail(tmp_path / "log", 5) == "xxend"
    assert tail(tmp_path / "none") == ""


def test_fifty_commands_run_at_once_without_a_thread_for_each(call, tmp_path):
    async def fifty():
        go_on = tmp_path / "go-on"
        script = f"echo x > {tmp_path}/up.$N; while ! [ -e {go_on} ]; do sleep 0.05; done; echo $N"
        tasks = [
            asyncio.create_task(call(script, log=tmp_path / f"log{n}", env=clean_environment({"N": str(n)})))
            for n in range(50)
        ]
        await until(lambda: len(list(tmp_path.glob("up.*"))) == 50)
        during = threading.active_count()
        go_on.touch()
        return during, await asyncio.gather(*tasks)

    before = threading.active_count()
    during, done = asyncio.run(fifty())
    assert during == before
    assert all(result.ok for result in done)
    assert [int((tmp_path / f"log{n}").read_text()) for n in range(50)] == list(range(50))


def test_no_file_descriptor_and_no_zombie_is_left(call, tmp_path):
    def state():
        return psutil.Process().num_fds(), len(psutil.Process().children())

    async def many():
        await call("true")
        before = state()
        for _ in range(20):
            await call("sleep 60 & true")
            with pytest.raises(HarnessError):
                await call(["/no/such/program"])
            await call("sleep 5", timeout=0.01)
        assert state() == before

    asyncio.run(many())


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no CPU affinity here")
def test_a_command_runs_on_the_cores_that_it_is_given_and_we_keep_ours(call, tmp_path):
    ours = os.sched_getaffinity(0)
    core = max(ours)
    script = "import os; print(sorted(os.sched_getaffinity(0)))"
    asyncio.run(call([sys.executable, "-c", script], cores=[core]))
    assert tail(tmp_path / "log") == f"[{core}]"
    assert os.sched_getaffinity(0) == ours


def test_without_pidfd_the_end_is_noticed_too(call, monkeypatch, word):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert asyncio.run(call(f"sleep 0.1; sh -c 'sleep 60; : {word}' & exit 4")).exit_code == 4
    assert not alive(word)


def test_a_program_gets_no_key_and_no_other_variable_that_was_not_allowed(call, tmp_path, monkeypatch):
    secrets = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HTTPS_PROXY", "FOO")
    for name in secrets:
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("LC_TIME", "C")
    asyncio.run(call("env", env=clean_environment({"LOOPSMITH_SEED": "7"}, keep=["FOO"])))
    given = dict(line.split("=", 1) for line in (tmp_path / "log").read_text().splitlines())
    assert not set(secrets[:-1]) & set(given)
    assert given["FOO"] == "s3cret"
    assert (given["OMP_NUM_THREADS"], given["LC_TIME"], given["TERM"]) == ("3", "C", "dumb")
    assert (given["LOOPSMITH_SEED"], given["PYTHONDONTWRITEBYTECODE"]) == ("7", "1")
    assert given["LOOPSMITH_MARK"].startswith("test:")


def test_python_is_found_where_the_path_has_none(call, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    env = clean_environment({})
    assert asyncio.run(call(["/bin/sh", "-c", f"{os.path.basename(sys.executable)} -c 'print(1)'"], env=env)).ok


KILLED = """
import asyncio, os, sys
from pathlib import Path
from loopsmith.process import clean_environment, run
folder, word, daemon = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
script = f"{sys.executable} -c '{daemon}' {folder / word} & sleep 60; : {word}"
asyncio.run(run(["sh", "-c", script], cwd=folder, env=clean_environment({}), timeout=None, log=folder / "log",
                mark=sys.argv[4]))
"""


def test_what_a_killed_loopsmith_left_is_swept_and_nothing_else(tmp_path, word):
    mark = f"{uuid.uuid4().hex}:"
    other = subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "LOOPSMITH_MARK": f"x{mark}"})
    loopsmith = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), word, DAEMON, mark])
    try:
        asyncio.run(until((tmp_path / f"{word}.up").exists))
        loopsmith.send_signal(signal.SIGKILL)
        loopsmith.wait()
        assert len(alive(word)) >= 2
        assert sweep(mark) >= 2
        assert not alive(word)
        assert sweep(mark) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_sweep_spares_the_commands_that_run_now(call, tmp_path):
    async def both():
        task = asyncio.create_task(call(f"touch {tmp_path}/up; sleep 0.3; exit 5", mark="sweep-test:"))
        await until((tmp_path / "up").exists)
        assert sweep("sweep-test:") == 0
        assert (await task).exit_code == 5

    asyncio.run(both())


def test_an_empty_prefix_does_not_sweep_the_machine():
    with pytest.raises(ValueError, match="every loopsmith"):
        sweep("")
