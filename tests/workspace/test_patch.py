import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopsmith.workflow import Guardrails
from loopsmith.workspace import collect, remove_folder, snapshot


def problems(patch) -> str:
    """The one problem of a patch that is not stored."""
    assert patch.commit is None
    assert patch.tree is None
    assert len(patch.problems) == 1, patch.problems
    assert patch.problems[0].isprintable()
    return patch.problems[0]


def test_an_untouched_folder_is_an_empty_patch(take):
    patch = take()
    assert patch.empty
    assert patch.commit is None
    assert patch.problems == ()


def test_a_change_becomes_a_commit_on_top_of_the_parent(repo, baseline, take, worker):
    (worker.path / "kernel.py").write_text("SPEED = 9\n")
    (worker.path / "lib/new.py").write_text("x = 1\n")
    patch = take("make it faster")
    assert patch.problems == ()
    assert repo.parent(patch.commit) == baseline
    assert repo.tree_id(patch.commit) == patch.tree
    assert repo.git[patch.commit].message == "make it faster"
    assert repo.read(patch.commit, "kernel.py") == b"SPEED = 9\n"
    assert (patch.lines_added, patch.lines_removed) == (2, 6)
    assert "+SPEED = 9" in patch.text
    untouched = set(repo.files(baseline)) - {"kernel.py"}
    assert all(repo.entries(baseline)[path] == repo.entries(patch.commit)[path] for path in untouched)


def test_equal_content_has_an_equal_tree(take, worker):
    (worker.path / "kernel.py").write_text("SPEED = 9\n")
    assert take("one").tree == take("two").tree


def test_content_that_is_no_utf8_is_kept_byte_for_byte(repo, take, worker):
    (worker.path / "kernel.py").write_bytes(b"# caf\xe9\r\nSPEED = 1")
    assert repo.read(take().commit, "kernel.py") == b"# caf\xe9\r\nSPEED = 1"


def test_what_the_workers_git_says_is_not_believed(take, worker, tools):
    (worker.path / "kernel.py").write_text("SPEED = 9\n")
    tools.git(worker.path, "update-index", "--assume-unchanged", "kernel.py")
    tools.git(worker.path, "config", "core.worktree", "/")
    (worker.path / ".git/hooks").mkdir()
    hook = worker.path / ".git/hooks/post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {worker.path}/hooked\n")
    hook.chmod(0o755)
    assert [file.path for file in take().files] == ["kernel.py"]
    shutil.rmtree(worker.path / ".git")
    (worker.path / ".git").symlink_to("/etc")
    assert [file.path for file in take().files] == ["kernel.py"]


def test_ignored_files_are_left_out_by_the_parents_rules(take, worker, tools):
    tools.write(worker.path, {"a.o": "", "build/x": "", "lib/__pycache__/help.pyc": b"\0", "kernel.py": "SPEED = 9\n"})
    assert [file.path for file in take().files] == ["kernel.py"]


def test_a_worker_cannot_hide_a_file_by_a_rule_of_its_own(take, worker, tools):
    tools.write(worker.path, {"lib/.gitignore": "*\n", "lib/hidden.py": ""})
    assert {file.path for file in take().files} == {"lib/.gitignore", "lib/hidden.py"}


def test_rules_from_above_the_source_hold_in_it(repo, source, tmp_path, tools, take, worker):
    tools.git(tmp_path, "init", "-q")
    tools.write(tmp_path, {".gitignore": "*.out\n"})
    tools.git(tmp_path, "add", "source/kernel.py")
    tools.write(worker.path, {"a.out": ""})
    assert take().empty


def test_a_tracked_file_counts_though_a_rule_names_it(repo, source, worker, take, tools, baseline):
    tools.git(source, "init", "-q")
    tools.write(source, {"build/table.py": "1\n"})
    tools.git(source, "add", "-f", "build/table.py")
    commit = snapshot(repo, source, max_size=10**9)
    assert "build/table.py" in repo.files(commit)
    worker_files = tools.write(worker.path, {"build/table.py": "2\n", "build/other": ""})
    patch = collect(
        repo,
        commit,
        worker_files,
        editable=lambda path: True,
        source=source,
        links=(),
        guardrails=Guardrails(),
        message="m",
    )
    assert [file.path for file in patch.files] == ["build/table.py"]


@pytest.mark.parametrize("kind", ["added", "modified", "deleted"])
def test_a_change_outside_the_editable_files_is_a_problem(take, worker, kind):
    path = {"added": "new.py", "modified": "verify.py", "deleted": "run.sh"}[kind]
    (worker.path / path).unlink() if kind == "deleted" else (worker.path / path).write_text("changed\n")
    assert problems(take()) == f"{path}: {kind} outside the editable files"


