"""Protected files and linked inputs in a verification folder, against what programs do to them."""

import shutil
import subprocess

import pytest

from loopsmith.workspace import Protection, Repository, Sandbox, make_verification_folder, resolve_links, snapshot
from loopsmith.workspace.protection import plan

FOUND = Sandbox.detect("auto")
needs_sandbox = pytest.mark.skipif(not FOUND.available, reason=f"no sandbox here: {FOUND.reason}")


@pytest.fixture
def folder(source, state, tools, tmp_path):
    """Gives a function: source files and editable path to a protection and a shell in the folder."""

    def folder(files=None, editable="kernel.py", links=(), setup=False):
        tools.write(source, files or {})
        repo = Repository.open(state)
        commit = snapshot(repo, source, exclude=(), links=links, max_size=10**9)
        path = state / "work/1"
        make_verification_folder(repo, commit, path, source=source, links=links)
        protection = Protection(
            repo, commit, path, lambda name: name.startswith(editable), resolve_links(source, links)
        )
        sandbox = Sandbox.detect("auto", state=state, source=source, links=links)

        def shell(command, setup=False):
            argv = sandbox.wrap(
                ["/bin/sh", "-c", command],
                folder=path,
                writable=protection.pinned(),
                protect=protection.read_only(setup=setup),
                network=False,
            )
            done = subprocess.run(argv, cwd=path, capture_output=True, text=True, timeout=60)
            return done.returncode, done.stdout + done.stderr

        if sandbox.available:
            protection.mount_links()
        return protection, shell

    return folder


ATTACKS = [
    "echo x > verify.py",
    "echo x >> verify.py",
    ": > verify.py",
    "rm -f verify.py",
    "mv verify.py elsewhere",
    "echo x > new && mv -f new verify.py",
    "ln -sf /etc/passwd verify.py",
    "ln verify.py other && echo x > other",
    "chmod 777 verify.py",
    "mv lib other && mkdir lib && echo x > lib/help.py",
    "rm -rf lib",
    "mount --bind kernel.py verify.py",
    "umount verify.py",
    "unshare -Urm sh -c 'umount verify.py || mount -o remount,rw,bind verify.py' && echo x > verify.py",
]


@needs_sandbox
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_protected_file_cannot_be_written_renamed_or_replaced(folder, attack):
    protection, shell = folder()
    code, output = shell(attack)
    assert code != 0, output
    assert shell("cat verify.py lib/help.py")[1].startswith("print(")
    assert protection.changed() == ()


@needs_sandbox
def test_a_build_writes_beside_protected_files_and_changes_editable_ones(folder):
    makefile = "all: kernel.o lib/help.o\n%.o: %.py\n\tcp $< $@\n"
    protection, shell = folder({"Makefile": makefile})
    if shutil.which("make"):
        assert shell("make && test -f lib/help.o && make")[0] == 0
    assert shell("mkdir -p build/x && echo 1 > build/x/y && echo 2 > lib/new && echo SPEED = 9 > kernel.py")[0] == 0
    assert protection.changed() == ()


@needs_sandbox
def test_thousands_of_files_take_a_handful_of_mounts_and_are_protected(folder):
    many = {f"data/{index % 40}/{index}.txt": "x" for index in range(3000)}
    protection, shell = folder({**many, "src/kernel.c": "", "src/main.c": "keep"}, editable="src/kernel.c")
    assert len(protection.read_only()) + len(protection.pinned()) < 70
    for attack in ("echo x > data/3/3.txt", "mv data/3 data/x", "mv data d", "rm src/main.c", "mv src s"):
        assert shell(attack)[0] != 0, attack
    assert shell("echo o > src/kernel.o; echo o > new; cat data/3/3.txt") == (0, "x")
    assert "Read-only file system" in shell("echo x > data/3/new")[1]
    assert protection.changed() == ()


@needs_sandbox
def test_setup_may_build_in_every_folder_and_a_change_is_found_afterwards(folder):
    many = {f"data/{index}.txt": "x" for index in range(200)}
    protection, shell = folder(many)
    assert shell("echo x > data/made", setup=True)[0] == 0
    assert protection.changed() == ()
    assert shell("echo x > verify.py", setup=True)[0] != 0
    shell("echo y > data/3.txt", setup=True)
    assert protection.changed() == ("data/3.txt",)


@needs_sandbox
@pytest.mark.parametrize("attack", ["echo x > data/in.bin", "rm -rf data", "mv data d", "ln -sfn /etc data"])
def test_a_linked_input_is_read_only_and_keeps_its_place(folder, source, tools, attack):
    tools.write(source, {"data/in.bin": "input", "one.bin": "single"})
    protection, shell = folder(links=("data", "one.bin"))
    assert shell("cat data/in.bin one.bin") == (0, "inputsingle")
    assert shell(attack)[0] != 0
    assert shell("echo x > one.bin")[0] != 0
    assert (source / "data/in.bin").read_text() == "input"
    assert protection.changed() == ()


def test_without_a_sandbox_a_change_is_found(folder, tools, source):
    tools.write(source, {"data/in.bin": "input"})
    protection, _ = folder(links=("data",))
    path = protection.folder
    assert protection.changed() == ()
    (path / "verify.py").write_text("print('METRIC score=99')\n")
    (path / "lib/help.py").unlink()
    (path / "run.sh").chmod(0o644)
    (path / "kernel.py").write_text("free to change")
    (path / "new.py").write_text("free to add")
    (path / "data").unlink() if (path / "data").is_symlink() else (path / "data").rmdir()
    (path / "data").mkdir()
    (path / "data/in.bin").write_text("easier")
    assert protection.changed() == ("data", "lib/help.py", "run.sh", "verify.py")


def test_a_plan_pins_folders_from_the_top_and_closes_what_would_cost_too_much():
    assert plan(()).files == ()
    small = plan(("a", "lib/b", "lib/deep/c"))
    assert (small.files, small.pinned, small.closed) == (("a", "lib/b", "lib/deep/c"), ("lib", "lib/deep"), ())
    large = plan(("a", *(f"lib/{index}" for index in range(9)), "src/b"), most=8)
    assert (large.files, large.pinned, large.closed) == (("a", "src/b"), ("src",), ("lib",))
    assert plan(tuple(f"{index}" for index in range(9)), most=8).closed == ("",)
