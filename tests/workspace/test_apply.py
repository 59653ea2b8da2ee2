import pytest

from loopsmith.errors import UsageError
from loopsmith.workflow import Guardrails
from loopsmith.workspace import Sandbox, apply_branch, collect, make_worker_folder, patch_text, snapshot

NUMBERS = "".join(f"line {number}\n" for number in range(20))


@pytest.fixture
def campaign(repo, source, state, tools):
    """Keep a chain of changes; each is a function of the worker's folder."""

    def keep(*changes, folder=source):
        origin = baseline = snapshot(repo, folder, max_size=10**9)
        kept = []
        for number, change in enumerate(changes, 1):
            path = state / "work" / str(number)
            make_worker_folder(
                repo,
                baseline,
                path,
                source=folder,
                links=(),
                scratch=state / "a",
                sandbox=Sandbox(),
                network=False,
                mark="m",
            )
            change(path)
            patch = collect(
                repo,
                baseline,
                path,
                editable=lambda _: True,
                source=folder,
                links=(),
                guardrails=Guardrails(),
                message="m",
            )
            assert patch.commit, patch.problems
            baseline = patch.commit
            kept.append((baseline, f"candidate {number}\n\nLoopsmith-Candidate: c.{number}\n"))
        return origin, kept

    return keep


@pytest.fixture
def repository(source, tools):
    """The source as a git repository with one commit."""
    tools.write(source, {"lib/numbers.txt": NUMBERS, ".gitignore": "*.o\n.loopsmith\n"})
    tools.git(source, "init", "-q", "-b", "main")
    tools.git(source, "add", ".")
    tools.git(source, "commit", "-qm", "first")
    return source