def test_every_broken_rule_is_listed(take, worker):
    (worker.path / "verify.py").write_text("print('METRIC score=9')\n")
    (worker.path / "kernel.py").write_bytes(b"\0")
    (worker.path / "lib/link").symlink_to("/etc")
    patch = take()
    assert len(patch.problems) == 3
    assert {file.path for file in patch.files} == {"verify.py", "kernel.py", "lib/link"}


def test_a_new_link_is_a_problem_and_is_not_followed(take, worker):
    (worker.path / "lib/etc").symlink_to("/etc")
    assert problems(take()) == "lib/etc: a symbolic link"


def test_a_file_swapped_for_a_link_is_a_problem(take, worker):
    (worker.path / "kernel.py").unlink()
    (worker.path / "kernel.py").symlink_to("/etc/passwd")
    assert problems(take()) == "kernel.py: a symbolic link"


def test_a_folder_swapped_for_a_link_is_not_followed(take, worker, tmp_path, tools):
    tools.write(tmp_path / "elsewhere", {"help.py": "stolen\n", "secret.py": "stolen\n"})
    shutil.rmtree(worker.path / "lib")
    (worker.path / "lib").symlink_to(tmp_path / "elsewhere")
    patch = take()
    assert patch.problems == ("lib: a symbolic link",)
    assert {(file.path, file.kind) for file in patch.files} == {("lib", "added"), ("lib/help.py", "deleted")}
    assert "stolen" not in patch.text


def test_the_workspace_itself_swapped_for_a_link_is_not_followed(take, worker, tmp_path, tools):
    tools.write(tmp_path / "elsewhere", {"kernel.py": "stolen\n"})
    worker.path.rename(tmp_path / "moved")
    worker.path.symlink_to(tmp_path / "elsewhere")
    patch = take()
    assert problems(patch).startswith("the workspace cannot be read")
    assert patch.files == ()


def test_a_link_of_the_source_may_stay_but_not_change(repo, source, worker, take, tools, baseline):
    (worker.path / "data").symlink_to(source / "lib")
    assert take(links=["data"]).empty
    assert problems(take(links=[])) == "data: a symbolic link"
    (worker.path / "data").unlink()
    tools.write(worker.path, {"data/x": "mine\n"})
    assert problems(take(links=["data"])) == "data/x: added outside the editable files"


@pytest.mark.parametrize("content", [b"\0", b"text\n" * 3000 + b"\0"])
def test_binary_content_is_a_problem(take, worker, content):
    (worker.path / "kernel.py").write_bytes(content)
    assert problems(take()) == "kernel.py: binary content"


def test_a_change_of_mode_is_a_problem(take, worker):
    (worker.path / "kernel.py").chmod(0o755)
    assert problems(take()) == "kernel.py: a change of its mode (executable or not)"


@pytest.mark.parametrize("name", [".git", ".GIT"])
def test_a_nested_repository_is_a_problem(take, worker, tools, name):
    tools.write(worker.path, {f"lib/{name}/hooks/post-checkout": "#!/bin/sh\n"})
    assert problems(take()) == f"lib/{name}: a nested git repository"


def test_too_many_changed_lines_are_a_problem(take, worker):
    (worker.path / "kernel.py").write_text("x = 1\n" * 20)
    assert problems(take(max_changed_lines=25)) == "26 changed lines, over guardrails.max_changed_lines (25)"
    assert take(max_changed_lines=26).commit


def test_a_huge_sparse_file_is_a_problem_and_is_not_read(take, worker):
    with open(worker.path / "kernel.py", "wb") as file:
        file.truncate(1 << 40)
    assert problems(take()) == "kernel.py: 1,099,511,627,776 bytes, over guardrails.max_file_size (1,000,000)"


def test_a_large_file_of_the_baseline_may_stay_but_not_change(repo, source, tools, state):
    tools.write(source, {"big.txt": "line of text\n" * 100_000})
    commit = snapshot(repo, source, max_size=10**9)
    repo.checkout(commit, state / "out")

    def taken():
        settings = {"editable": lambda path: True, "source": source, "links": (), "guardrails": Guardrails()}
        return collect(repo, commit, state / "out", message="m", **settings)

    assert taken().empty
    with open(state / "out/big.txt", "r+") as file:
        file.write("LINE")
    assert problems(taken()) == "big.txt: 1,300,000 bytes, over guardrails.max_file_size (1,000,000)"


def test_pipes_and_sockets_are_problems_and_nobody_waits_for_them(take, worker, monkeypatch):
    (worker.path / "kernel.py").unlink()
    os.mkfifo(worker.path / "kernel.py")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(worker.path / "lib")  # the address of a socket must be short
        server.bind("socket")
        patch = take()
    assert [problem.partition(":")[0] for problem in patch.problems] == ["kernel.py", "lib/socket"]


