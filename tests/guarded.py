"""Patches of a few files, as guardrails read them, and what they find."""

import pygit2

from loopsmith.records import FileChange, Patch
from loopsmith.verify.changes import Baseline
from loopsmith.verify.guardrails import check_patch
from loopsmith.workflow import Guardrails
from loopsmith.workflow.values import editable_matcher

Files = dict[str, str | bytes | None]


def find(before: Files, after: Files, *, editable: tuple[str, ...] = ("*",), **guardrails: object) -> tuple[str, ...]:
    """The problems of turning some files into others; a text of None is a file that is not there."""
    old = {path: data.encode() if isinstance(data, str) else data for path, data in before.items() if data is not None}
    new = {path: data.encode() if isinstance(data, str) else data for path, data in after.items()}
    contents: dict[str, bytes] = {}
    files, text = [], ""
    for path in sorted(new):
        was, now = old.get(path), new[path]
        if was == now:
            continue
        ids = [None if data is None else str(pygit2.hash(data)) for data in (was, now)]
        contents |= {name: data for name, data in zip(ids, (was, now), strict=True) if name and data is not None}
        kind = "added" if was is None else "deleted" if now is None else "modified"
        files.append(FileChange(path=path, kind=kind, added=0, removed=0, old=ids[0], new=ids[1]))
        one = pygit2.Patch.create_from(
            was, now, old_as_path=path, new_as_path=path, flag=pygit2.enums.DiffOption.FORCE_TEXT
        )
        text += one.data.decode("utf-8", "replace")
    ids = {path: str(pygit2.hash(data)) for path, data in old.items()}
    contents |= {ids[path]: data for path, data in old.items()}
    baseline = Baseline(files=ids, read=contents.__getitem__, editable=editable_matcher(editable))
    patch = Patch(parent="p", commit="c", tree="t", files=tuple(files), text=text)
    return check_patch(patch, Guardrails.model_validate(guardrails), baseline)


def change(before: str | bytes | None, after: str | bytes | None, path: str = "train.py", **guardrails: object) -> str:
    """The problems of one file's change, one a line."""
    return "\n".join(find({path: before}, {path: after}, **guardrails))