def edit(name, old, new):
    def change(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def add(name, text):
    def change(folder):
        (folder / name).write_text(text)

    return change


def show(tools, source, name, branch="fast"):
    return tools.git(source, "show", f"{branch}:{name}")


def test_each_kept_candidate_is_one_commit_on_top_of_head(repo, repository, campaign, tools):
    _, kept = campaign(edit("kernel.py", "SPEED = 1", "SPEED = 2"), edit("kernel.py", "SIZE = 2", "SIZE = 4"))
    head = tools.git(repository, "rev-parse", "HEAD")
    last = apply_branch(repo, repository, kept, "fast")
    assert tools.git(repository, "rev-parse", "fast").strip() == last
    assert tools.git(
        repository, "log", "--format=%s|%(trailers:key=Loopsmith-Candidate,valueonly,separator=)", "main..fast"
    ) == ("candidate 2|c.2\ncandidate 1|c.1\n")
    assert tools.git(repository, "merge-base", "fast", "main") == head
    assert show(tools, repository, "kernel.py").startswith("SPEED = 2\nSIZE = 4\n")
    assert tools.git(repository, "diff", "--stat", "main", "fast").count("|") == 1
    assert tools.git(repository, "fsck", "--full", "--strict", "--no-dangling") == ""


def test_work_tree_index_and_head_stay_as_they_are(repo, repository, campaign, tools):
    _, kept = campaign(edit("kernel.py", "SPEED = 1", "SPEED = 2"), add("new.py", "x = 1\n"))
    tools.write(repository, {"verify.py": "half done\n", "untracked.txt": ""})
    tools.git(repository, "add", "verify.py")

    def state():
        index = (repository / ".git/index").read_bytes()
        return index, tools.git(repository, "status", "--porcelain"), (repository / ".git/HEAD").read_text()

    before = state()
    apply_branch(repo, repository, kept, "fast")
    assert state() == before
    assert (repository / "kernel.py").read_text().startswith("SPEED = 1")
    assert show(tools, repository, "verify.py").startswith("print")


def test_added_deleted_and_executable_files_come_through(repo, repository, campaign, tools):
    def change(folder):
        (folder / "kernel.py").unlink()
        (folder / "tool.sh").write_text("#!/bin/sh\n")
        (folder / "tool.sh").chmod(0o755)

    _, kept = campaign(change)
    apply_branch(repo, repository, kept, "fast")
    listed = tools.git(repository, "ls-tree", "-r", "fast")
    assert "kernel.py" not in listed
    assert next(line for line in listed.splitlines() if "tool.sh" in line).startswith("100755")


def test_a_source_in_a_subfolder_is_changed_there(repo, tmp_path, tools, source, campaign):
    tools.git(tmp_path, "init", "-q", "-b", "main")
    tools.write(tmp_path, {".gitignore": ".loopsmith\n", "kernel.py": "another\n"})
    tools.git(tmp_path, "add", ".")
    tools.git(tmp_path, "commit", "-qm", "first")
    _, kept = campaign(edit("kernel.py", "SPEED = 1", "SPEED = 2"))
    apply_branch(repo, source, kept, "fast")
    assert tools.git(tmp_path, "diff", "--name-only", "main", "fast") == "source/kernel.py\n"


def test_a_change_is_merged_into_a_head_that_has_moved_on_elsewhere(repo, repository, campaign, tools):
    _, kept = campaign(edit("lib/numbers.txt", "line 2\n", "LINE 2\n"))
    edit("lib/numbers.txt", "line 17\n", "moved on é\n")(repository)
    tools.git(repository, "commit", "-qam", "second")
    apply_branch(repo, repository, kept, "fast")
    expected = NUMBERS.replace("line 2\n", "LINE 2\n").replace("line 17\n", "moved on é\n")
    assert show(tools, repository, "lib/numbers.txt") == expected


def test_merging_keeps_bytes_that_are_not_utf8(repo, repository, campaign, tools):
    path = repository / "lib/numbers.txt"
    path.write_bytes(NUMBERS.replace("line 10", "caf\xe9").encode("latin-1"))
    tools.git(repository, "commit", "-qam", "second")

    def change(folder):
        data = (folder / "lib/numbers.txt").read_bytes()
        (folder / "lib/numbers.txt").write_bytes(data.replace(b"line 2\n", b"LINE 2\n"))

    _, kept = campaign(change)
    path.write_bytes(path.read_bytes().replace(b"line 17\n", b"moved on\n"))
    tools.git(repository, "commit", "-qam", "third")
    apply_branch(repo, repository, kept, "fast")
    tools.git(repository, "checkout", "-q", "fast")
    assert b"LINE 2\n" in path.read_bytes()
    assert b"caf\xe9\n" in path.read_bytes()
    assert b"moved on\n" in path.read_bytes()


def test_uncommitted_changes_of_the_source_are_not_taken_along(repo, repository, campaign, tools):
    edit("lib/numbers.txt", "line 17\n", "not committed\n")(repository)
    _, kept = campaign(edit("lib/numbers.txt", "line 2\n", "LINE 2\n"))
    apply_branch(repo, repository, kept, "fast")
    assert show(tools, repository, "lib/numbers.txt") == NUMBERS.replace("line 2\n", "LINE 2\n")


def test_a_source_that_has_moved_on_in_the_same_place_is_refused_with_the_file(repo, repository, campaign, tools):
    _, kept = campaign(edit("kernel.py", "SPEED = 1", "SPEED = 2"))
    edit("kernel.py", "SPEED = 1", "SPEED = 7")(repository)
    tools.git(repository, "commit", "-qam", "second")
    with pytest.raises(UsageError, match=r"moved on: kernel\.py in HEAD conflicts .*--patch"):
        apply_branch(repo, repository, kept, "fast")
    assert "fast" not in tools.git(repository, "branch")


def test_a_file_that_was_never_committed_is_refused_with_its_name(repo, repository, campaign, tools):
    tools.write(repository, {"fresh.py": "A = 1\n"})
    _, kept = campaign(edit("fresh.py", "A = 1", "A = 2"))
    with pytest.raises(UsageError, match=r"fresh\.py is not in HEAD"):
        apply_branch(repo, repository, kept, "fast")


def test_a_change_that_head_has_already_is_not_committed_again(repo, repository, campaign, tools):
    _, kept = campaign(edit("kernel.py", "SPEED = 1", "SPEED = 2"), add("new.py", "x = 1\n"))
    edit("kernel.py", "SPEED = 1", "SPEED = 2")(repository)
    tools.git(repository, "commit", "-qam", "second")
    apply_branch(repo, repository, kept, "fast")
    assert tools.git(repository, "log", "--format=%s", "main..fast") == "candidate 2\n"
    with pytest.raises(UsageError, match="holds every kept change already"):
        apply_branch(repo, repository, kept[:1], "again")


def test_an_existing_branch_is_never_moved(repo, repository, campaign, tools):
    _, kept = campaign(edit("kernel.py", "SPEED = 1", "SPEED = 2"))
    with pytest.raises(UsageError, match="branch main exists already"):
        apply_branch(repo, repository, kept, "main")
    with pytest.raises(UsageError, match="cannot be the name"):
        apply_branch(repo, repository, kept, "no..good")


def test_a_source_without_git_or_commit_is_pointed_to_the_patch(repo, source, campaign, tools):
    _, kept = campaign(edit("kernel.py", "SPEED = 1", "SPEED = 2"))
    with pytest.raises(UsageError, match=r"no git repository.*--patch"):
        apply_branch(repo, source, kept, "fast")
    tools.git(source, "init", "-q")
    with pytest.raises(UsageError, match=r"no commit yet.*--patch"):
        apply_branch(repo, source, kept, "fast")


def test_nothing_kept_is_nothing_to_apply(repo, source):
    with pytest.raises(UsageError, match="nothing was kept"):
        apply_branch(repo, source, [], "fast")


def test_the_patch_applies_to_the_source_byte_for_byte(repo, source, campaign, tools, tmp_path):
    tools.write(source, {"latin.py": "# café\nA = 1\n".encode("latin-1")})

    def change(folder):
        (folder / "latin.py").write_bytes("# café\nA = 2\n".encode("latin-1"))
        (folder / "kernel.py").unlink()
        (folder / "new.py").write_text("no newline at the end")

    origin, kept = campaign(change)
    patch = tmp_path / "kept.diff"
    patch.write_text(patch_text(repo, origin, kept[-1][0]), encoding="utf-8", errors="surrogateescape")
    tools.git(source, "apply", str(patch))
    assert (source / "latin.py").read_bytes() == "# café\nA = 2\n".encode("latin-1")
    assert repo.same_tree(snapshot(repo, source, max_size=10**9), kept[-1][0])
