import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loopsmith.errors import WorkflowError
from loopsmith.workspace import Repository, snapshot, source_files


def files(repo, source, **settings):
    return list(repo.files(snapshot(repo, source, **{"max_size": 10**9, **settings})))


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in (folder, *folder.rglob("*"))
        if ".loopsmith" not in path.parts and path != folder
    }


def test_a_folder_without_git_is_taken_with_its_ignore_rules(repo, source, tools):
    tools.write(source, {"a.o": "", "build/out": "", "lib/.gitignore": "*.tmp\n!keep.tmp\n/help.o\n"})
    tools.write(source, {"lib/a.tmp": "", "lib/keep.tmp": "", "lib/build/x": "", "b.tmp": ""})
    expected = [
        ".gitignore",
        "b.tmp",
        "kernel.py",
        "lib/.gitignore",
        "lib/help.py",
        "lib/keep.tmp",
        "run.sh",
        "verify.py",
    ]
    assert files(repo, source) == expected


def test_a_git_repository_gives_what_git_would_list(repo, source, tools):
    tools.git(source, "init", "-q")
    tools.write(source, {"forced.o": "tracked though ignored", "build/in": "also", "build/deep/in": "also"})
    tools.git(source, "add", "-f", "forced.o", "build/in", "build/deep/in", "kernel.py")
    tools.write(
        source,
        {
            ".gitignore": "*.o\nbuild/\n/top\n!x/keep.o\ndoc/*.txt\n**/deep/none\nspace\\ \nfoo/**/bar\n# no\n\\#yes\n",
            "x/.gitignore": "!*.o\nother\n",
            **dict.fromkeys(("x/keep.o", "x/a.o", "x/other", "y/other", "top/a", "x/top", "doc/a.txt"), "text"),
            **dict.fromkeys(
                ("x/doc/a.txt", "a/deep/none/x", "space ", "foo/1/2/bar", "foo/baz", "#yes", "build/new"), ""
            ),
        },
    )
    tools.write(source, {".git/info/exclude": "private/\n", "private/x": "", "lib/changed": "not committed"})
    (source / "verify.py").unlink()
    listed = tools.git(source, "ls-files", "-z", "-co", "--exclude-standard").split("\0")
    expected = {path for path in listed if path and not path.startswith(".loopsmith/")}
    assert set(files(repo, source)) == expected


def test_a_folder_inside_a_git_repository_follows_the_rules_above_it(repo, source, tools, tmp_path):
    tools.git(tmp_path, "init", "-q")
    tools.write(
        tmp_path, {".gitignore": "secret*\n/source/only_here\n", "source/secret.txt": "", "source/only_here": ""}
    )
    tools.git(tmp_path, "add", "source/kernel.py")
    assert not {"secret.txt", "only_here"} & set(files(repo, source))
    assert "kernel.py" in files(repo, source)


def test_a_folder_that_the_repository_around_it_ignores_is_taken_by_itself(repo, source, tools, tmp_path):
    tools.git(tmp_path, "init", "-q")
    tools.write(tmp_path, {".gitignore": "source/\n"})
    assert "kernel.py" in files(repo, source)


def test_uncommitted_changes_are_in_and_the_source_is_not_written_to(repo, source, tools):
    tools.git(source, "init", "-q")
    tools.git(source, "add", "kernel.py")
    tools.git(source, "commit", "-q", "-m", "first")
    (source / "kernel.py").write_text("SPEED = 3\n")
    before = state_of(source)
    assert repo.read(snapshot(repo, source, max_size=10**9), "kernel.py") == b"SPEED = 3\n"
    assert state_of(source) == before


def test_symbolic_links_stay_links_and_are_not_followed(repo, source, tmp_path):
    (source / "inside").symlink_to("lib")
    (source / "outside").symlink_to("/etc")
    commit = snapshot(repo, source, max_size=10**9)
    assert repo.read(commit, "outside") == b"/etc"
    repo.checkout(commit, tmp_path / "out")
    assert os.readlink(tmp_path / "out/inside") == "lib"


def test_excluded_and_linked_paths_stay_out(repo, source, tools):
    tools.write(source, {"data/big": "", "deep/models/m": "", "deep/x": "", "notes.md": ""})
    found = files(repo, source, exclude=["*.md", "lib/"], links=["data/", "./deep/models"])
    assert found == [".gitignore", "deep/x", "kernel.py", "run.sh", "verify.py"]


