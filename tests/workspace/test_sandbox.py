import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from loopsmith.errors import HarnessError
from loopsmith.workspace import Sandbox

FOUND = Sandbox.detect("auto")
needs_sandbox = pytest.mark.skipif(not FOUND.available, reason=f"no sandbox here: {FOUND.reason}")


@pytest.fixture
def sandbox(source, state):
    return Sandbox.detect("auto", state=state, source=source, links=["data"])


@pytest.fixture
def inside(sandbox, state, tools):
    """Run a shell command in a candidate's folder; gives exit code and output."""
    folder = tools.write(state / "work/7", {"own.txt": "mine\n"})

    def run(command, **settings):
        argv = sandbox.wrap(["/bin/sh", "-c", command], **{"folder": folder, "network": False, **settings})
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout + done.stderr

    return run


@needs_sandbox
def test_a_command_writes_its_own_folder_and_nothing_else(inside, state, source, tmp_path):
    assert inside("echo changed > own.txt; pwd")[1].strip() == str(state / "work/7")
    assert (state / "work/7/own.txt").read_text() == "changed\n"
    (tmp_path / "open").mkdir()
    inside(f"echo changed > {source}/kernel.py")
    for target in ("/etc/loopsmith-test", "/usr/loopsmith-test"):
        code, output = inside(f"echo changed > {target}")
        assert code != 0
        assert "Read-only file system" in output
    assert (source / "kernel.py").read_text().startswith("SPEED = 1")


@needs_sandbox
def test_loopsmiths_state_and_the_history_of_the_source_cannot_be_read(inside, state, source, tools):
    tools.git(source, "init", "-q")
    tools.write(state, {"tracker.db": "secret", "work/8/other.txt": "secret", "repository.git/HEAD": "secret"})
    sandbox = Sandbox.detect("required", state=state, source=source)
    argv = sandbox.wrap(
        ["/bin/sh", "-c", f"cat {state}/tracker.db {source}/.git/HEAD; find {state} {source}/.git; cat own.txt"],
        folder=state / "work/7",
        network=False,
    )
    done = subprocess.run(argv, capture_output=True, text=True)
    seen = {line for line in done.stdout.splitlines() if line.startswith("/")}
    assert seen == {
        f"{path}" for path in (state, state / "work", state / "work/7", state / "work/7/own.txt", source / ".git")
    }
    assert "secret" not in done.stdout
    assert done.stdout.endswith("mine\n")


@needs_sandbox
def test_the_history_of_a_source_in_a_subfolder_or_linked_work_tree_is_hidden(tmp_path, tools):
    main = tools.write(tmp_path / "main", {"sub/a.py": ""})
    tools.git(main, "init", "-q")
    tools.git(main, "add", ".")
    tools.git(main, "commit", "-qm", "first")
    tools.git(main, "worktree", "add", "-q", str(tmp_path / "linked"))
    (tmp_path / "folder").mkdir()
    for source in (main / "sub", tmp_path / "linked"):
        sandbox = Sandbox.detect("required", source=source)
        argv = sandbox.wrap(["/bin/cat", str(main / ".git/HEAD")], folder=tmp_path / "folder", network=False)
        assert subprocess.run(argv, capture_output=True).returncode == 1


@needs_sandbox
def test_the_source_is_hidden_but_for_linked_inputs_and_what_is_installed_in_it(source, state, tmp_path, tools):
    tools.write(tmp_path / "elsewhere", {"big.bin": "input\n"})
    (source / "data").symlink_to(tmp_path / "elsewhere")
    tools.write(source, {".venv/pyvenv.cfg": "", ".venv/tool": "installed\n"})
    folder = tools.write(state / "work/7", {"own.txt": ""})
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    sandbox = Sandbox.detect("required", state=state, source=source, links=["data"])
    command = f"cat data/big.bin {source}/.venv/tool; cat {source}/kernel.py; echo changed > data/big.bin"
    done = subprocess.run(
        sandbox.wrap(["/bin/sh", "-c", command], folder=folder, network=False), capture_output=True, text=True
    )
    assert done.stdout == "input\ninstalled\n"
    assert "Read-only file system" in done.stderr
    assert (tmp_path / "elsewhere/big.bin").read_text() == "input\n"


@needs_sandbox
def test_a_read_only_path_is_seen_inside_the_hidden_state(inside, state, tools):
    scratch = tools.write(state / "artifacts/7", {"output.log": "long\n"})
    code, output = inside(f"cat {scratch}/output.log; touch {scratch}/new", read_only=[scratch])
    assert output.startswith("long\n")
    assert code != 0
    assert inside(f"touch {scratch}/new", writable=[scratch])[0] == 0
    assert "long" not in inside(f"cat {scratch}/output.log", writable=[scratch], hide=[scratch / "output.log"])[1]


