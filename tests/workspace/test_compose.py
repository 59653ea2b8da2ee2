import pytest

from loopsmith.workspace import snapshot
from loopsmith.workspace.compose import needed, put_on, put_together, without

LINES = [f"line {number}\n" for number in range(40)]


@pytest.fixture
def chain(repo, source):
    """The commits of changes made one after the other; each sets some lines of a file, by number."""

    def made(*changes):
        lines = list(LINES)
        (source / "long.txt").write_text("".join(lines))
        commits = [snapshot(repo, source, max_size=10**9)]
        for change in changes:
            for number, text in change.items():
                lines[number] = f"{text}\n"
            (source / "long.txt").write_text("".join(lines))
            tree = repo.tree_id(snapshot(repo, source, max_size=10**9))
            commits.append(repo.commit(tree, [commits[-1]], "kept"))
        return commits[0], commits[1:]

    return made


def text(repo, tree):
    return repo.read(tree, "long.txt").decode().splitlines(keepends=True)


def with_lines(**changes):
    lines = list(LINES)
    for name, text in changes.items():
        lines[int(name[1:])] = f"{text}\n"
    return lines


def test_a_change_is_put_on_the_source_without_those_before_it(repo, chain):
    origin, kept = chain({0: "a"}, {20: "b"})
    assert text(repo, put_on(repo, kept[1], origin).tree) == with_lines(_20="b")


def test_one_that_builds_on_another_conflicts_and_says_in_which_files_and_on_which(repo, chain):
    origin, kept = chain({0: "a"}, {20: "b"}, {0: "c"}, {30: "d"})
    found = put_on(repo, kept[2], origin)
    assert (found.tree, found.conflicts) == (None, ("long.txt",))
    assert needed(repo, origin, kept, (), 2) == (0,)
    assert needed(repo, origin, kept, (1,), 2) == (0,)
    both, conflicting = put_together(repo, origin, [kept[0], kept[2]])
    assert conflicting is None
    assert text(repo, both.tree) == with_lines(_0="c")


def test_one_that_builds_on_two_needs_both_and_no_third(repo, chain):
    origin, kept = chain({0: "a"}, {5: "b"}, {20: "c"}, {0: "d", 5: "e"})
    assert needed(repo, origin, kept, (), 3) == (0, 1)
    assert needed(repo, origin, kept, (0,), 3) == (1,)


def test_a_change_is_taken_out_of_the_end_alone_or_with_those_that_build_on_it(repo, chain):
    origin, kept = chain({0: "a"}, {20: "b"}, {0: "c"}, {30: "d"})
    middle = without(repo, origin, kept, 1)
    assert (text(repo, middle.tree), middle.others) == (with_lines(_0="c", _30="d"), ())
    first = without(repo, origin, kept, 0)
    assert (text(repo, first.tree), first.others) == (with_lines(_20="b", _30="d"), (2,))
    last = without(repo, origin, kept, 2)
    assert (text(repo, last.tree), last.others) == (with_lines(_0="a", _20="b", _30="d"), ())


def test_a_change_that_another_took_back_leaves_nothing_to_take_out(repo, chain):
    origin, kept = chain({0: "a"}, {0: "line 0", 20: "b"})
    found = without(repo, origin, kept, 0)
    assert found.tree == repo.tree_id(kept[-1])
