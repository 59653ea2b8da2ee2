import random

import pygit2
import pytest

from loopsmith.workspace import snapshot
from loopsmith.workspace.hunks import hunks, with_hunks

OLD = b"".join(b"line %d\n" % number for number in range(30))


@pytest.fixture
def commit(repo, source, tools):
    """A commit of the source with some files changed."""

    def committed(**files):
        tools.write(source, {name.replace("__", "."): data for name, data in files.items() if data is not None})
        for name, data in files.items():
            if data is None:
                (source / name.replace("__", ".")).unlink()
        return snapshot(repo, source, max_size=10**9)

    return committed


def test_a_change_is_taken_apart_by_line_and_put_together_again(repo, commit):
    old = commit(a__txt=OLD, gone__txt=b"x\n")
    lines = OLD.splitlines(keepends=True)
    new = commit(
        a__txt=b"first\n"
        + b"".join([*lines[:4], b"other\n", *lines[5:12], *lines[14:20], b"more\n", b"and\n", *lines[20:]]),
        new__txt=b"new\n",
        gone__txt=None,
    )
    pieces = hunks(repo, old, new)
    assert [(piece.place, piece.lines, piece.whole) for piece in pieces] == [
        ("a.txt:1", "+1 -0", False),
        ("a.txt:5", "+1 -1", False),
        ("a.txt:13-14", "+0 -2", False),
        ("a.txt:21", "+2 -0", False),
        ("gone.txt", "+0 -1", True),
        ("new.txt", "+1 -0", True),
    ]
    assert with_hunks(repo, old, new, pieces) == repo.tree_id(new)
    assert with_hunks(repo, old, new, ()) == repo.tree_id(old)
    some = with_hunks(repo, old, new, [pieces[1], pieces[3], pieces[5]])
    assert repo.read(some, "a.txt") == b"".join(
        [*lines[:4], b"other\n", *lines[5:20], b"more\n", b"and\n", *lines[20:]]
    )
    assert repo.read(some, "gone.txt") == b"x\n"
    assert repo.read(some, "new.txt") == b"new\n"


def test_lines_that_were_edited_in_their_places_are_a_piece_each_and_a_rewritten_block_is_one(repo, commit):
    old = commit(a__txt=b"SEGMENT = 32768  # numbers\nPATTERN = 64  # bytes\nend\n")
    edited = hunks(repo, old, commit(a__txt=b"SEGMENT = 131072  # numbers\nPATTERN = 256  # bytes\nend\n"))
    assert [(piece.place, piece.lines) for piece in edited] == [("a.txt:1", "+1 -1"), ("a.txt:2", "+1 -1")]
    rewritten = hunks(repo, old, commit(a__txt=b"for x in y:\n    print(x)\nend\n"))
    assert [(piece.place, piece.lines) for piece in rewritten] == [("a.txt:1-2", "+2 -2")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"a\nb", b"a\nb\n"),
        (b"a\nb\n", b"a\nb"),
        (b"", b"a\n"),
        (b"a\n", b""),
        (b"a\r\nb\r\n", b"a\nb\n"),
        ("é\nü\n".encode("latin-1"), "é\nö\n".encode("latin-1")),
        (b"a\x01\x02\x03\nb\n", b"a\x01\x02\x03\nc\n"),
        (b"a\x0cb\x0b\n", b"a\x0cb\x0b\nc\x1c\n"),
    ],
)
def test_all_pieces_together_are_the_change_byte_for_byte(repo, commit, one, other):
    old, new = commit(odd=one), commit(odd=other)
    assert with_hunks(repo, old, new, hunks(repo, old, new)) == repo.tree_id(new)


def test_any_part_of_any_change_is_the_old_file_with_these_lines(repo, source):
    rng = random.Random(5)
    for _ in range(25):
        old = [b"%d\n" % rng.randrange(5) for _ in range(rng.randrange(12))]
        new = [b"%d\n" % rng.randrange(5) for _ in range(rng.randrange(12))]
        trees = []
        for lines in (old, new):
            index = pygit2.Index()
            index.add(pygit2.IndexEntry("f", repo.git.create_blob(b"".join(lines)), pygit2.enums.FileMode.BLOB))
            trees.append(str(index.write_tree(repo.git)))
        pieces = hunks(repo, *trees)
        assert with_hunks(repo, *trees, pieces) == trees[1]
        chosen = [piece for piece in pieces if rng.random() < 0.5]
        found = repo.read(with_hunks(repo, *trees, chosen), "f").split(b"\n")[:-1]
        assert len(found) == len(old) + sum(piece.added - piece.removed for piece in chosen)