@needs_sandbox
def test_a_state_folder_behind_a_link_is_hidden_all_the_same(source, state, tmp_path, tools):
    tools.write(state, {"tracker.db": "secret", "work/7/own.txt": "mine\n", "artifacts/7/log": "log\n"})
    (tmp_path / "link").symlink_to(source)
    linked = tmp_path / "link/.loopsmith"
    argv = Sandbox.detect("required", state=linked, source=tmp_path / "link").wrap(
        ["/bin/sh", "-c", f"cat own.txt {state}/artifacts/7/log {state}/tracker.db"],
        folder=linked / "work/7",
        read_only=[linked / "artifacts/7"],
        network=False,
    )
    assert subprocess.run(argv, capture_output=True, text=True).stdout == "mine\nlog\n"


@needs_sandbox
def test_tmp_is_private_unless_a_folder_is_given_for_it(inside, tmp_path):
    note = f"/tmp/note-{os.getpid()}"
    assert inside(f"echo x > {note}; ls {note}; echo $TMPDIR; ls /run")[1].split() == [note, "/tmp"]
    assert inside(f"cat {note}")[0] != 0
    (tmp_path / "shared").mkdir()
    inside(f"echo x > {note}", tmp=tmp_path / "shared")
    assert inside(f"cat {note}", tmp=tmp_path / "shared") == (0, "x\n")
    assert not Path(note).exists()


@needs_sandbox
def test_there_is_no_network_unless_it_is_allowed(inside):
    assert inside("cat /proc/net/dev | tail -n +3 | wc -l")[1].strip() == "1"  # the loopback alone
    assert os.readlink("/proc/self/ns/net") != inside("readlink /proc/self/ns/net")[1].strip()
    assert os.readlink("/proc/self/ns/net") == inside("readlink /proc/self/ns/net", network=True)[1].strip()


