"""Crossover: two candidates' changes on one baseline."""

import pytest

from loopsmith.workspace import conflicted, lineage, merge_candidates, merged_from

TEXT = "A = 1\n\n\n\n\nB = 1\n\n\n\n\nC = 1\n"


@pytest.fixture
def origin(repo, make):
    return make({"p.py": TEXT, "other.py": "x\n"})


@pytest.fixture
def make(repo):
    """A commit of some files on some parents."""

    def commit(files, *parents):
        import pygit2

        index = pygit2.Index()
        for path, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            index.add(pygit2.IndexEntry(path, repo.git.create_blob(data), pygit2.enums.FileMode.BLOB))
        return repo.commit(str(index.write_tree(repo.git)), list(parents), "a change\n", time=1_700_000_000)

    return commit


@pytest.fixture
def change(make):
    """A candidate with some of TEXT replaced, compared with `base`, started from `start`."""

    def candidate(base, *replacements, start=None, text=TEXT):
        for old, new in replacements:
            text = text.replace(old, new)
        return make({"p.py": text, "other.py": "x\n"}, *dict.fromkeys((base, start or base)))

    return candidate


def content(repo, commit):
    return repo.read(commit, "p.py").decode()


def test_two_changes_of_different_places_are_both_in_the_merge_which_is_the_same_each_time(repo, origin, change):
    one, other = change(origin, ("A = 1", "A = 2")), change(origin, ("B = 1", "B = 2"))
    merge = merge_candidates(repo, origin, one, other, markers=False)
    assert content(repo, merge.commit) == TEXT.replace("A = 1", "A = 2").replace("B = 1", "B = 2")
    assert merge == merge_candidates(repo, origin, one, other, markers=True)
    assert merged_from(repo, merge.commit) == (one, other)
    assert merged_from(repo, one) is None


def test_both_go_on_top_of_a_baseline_that_has_moved_on(repo, origin, change):
    one, other, baseline = (change(origin, (f"{name} = 1", f"{name} = 2")) for name in "ABC")
    merge = merge_candidates(repo, baseline, one, other, markers=False)
    assert content(repo, merge.commit) == TEXT.replace("= 1", "= 2")


def test_one_candidate_is_carried_over_to_the_baseline(repo, origin, change):
    one, baseline = change(origin, ("A = 1", "A = 2")), change(origin, ("C = 1", "C = 2"))
    merge = merge_candidates(repo, baseline, baseline, one, markers=False)
    assert content(repo, merge.commit) == TEXT.replace("A = 1", "A = 2").replace("C = 1", "C = 2")
    assert merged_from(repo, merge.commit) == (baseline, one)


def test_what_a_candidate_never_held_is_not_taken_for_what_it_removed(repo, origin, change):
    """A child of an old candidate is compared with a baseline whose change it does not hold."""
    old, baseline = change(origin, ("A = 1", "A = 2")), change(origin, ("C = 1", "C = 2"))
    child = change(baseline, ("A = 1", "A = 2"), ("B = 1", "B = 2"), start=old)
    assert lineage(repo, child) == [child, old, origin]
    merge = merge_candidates(repo, baseline, baseline, child, markers=False)
    assert content(repo, merge.commit) == TEXT.replace("= 1", "= 2")


def test_a_merge_of_merges_holds_what_each_did(repo, origin, change, make):
    one, other, third = (change(origin, (f"{name} = 1", f"{name} = 2")) for name in "ABC")
    first = merge_candidates(repo, origin, one, other, markers=False)
    crossed = repo.commit(repo.tree_id(first.commit), [origin, first.commit], "crossed\n")
    assert set(lineage(repo, crossed)) == {crossed, first.commit, one, other, origin}
    merge = merge_candidates(repo, origin, crossed, third, markers=False)
    assert content(repo, merge.commit) == TEXT.replace("= 1", "= 2")


@pytest.mark.parametrize("case", ["the same", "one holds the other", "nothing"])
def test_a_merge_that_brings_nothing_new_is_none(repo, origin, change, case):
    one = change(origin, ("A = 1", "A = 2"))
    both = change(origin, ("B = 1", "B = 2"), text=TEXT.replace("A = 1", "A = 2"), start=one)
    pair = {"the same": (one, one), "one holds the other": (one, both), "nothing": (origin, origin)}[case]
    assert merge_candidates(repo, origin, *pair, markers=True) is None


def test_a_conflict_is_none_or_leaves_markers_for_a_worker(repo, origin, change):
    one, other = change(origin, ("A = 1", "A = 2")), change(origin, ("A = 1", "A = 3"), ("B = 1", "B = 2"))
    assert merge_candidates(repo, origin, one, other, markers=False) is None
    merge = merge_candidates(repo, origin, one, other, markers=True)
    assert merge.conflicts == ("p.py",)
    text = content(repo, merge.commit)
    assert "<<<<<<< " in text
    assert "A = 2\n=======\nA = 3\n>>>>>>> " in text
    assert "B = 2" in text
    assert conflicted(repo, merge.commit, repo.files(merge.commit)) == ("p.py",)
    assert conflicted(repo, one, repo.files(one)) == ()


def test_a_conflict_that_no_marker_can_show_is_none(repo, origin, change, make):
    one = change(origin, ("A = 1", "A = 2"))
    deleted = make({"other.py": "x\n"}, origin)
    binary = make({"p.py": b"A\0", "other.py": "x\n"}, origin)
    latin = make({"p.py": b"A = \xe9\n" + TEXT[6:].encode(), "other.py": "x\n"}, origin)
    for other in (deleted, binary, latin):
        assert merge_candidates(repo, origin, one, other, markers=True) is None


def test_a_candidate_that_conflicts_with_the_baseline_is_not_crossed(repo, origin, change):
    baseline = change(origin, ("A = 1", "A = 9"))
    one, other = change(origin, ("A = 1", "A = 2")), change(origin, ("B = 1", "B = 2"))
    assert merge_candidates(repo, baseline, one, other, markers=True) is None