def test_nested_repositories_give_their_files_but_never_their_git(repo, source, tools):
    tools.write(
        source, {"vendor/a.py": "", "vendor/.git/config": "", "sub/.git": "gitdir: elsewhere\n", "sub/b.py": ""}
    )
    found = files(repo, source)
    assert {"vendor/a.py", "sub/b.py"} <= set(found)
    assert not [path for path in found if ".git/" in path or path.endswith(".git")]


def test_loopsmiths_own_folder_is_never_taken_whatever_its_name(source, tools):
    elsewhere = Repository.open(source / "lib/state")
    found = files(elsewhere, source)
    assert "lib/help.py" in found
    assert not [path for path in found if path.startswith("lib/state")]


def test_pipes_and_sockets_are_passed_over(repo, source, monkeypatch):
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(source)  # the address of a socket must be short
        server.bind("socket")
        assert not {"pipe", "socket"} & set(files(repo, source))


def test_a_missing_source_is_named(repo, tmp_path):
    with pytest.raises(WorkflowError, match=r"does not exist; set workspace\.source"):
        snapshot(repo, tmp_path / "none", max_size=1)


def test_an_empty_source_is_an_error(repo, tmp_path):
    (tmp_path / "empty/__pycache__").mkdir(parents=True)
    (tmp_path / "empty/__pycache__/x.pyc").write_text("")
    with pytest.raises(WorkflowError, match="holds no file"):
        snapshot(repo, tmp_path / "empty", max_size=10**9)


def test_too_big_a_source_says_its_size_the_largest_folders_and_how_to_exclude(repo, source, tools):
    with open(source / "big.bin", "wb") as file:
        file.truncate(3 * 10**9)  # sparse: must be refused without being read
    tools.write(source, {"data/x": b"0" * 2_000_000})
    with pytest.raises(WorkflowError) as caught:
        snapshot(repo, source, max_size=10**9)
    message = str(caught.value)
    assert "3.0 GB in 7 files, over workspace.max_size (1.0 GB)" in message
    assert "largest: big.bin 3.0 GB, data/ 2.0 MB" in message
    assert "workspace.exclude" in message
    assert "big.bin" not in files(repo, source, exclude=["/big.bin"])


def test_too_many_files_are_refused(repo, source, tools, monkeypatch):
    monkeypatch.setattr(sys.modules["loopsmith.workspace.snapshot"], "MAX_FILES", 4)
    with pytest.raises(WorkflowError, match="more than 4 files"):
        snapshot(repo, source, max_size=10**9)


def test_unprintable_and_non_utf8_names_are_all_listed(repo, source):
    Path(os.fsdecode(bytes(source) + b"/caf\xe9")).write_text("")
    (source / "new\nline").write_text("")
    with pytest.raises(WorkflowError) as caught:
        snapshot(repo, source, max_size=10**9)
    assert len(caught.value.problems) == 2
    assert all("workspace.exclude" in problem and "\n" not in problem for problem in caught.value.problems)


def test_what_cannot_be_read_is_listed(source, tmp_path):
    """Runs as another user where the tests run as root, who can read everything."""
    (source / "lib").chmod(0)
    (source / "kernel.py").chmod(0)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from loopsmith.workspace import Repository, snapshot; from loopsmith.errors import WorkflowError\n"
        "os.getuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534))\n"
        "try: snapshot(Repository.open(Path(sys.argv[2])), Path(sys.argv[1]), max_size=10**9)\n"
        "except WorkflowError as error: print(error)\n"
    )
    home = tmp_path / "state"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == Path(tmp_path).owner() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    argv = [sys.executable, "-c", script, str(source), str(home)]
    done = subprocess.run(argv, env={**os.environ, "HOME": str(home)}, capture_output=True, text=True)
    (source / "lib").chmod(0o755)
    assert done.stdout.splitlines() == [
        f"{name}: cannot be read (Permission denied); make it readable or list it under workspace.exclude"
        for name in ("lib/", "kernel.py")
    ], done.stderr


def test_source_files_are_those_of_a_snapshot(repo, source, tools):
    tools.write(source, {"x.o": "", "notes.md": ""})
    assert sorted(source_files(source, exclude=["*.md"])) == sorted(files(repo, source, exclude=["*.md"]))