@needs_sandbox
def test_no_other_process_can_be_seen(inside):
    with subprocess.Popen(["sleep", "4321"]) as other:
        _code, output = inside("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        other.kill()
    assert "cat /proc/" in output
    assert "sleep 4321" not in output


@needs_sandbox
def test_a_command_has_no_capabilities_and_cannot_undo_the_sandbox(inside, state, tools):
    tools.write(state, {"tracker.db": "secret"})
    assert "CapEff:\t0000000000000000" in inside("grep CapEff /proc/self/status")[1]
    _code, output = inside(f"unshare -Urm sh -c 'umount {state}; mount -o remount,rw /; cat {state}/tracker.db'")
    assert "secret" not in output


@needs_sandbox
def test_the_exit_code_comes_through_and_a_signal_as_from_a_shell(inside):
    assert inside("exit 7")[0] == 7
    assert inside("kill -SEGV $$")[0] == 128 + 11


@needs_sandbox
def test_what_a_command_leaves_running_dies_with_it(inside, state):
    inside("(setsid sh -c 'sleep 1; touch late' &) ; exit 0")
    subprocess.run(["sleep", "1.3"])
    assert not (state / "work/7/late").exists()


@needs_sandbox
def test_another_user_can_make_a_sandbox_too(tmp_path, tools):
    if os.getuid() != 0:
        pytest.skip("only root can become another user; the other tests show this one")
    folder = tools.write(Path(tempfile.mkdtemp(prefix="loopsmith-test-", dir="/var/tmp")), {"own.txt": "mine\n"})
    try:
        folder.chmod(0o777)
        theirs = replace(FOUND, read_only=())  # root's interpreter may lie where they cannot look
        argv = theirs.wrap(["/bin/sh", "-c", "cat own.txt; touch made; id -u"], folder=folder, network=False)
        done = subprocess.run(argv, user=65534, group=65534, extra_groups=(), capture_output=True, text=True)
        if "No permissions to create" in done.stderr:
            pytest.skip("user namespaces are for root alone here")
        assert done.stdout == "mine\n65534\n", done.stderr
        assert (folder / "made").exists()
    finally:
        shutil.rmtree(folder)


@needs_sandbox
def test_the_interpreter_works_where_it_lives_in_a_private_place(source, state, tmp_path, tools, monkeypatch):
    program = tools.write(
        tmp_path / "env", {"bin/tool": "#!/bin/sh\ncat $(dirname $0)/../lib/text\n", "lib/text": "works\n"}
    )
    (program / "bin/tool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{program / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "folder").mkdir()
    argv = Sandbox.detect("required").wrap(["tool"], folder=tmp_path / "folder", network=False)
    assert subprocess.run(argv, capture_output=True, text=True).stdout == "works\n"


def without_bwrap(monkeypatch, tmp_path, script=None):
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        (tmp_path / "bwrap").write_text(script)
        (tmp_path / "bwrap").chmod(0o755)


def test_without_bubblewrap_it_says_what_is_not_protected(monkeypatch, tmp_path):
    without_bwrap(monkeypatch, tmp_path)
    found = Sandbox.detect("auto")
    assert not found.available
    assert found.reason == "bubblewrap (bwrap) is not installed"
    assert any("protected files can be changed" in missing for missing in found.missing)


def test_without_any_sandbox_a_command_runs_as_it_is_and_everything_is_said_to_be_missing(monkeypatch, tmp_path):
    without_bwrap(monkeypatch, tmp_path)
    monkeypatch.setattr("loopsmith.workspace.sandbox.detect_landlock", lambda: None)  # a kernel without it
    found = Sandbox.detect("auto")
    assert found.kind == "none"
    assert any("network" in missing for missing in found.missing)
    assert found.wrap(["true"], folder=tmp_path, network=False) == ["true"]


def test_a_required_sandbox_that_is_missing_says_how_to_install_it(monkeypatch, tmp_path):
    without_bwrap(monkeypatch, tmp_path)
    with pytest.raises(HarnessError, match=r"not installed; install it \(apt install bubblewrap"):
        Sandbox.detect("required")


def test_a_bubblewrap_that_does_not_work_is_not_trusted(monkeypatch, tmp_path):
    without_bwrap(
        monkeypatch, tmp_path, "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"
    )
    assert Sandbox.detect("auto").reason.endswith(
        "cannot make a sandbox here: bwrap: No permissions to create new namespace"
    )
    without_bwrap(monkeypatch, tmp_path, "#!/bin/sh\nexit 0\n")  # says yes and runs nothing
    assert not Sandbox.detect("auto").available


def hide_bwrap(patch):
    real = shutil.which
    patch.setattr(shutil, "which", lambda name: None if name == "bwrap" else real(name))


FORBIDDEN = {
    "no namespaces": "bwrap: No permissions to create new namespace, likely because the kernel does not allow "
    "non-privileged user namespaces.",
    "AppArmor": "bwrap: setting up uid map: Permission denied",
    "a container": "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
}


@pytest.mark.parametrize("said", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_bubblewrap_that_the_kernel_forbids_is_named_and_what_remains_protects(monkeypatch, tmp_path, said):
    folder, other = tmp_path / "folder", tmp_path / "other"
    for path in (folder, other):
        path.mkdir()
    with monkeypatch.context() as patch:
        without_bwrap(patch, tmp_path, f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
        found = Sandbox.detect("auto")
        with pytest.raises(HarnessError, match="where user namespaces are allowed"):
            Sandbox.detect("required")
    assert found.reason.endswith(said)
    assert not found.available
    assert found.missing
    if found.kind != "landlock":
        pytest.skip("the kernel has no Landlock")
    argv = found.wrap(["/bin/sh", "-c", f"echo x > mine; echo x > {other}/theirs"], folder=folder, network=False)
    assert subprocess.run(argv, capture_output=True).returncode != 0
    assert (folder / "mine").exists()
    assert not (other / "theirs").exists()


def test_off_is_off_even_where_a_sandbox_could_be_made():
    found = Sandbox.detect("off")
    assert not found.available
    assert found.missing


@pytest.fixture
def home(tmp_path, monkeypatch, tools):
    """A home with a key, a history, and an interpreter that PATH leads to by a link."""
    home = tools.write(
        tmp_path / "home/me",
        {
            ".ssh/id_ed25519": "secret",
            ".local/share/keyrings/login": "secret",
            ".cargo/credentials.toml": "secret",
            ".cargo/bin/tool": "#!/bin/sh\necho tool\n",
            ".local/bin/other": "#!/bin/sh\necho other\n",
            ".conda/envs/x/lib/text": "works\n",
            ".conda/envs/x/bin/python3.99": "#!/bin/sh\ncat $(dirname $(readlink -f $0))/../lib/text\n",
            "cache/model": "weights\n",
        },
    )
    for program in (".cargo/bin/tool", ".local/bin/other", ".conda/envs/x/bin/python3.99"):
        (home / program).chmod(0o755)
    (home / "venv/bin").mkdir(parents=True)
    (home / "venv/bin/python3").symlink_to(home / ".conda/envs/x/bin/python3.99")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, (home / "venv/bin", home / ".cargo/bin", home / ".local/bin"))))
    monkeypatch.setenv("PATH", os.environ["PATH"] + ":/usr/bin:/bin")
    return home


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
def test_a_home_folder_is_hidden_but_for_the_programs_in_it(home, tmp_path, monkeypatch, kind):
    # As a person's home, which lies in no place that is private anyway.
    for module in ("visible", "sandbox"):
        monkeypatch.setattr(f"loopsmith.workspace.{module}.PRIVATE", (Path("/run"), Path("/nonexistent")))
    (tmp_path / "work").mkdir()
    with monkeypatch.context() as patch:
        if kind == "landlock":
            hide_bwrap(patch)
        found = Sandbox.detect("auto", read=[home / "cache"])
    if found.kind != kind:
        pytest.skip(f"no {kind} here: {found.reason}")

    def output(command):
        argv = found.wrap(["/bin/sh", "-c", command], folder=tmp_path / "work", network=False)
        return subprocess.run(argv, capture_output=True, text=True).stdout

    assert output("python3; tool; other") == "works\ntool\nother\n"
    assert output(f"cat {home}/cache/model") == "weights\n"
    assert output("cat ~/.ssh/id_ed25519 ~/.local/share/keyrings/login ~/.cargo/credentials.toml; ls ~/.ssh") == ""
    assert output("echo x > ~/.cargo/bin/tool || echo refused") == "refused\n"


@needs_sandbox
def test_accelerators_are_seen_only_where_the_workflow_asks_for_them(monkeypatch, tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    real = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, name: real(tmp_path / "dev" if self == Path("/dev") else self, name))
    assert Sandbox.detect("required").devices == ()
    assert Sandbox.detect("required", gpu=True).devices == (str(tmp_path / "dev/nvidia0"),)
    (tmp_path / "folder").mkdir()
    argv = Sandbox.detect("required").wrap(["ls", "/dev"], folder=tmp_path / "folder", network=False)
    seen = set(subprocess.run(argv, capture_output=True, text=True).stdout.split())
    assert {"null", "urandom"} <= seen
    assert not {name for name in seen if name.startswith(("nvidia", "dri", "kfd", "sd", "vd", "kvm"))}


@pytest.fixture
def landlock(monkeypatch, tmp_path, state, source, tools):
    """Run a shell command behind Landlock; gives its output."""
    tools.write(state, {"tracker.db": "secret"})
    folder = tools.write(state / "work/7", {"own.txt": "mine\n"})
    with monkeypatch.context() as patch:
        hide_bwrap(patch)
        found = Sandbox.detect("auto", state=state, source=source)
    if found.kind != "landlock":
        pytest.skip(f"the kernel has no Landlock: {found.reason}")

    def run(command, **settings):
        argv = found.wrap(["/bin/sh", "-c", command], **{"folder": folder, "network": False, **settings})
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    run.found, run.folder = found, folder
    return run


def test_landlock_keeps_writes_in_the_folder_and_hides_the_state(landlock, source, state):
    assert landlock("cat own.txt; echo x > new; cat new") == "mine\nx\n"
    for attack in (
        f"cat {state}/tracker.db",
        f"cat {source}/kernel.py",
        f"echo x > {source}/kernel.py",
        "echo x > /etc/x",
        "ls /tmp /dev/shm/..",
    ):
        assert "denied" in landlock(attack), attack
    assert "secret" not in landlock(f"ln {state}/tracker.db t; cat t; cp -r {state} all; cat all/*")


def test_landlock_keeps_the_environment_of_loopsmith_and_its_processes_out_of_reach(landlock, monkeypatch):
    own = os.getpid()
    assert "denied" in landlock(f"cat /proc/{own}/environ")
    with subprocess.Popen(["sleep", "60"]) as other:
        said = landlock(f"kill {other.pid}; echo done")
        alive = other.poll() is None
        other.kill()
    if landlock.found.landlock.version >= 6:
        assert alive
        assert "not permitted" in said


def test_landlock_gives_no_network_where_it_says_so_and_no_privilege(landlock):
    if landlock.found.landlock.network:
        assert landlock("tail -n +3 /proc/net/dev | wc -l").strip() == "1"
        assert os.readlink("/proc/self/ns/net") == landlock("readlink /proc/self/ns/net", network=True).strip()
    assert "CapEff:\t0000000000000000" in landlock("grep CapEff /proc/self/status")
    assert "NoNewPrivs:\t1" in landlock("grep NoNewPrivs /proc/self/status")


def test_landlock_lets_compilers_and_interpreters_work(landlock):
    made = landlock("python3 -c 'import tempfile, multiprocessing as m; print(m.Lock() and tempfile.mkdtemp())'")
    assert Path(made.strip()).parent == landlock.folder
    if shutil.which("cc"):
        assert landlock("echo 'int main(){return 7;}' > a.c; cc a.c -o a && ./a; echo $?") == "7\n"


def test_a_confinement_that_cannot_be_had_runs_nothing(landlock):
    argv = landlock.found.wrap(["/bin/sh", "-c", "echo ran"], folder=landlock.folder / "gone", network=False)
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 125
    assert done.stdout == ""
    assert "cannot confine the command" in done.stderr
