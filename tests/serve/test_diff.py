"""A patch as a page shows it."""

import pygit2
import pytest

from loopsmith.report.colours import coloured
from loopsmith.report.morning.changes import classed
from loopsmith.serve.diff import parse


@pytest.mark.parametrize("path", ["x.py", "a b/c.py", "ä ö/größe.py", 'say "hi" b/x.py', "日本.py"])
def test_a_file_is_named_as_it_is_called(tmp_path, path):
    repository = pygit2.init_repository(tmp_path, bare=True)
    one, other = (tree_of(repository, path, data) for data in (b"a = 1\n", b"b = 2\n"))
    patch = repository[one].diff_to_tree(repository[other]).patch
    (file,), left_out = parse(patch)
    assert (file.path, file.added, file.removed, left_out) == (path, 1, 1, 0)
    assert any("<span" in code for _, code in coloured(classed(patch.splitlines())))


def tree_of(repository, path, data):
    made = repository.create_blob(data)
    mode = pygit2.enums.FileMode.BLOB
    for part in reversed(path.split("/")):
        builder = repository.TreeBuilder()
        builder.insert(part, made, mode)
        made, mode = builder.write(), pygit2.enums.FileMode.TREE
    return made