def test_a_hard_link_is_a_problem(take, worker, tmp_path, tools):
    tools.write(tmp_path, {"secret": "stolen\n"})
    os.link(tmp_path / "secret", worker.path / "lib/taken.py")
    patch = take()
    assert problems(patch) == "lib/taken.py: a hard link"
    assert "stolen" not in patch.text


@pytest.mark.parametrize("name", [b"new\nline.py", b"caf\xe9.py", b"\x1b[2J.py"])
def test_a_name_that_cannot_be_shown_is_a_problem(take, worker, name):
    Path(os.fsdecode(bytes(worker.path) + b"/lib/" + name)).write_text("")
    assert problems(take()).endswith("a name with unprintable characters or that is not UTF-8")


def test_a_folder_of_too_many_new_files_ends_the_reading(take, worker):
    for number in range(1500):
        (worker.path / f"lib/{number}.py").touch()
    assert problems(take()) == "more than 1,000 files and folders that the baseline does not hold"


def test_changes_of_too_many_bytes_end_the_reading(take, worker):
    for number in range(70):
        (worker.path / f"lib/{number}.py").write_text("x" * 999_999)
    assert problems(take()) == "the changed files hold more than 64,000,000 bytes"


def test_a_very_deep_folder_is_a_problem(take, worker):
    here = os.open(worker.path / "lib", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert problems(take()).endswith("more than 64 folders deep")
    worker.remove()


def test_many_problems_are_counted_rather_than_listed(take, worker, tools):
    tools.write(worker.path, {f"new{number}": "" for number in range(80)})
    patch = take()
    assert len(patch.problems) == 51
    assert patch.problems[-1] == "and 30 more problems"


def test_a_folder_that_changes_while_it_is_read_gives_a_patch_or_a_problem(take, worker, tmp_path, tools):
    """Whatever the race, nothing from outside the folder comes in and nothing raises."""
    tools.write(tmp_path / "elsewhere", {"help.py": "stolen\n"})
    real, fake = worker.path / "lib", worker.path / "other"
    fake.symlink_to(tmp_path / "elsewhere")
    end = time.monotonic() + 1.0

    def swap():
        while time.monotonic() < end:
            real.rename(worker.path / "aside")
            fake.rename(real)
            real.rename(fake)
            (worker.path / "aside").rename(real)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        while time.monotonic() < end:
            assert "stolen" not in take().text
    finally:
        thread.join()


def test_a_closed_folder_is_a_problem(take, worker):
    if os.getuid() == 0:
        pytest.skip("root can read any folder")
    (worker.path / "lib").chmod(0)
    patch = take()
    (worker.path / "lib").chmod(0o755)
    assert "lib: cannot be read (Permission denied)" in patch.problems


NAMES = ("kernel.py", "lib/help.py", "lib/a.py", "lib/deep/b c.py", "lib/é.py")
TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(NAMES), TEXTS))
def test_a_checkout_of_a_candidate_holds_what_the_worker_left(repo, baseline, take, worker, tmp_path, tools, edits):
    """`edits` maps a path to its new text, or to None where it is deleted."""
    remove_folder(worker.path)
    repo.checkout(baseline, worker.path)
    for name, text in edits.items():
        if text is None:
            (worker.path / name).unlink(missing_ok=True)
        else:
            tools.write(worker.path, {name: text})
    patch = take()
    assert patch.problems == ()
    remove_folder(tmp_path / "out")
    repo.checkout(patch.commit or baseline, tmp_path / "out")
    left, back = read(tools, worker.path), read(tools, tmp_path / "out")
    assert back == left
    assert patch.empty == (left == {path: repo.read(baseline, path) for path in repo.files(baseline)})


def read(tools, folder):
    return {path: (folder / path).read_bytes() for path in tools.listing(folder)}


def test_a_change_of_another_commit_is_judged_against_the_baseline_and_has_both_as_parents(
    repo, baseline, take, worker, source
):
    (worker.path / "kernel.py").write_text("SPEED = 2\nSIZE = 2\n\n\ndef run():\n    return SPEED\n")
    start = take().commit

    def again(**guardrails):
        return collect(
            repo,
            start,
            worker.path,
            editable=lambda path: path == "kernel.py",
            source=source,
            links=(),
            guardrails=Guardrails(**guardrails),
            message="more",
            baseline=baseline,
        )

    assert again().empty, "the worker changed nothing of what it got"
    (worker.path / "kernel.py").write_text("SPEED = 2\nSIZE = 3\n\n\ndef run():\n    return SPEED\n")
    patch = again()
    assert repo.parents(patch.commit) == (baseline, start)
    assert (patch.lines_added, patch.lines_removed) == (2, 2)
    assert any("4 changed lines" in problem for problem in again(max_changed_lines=3).problems)
    (worker.path / "kernel.py").write_text("SPEED = 1\nSIZE = 2\n\n\ndef run():\n    return SPEED\n")
    assert again().empty, "it went back to the baseline"
