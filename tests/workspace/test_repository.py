import os
import subprocess
import sys

import pytest

from loopsmith.errors import HarnessError, UsageError
from loopsmith.workspace import Repository


@pytest.fixture
def candidate(take, worker):
    """The commit of a change of SPEED."""
    (worker.path / "kernel.py").write_text("SPEED = 9\nSIZE = 2\n\n\ndef run():\n    return SPEED\n")
    return take("faster").commit


def test_opening_twice_finds_the_same_commits(repo, baseline, state):
    assert Repository.open(state).has(baseline)


def test_half_a_repository_left_by_a_kill_does_not_stop_the_next_run(tmp_path):
    (tmp_path / "repository.17.new/objects").mkdir(parents=True)
    assert Repository.open(tmp_path).git.is_bare


def test_a_broken_repository_is_one_clear_line(tmp_path):
    (tmp_path / "repository.git").mkdir()
    with pytest.raises(HarnessError, match=r"opening .*repository\.git failed") as caught:
        Repository.open(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_commit_is_one_clear_line(repo):
    with pytest.raises(HarnessError, match="reading commit 000000000000 failed"):
        repo.files("0" * 40)


def test_a_checkout_holds_content_and_execute_bits_and_no_git(repo, baseline, source, tmp_path, tools):
    repo.checkout(baseline, tmp_path / "out")
    assert tools.listing(tmp_path / "out") == sorted(repo.files(baseline))
    assert (tmp_path / "out/kernel.py").read_bytes() == (source / "kernel.py").read_bytes()
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o100
    assert not (tmp_path / "out/kernel.py").stat().st_mode & 0o111
    assert not (tmp_path / "out/.git").exists()


def test_a_file_is_read_by_its_path_and_a_missing_one_is_named(repo, baseline):
    assert repo.read(baseline, "lib/help.py").startswith(b"def help")
    with pytest.raises(UsageError, match=r"no file lib/none\.py"):
        repo.read(baseline, "lib/none.py")


def test_a_stored_patch_is_what_collect_returned(repo, baseline, take, worker):
    (worker.path / "kernel.py").unlink()
    (worker.path / "lib/new.py").write_text("A = 1\nB = 2\n")
    patch = take("moved")
    assert patch.commit
    assert repo.patch(baseline, patch.commit) == patch
    assert {(file.path, file.kind, file.added, file.removed) for file in patch.files} == {
        ("kernel.py", "deleted", 0, 6),
        ("lib/new.py", "added", 2, 0),
    }


def test_a_diff_is_what_git_applies(repo, baseline, candidate, tmp_path, tools):
    repo.checkout(baseline, tmp_path / "out")
    (tmp_path / "change.diff").write_bytes(repo.diff_bytes(baseline, candidate))
    tools.git(tmp_path / "out", "apply", str(tmp_path / "change.diff"))
    assert (tmp_path / "out/kernel.py").read_bytes() == repo.read(candidate, "kernel.py")


def test_a_persons_own_git_settings_do_not_change_a_diff(repo, baseline, candidate, tmp_path, state):
    (tmp_path / ".gitconfig").write_text("[diff]\n\tnoprefix = true\n\tcontext = 0\n")
    script = (
        "import sys; from pathlib import Path; from loopsmith.workspace import Repository\n"
        "print(Repository.open(Path(sys.argv[1])).diff(*sys.argv[2:]), end='')"
    )
    argv = [sys.executable, "-c", script, str(state), baseline, candidate]
    done = subprocess.run(argv, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert done.stdout == repo.diff(baseline, candidate)
    assert "--- a/kernel.py" in done.stdout


def test_every_candidate_stays_reachable_by_its_number(repo, baseline, candidate, state, tools):
    repo.set_candidate("fast-1", 17, candidate)
    repo.set_baseline("fast-1", baseline)
    tools.git(state / "repository.git", "gc", "--prune=now", "-q")
    again = Repository.open(state)
    assert again.candidate("fast-1", 17) == candidate
    assert again.baseline("fast-1") == baseline
    assert again.read(candidate, "kernel.py").startswith(b"SPEED = 9")
    assert again.candidate("fast-1", 18) is None


def test_a_baseline_moves(repo, baseline, candidate):
    repo.set_baseline("fast-1", baseline)
    repo.set_baseline("fast-1", candidate)
    assert repo.baseline("fast-1") == candidate


def test_a_change_is_carried_over_to_a_baseline_changed_elsewhere(repo, baseline, candidate, take, worker):
    (worker.path / "kernel.py").write_text("SPEED = 1\nSIZE = 2\n\n\ndef run():\n    return SPEED * 2\n")
    onto = take("other place").commit
    again = repo.reapply(candidate, onto)
    assert again is not None
    assert repo.parent(again) == onto
    assert repo.read(again, "kernel.py") == b"SPEED = 9\nSIZE = 2\n\n\ndef run():\n    return SPEED * 2\n"


def test_a_change_that_conflicts_is_not_carried_over(repo, baseline, candidate, take, worker):
    (worker.path / "kernel.py").write_text("SPEED = 5\nSIZE = 2\n\n\ndef run():\n    return SPEED\n")
    assert repo.reapply(candidate, take("same place").commit) is None


def test_a_change_that_is_there_already_is_not_carried_over(repo, candidate):
    assert repo.reapply(candidate, candidate) is None
