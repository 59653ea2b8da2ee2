"""What a run of the verifier must not change: every file of the folder that is not editable, and the linked inputs."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from loopsmith.workspace.folder import altered
from loopsmith.workspace.repository import Repository
from loopsmith.workspace.trees import Entry, guarded

MOST = 64  # mounts; each costs about 0.15 ms of a command, and the hundredth more


@dataclass(frozen=True, slots=True)
class Plan:
    """Mounts that keep files, by paths relative to the folder.

    In a folder that is pinned each protected file is mounted read-only by itself, so that new files can be made beside
    it; a closed folder is read-only as a whole. A mount point can be neither renamed, removed nor replaced.
    """

    files: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()  # the folder itself is left out: it is a mount anyway
    closed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protection:
    """The protected part of one verification folder.

    Args:
        folder: as `make_verification_folder` left it.
        links: its linked inputs, and where they lead (see `resolve_links`).
    """

    repo: Repository
    commit: str
    folder: Path
    editable: Callable[[str], bool]
    links: Mapping[str, Path] = field(default_factory=dict)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The protected files."""
        return {path: entry for path, entry in self.repo.entries(self.commit).items() if not self.editable(path)}

    @cached_property
    def plan(self) -> Plan:
        return plan((*(path for path, entry in self.entries.items() if not entry.symlink), *self.links))

    def read_only(self, *, setup: bool = False) -> dict[Path, Path]:
        """What a sandbox mounts read-only: place to what is seen there.

        Args:
            setup: for a step of the setup, which may build beside any protected file: nothing is closed.
        """
        names = (*self.plan.files, *(() if setup else self.plan.closed))
        places = {self.folder / name: self.folder / name for name in names}
        return {**places, **{self.folder / name: target for name, target in self.links.items()}}

    def pinned(self) -> tuple[Path, ...]:
        """The folders that a sandbox mounts on themselves."""
        return tuple(self.folder / name for name in self.plan.pinned)

    def mount_links(self) -> None:
        """Put mount points in the place of the links to inputs, for a sandbox to mount the inputs on."""
        with guarded(f"preparing {self.folder}"):
            for name, target in self.links.items():
                place = self.folder / name
                if place.is_symlink():
                    place.unlink()
                    if target.is_dir():
                        place.mkdir()
                    else:
                        place.touch()

    def changed(self) -> tuple[str, ...]:
        """The protected paths that are no longer as they were; an input counts when its place leads elsewhere."""
        moved = [name for name, target in self.links.items() if not self._leads_to(name, target)]
        return tuple(sorted({*altered(self.repo, self.entries, self.folder), *moved}))

    def _leads_to(self, name: str, target: Path) -> bool:
        place = self.folder / name
        if place.is_symlink():
            return os.path.realpath(place) == str(target)
        empty = place.is_dir() and not any(place.iterdir()) if target.is_dir() else place.is_file()
        return empty and (place.is_dir() or place.stat().st_size == 0)


@lru_cache(maxsize=8)
def plan(kept: tuple[str, ...], most: int = MOST) -> Plan:
    """Which mounts keep some files, at most about `most`.

    From the top, folders are pinned while that costs few enough mounts; the others are closed.

    Args:
        kept: paths of the protected files.
    """
    files: dict[str, list[str]] = {}
    folders: dict[str, list[str]] = {}
    for path in kept:
        folder = path.rpartition("/")[0]
        files.setdefault(folder, []).append(path)
        while folder:
            above = folder.rpartition("/")[0]
            if folder in (below := folders.setdefault(above, [])):
                break
            below.append(folder)
            folder = above
    if not kept:
        return Plan()

    def cost(folder: str) -> int:
        return len(files.get(folder, ())) + len(folders.get(folder, ()))

    used, pinned, waiting = 1, [], [""]
    while waiting:
        waiting.sort(key=lambda folder: (folder.count("/"), cost(folder)))
        folder = waiting.pop(0)
        if used + cost(folder) <= most:
            used += cost(folder)
            pinned.append(folder)
            waiting += folders.get(folder, ())
    closed = [below for folder in pinned for below in folders.get(folder, ()) if below not in pinned]
    return Plan(
        files=tuple(path for folder in pinned for path in files.get(folder, ())),
        pinned=tuple(folder for folder in pinned if folder),
        closed=tuple(closed) if pinned else ("",),
    )
