import os

import pytest

from loopsmith.errors import WorkflowError
from loopsmith.workspace import (
    Sandbox,
    changed_files,
    make_verification_folder,
    make_worker_folder,
    remove_folder,
    resolve_links,
)


def another_worker(repo, commit, source, state, links=()):
    return make_worker_folder(
        repo,
        commit,
        state / "work/2.worker",
        source=source,
        links=links,
        scratch=state / "artifacts/2",
        sandbox=Sandbox(),
        network=False,
        mark="test.2",
    )


def test_a_worker_finds_a_clean_git_repository_of_one_commit(worker, tools):
    assert tools.git(worker.path, "status", "--porcelain") == ""
    assert tools.git(worker.path, "log", "--all", "--format=%s %P").split() == ["baseline"]
    assert tools.git(worker.path, "remote") == ""
    assert tools.git(worker.path, "fsck", "--full", "--strict") == ""
    assert tools.git(worker.path, "branch", "--show-current").strip() == "main"


def test_a_worker_can_commit_and_diff_with_git(worker, tools):
    (worker.path / "kernel.py").write_text("SPEED = 2\n")
    assert "+SPEED = 2" in tools.git(worker.path, "diff")
    tools.git(worker.path, "commit", "-qam", "try")
    assert tools.git(worker.path, "rev-list", "--count", "HEAD").strip() == "2"


def test_a_workers_git_holds_nothing_but_its_baseline(repo, baseline, source, state, worker, take, tools):
    (worker.path / "kernel.py").write_text("SPEED = 2\n")
    kept = take().commit
    second = another_worker(repo, kept, source, state)
    names = tools.git(second.path, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").split()
    assert sorted(set(names)) == ["blob", "commit", "tree"]
    assert names.count("commit") == 1
    assert names.count("blob") == len(set(repo.files(kept)))
    assert not (second.path / ".git/objects/info/alternates").exists()
    assert "SPEED = 1" not in tools.git(second.path, "log", "-p", "--all", "--format=")


def test_a_worker_that_spoils_its_git_does_not_spoil_its_neighbours(repo, baseline, source, state, worker, tools):
    for path in (worker.path / ".git").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            with open(path, "r+b") as file:  # in place, so that a shared inode would be hit
                file.write(b"spoilt")
    second = another_worker(repo, baseline, source, state)
    assert tools.git(second.path, "fsck", "--full") == ""


def test_what_a_killed_worker_left_is_replaced(repo, baseline, source, state, worker, tools):
    tools.write(worker.path, {"junk": "", "kernel.py": "half"})
    again = make_worker_folder(
        repo,
        baseline,
        worker.path,
        source=source,
        links=(),
        scratch=worker.scratch,
        sandbox=Sandbox(),
        network=False,
        mark="m",
    )
    assert tools.listing(again.path) == sorted(repo.files(baseline))
    assert (again.path / "kernel.py").read_text().startswith("SPEED")


def test_linked_inputs_are_links_to_the_source_and_git_does_not_see_them(repo, baseline, source, state, tools):
    tools.write(source, {"data/deep/big.bin": "input"})
    worker = another_worker(repo, baseline, source, state, links=["data/deep"])
    assert (worker.path / "data/deep/big.bin").read_text() == "input"
    assert os.readlink(worker.path / "data/deep") == str(source / "data/deep")
    assert tools.git(worker.path, "status", "--porcelain") == ""


@pytest.mark.parametrize("link", ["../elsewhere", "/etc", ".", ".git", "none"])
def test_a_link_that_leads_out_of_the_source_or_nowhere_is_named(source, link):
    with pytest.raises(WorkflowError, match=rf"workspace\.link: .*{link}"):
        resolve_links(source, [link])


def test_all_wrong_links_are_named_at_once(source):
    with pytest.raises(WorkflowError) as caught:
        resolve_links(source, ["none", "lib", "../up"])
    assert len(caught.value.problems) == 2


def test_a_verification_folder_holds_the_candidates_file_and_no_git(repo, baseline, source, state, take, worker, tools):
    (worker.path / "kernel.py").write_text("SPEED = 2\n")
    (worker.path / "lib/more.py").write_text("")
    commit = take().commit
    folder = state / "work/1.verify"
    tools.write(folder, {"left over": ""})
    tools.write(source, {"data": "input"})
    make_verification_folder(repo, commit, folder, source=source, links=["data"])
    assert tools.listing(folder) == sorted([*repo.files(baseline), "data", "lib/more.py"])
    assert (folder / "kernel.py").read_text() == "SPEED = 2\n"
    assert not (folder / ".git").exists()


def test_a_program_that_reaches_for_the_verifier_is_found_out(repo, baseline, source, state, tools):
    folder = state / "work/verify"
    make_verification_folder(repo, baseline, folder, source=source, links=())

    def changed():
        return changed_files(repo, baseline, folder, editable=lambda path: path == "kernel.py")

    tools.write(folder, {"kernel.py": "tuned", "build/out.o": b"\0", "results.txt": ""})
    assert changed() == ()
    tools.write(folder, {"verify.py": "print('METRIC score=9')\n"})
    (folder / "lib/help.py").unlink()
    (folder / "run.sh").chmod(0o644)
    (folder / ".gitignore").unlink()
    (folder / ".gitignore").symlink_to("/dev/null")
    assert changed() == (".gitignore", "lib/help.py", "run.sh", "verify.py")


def test_read_only_and_closed_folders_are_removed(tmp_path, tools):
    folder = tools.write(tmp_path / "work", {"a/b/c": "", "d/e": ""})
    for path in (folder / "a/b", folder / "a", folder / "d"):
        path.chmod(0)
    remove_folder(folder)
    assert not folder.exists()
    remove_folder(folder)  # gone already is fine


def test_a_folder_deeper_than_pythons_stack_is_removed(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    remove_folder(folder)
    assert not folder.exists()


def test_removing_follows_no_link(tmp_path, tools):
    tools.write(tmp_path / "precious", {"file": "kept"})
    (tmp_path / "work").mkdir()
    (tmp_path / "work/link").symlink_to(tmp_path / "precious")
    remove_folder(tmp_path / "work")
    (tmp_path / "swapped").symlink_to(tmp_path / "precious")
    remove_folder(tmp_path / "swapped")
    assert not (tmp_path / "swapped").is_symlink()
    assert (tmp_path / "precious/file").read_text() == "kept"
