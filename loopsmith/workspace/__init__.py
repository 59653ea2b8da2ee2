"""Where candidates live: snapshots of the source, folders to work and verify in, changes, the sandbox."""

from loopsmith.workspace.apply import Step, apply_branch, patch_text, write_branch
from loopsmith.workspace.folder import changed_files, make_verification_folder, make_worker_folder, resolve_links
from loopsmith.workspace.merge import Merge, conflicted, lineage, merge_candidates, merged_from
from loopsmith.workspace.patch import collect, too_large
from loopsmith.workspace.protection import Protection
from loopsmith.workspace.removal import remove_folder
from loopsmith.workspace.repository import Repository
from loopsmith.workspace.sandbox import Sandbox
from loopsmith.workspace.snapshot import snapshot, source_files
from loopsmith.workspace.worker import WorkerWorkspace

__all__ = [
    "Merge",
    "Protection",
    "Repository",
    "Sandbox",
    "Step",
    "WorkerWorkspace",
    "apply_branch",
    "changed_files",
    "collect",
    "conflicted",
    "lineage",
    "make_verification_folder",
    "make_worker_folder",
    "merge_candidates",
    "merged_from",
    "patch_text",
    "remove_folder",
    "resolve_links",
    "snapshot",
    "source_files",
    "too_large",
    "write_branch",
]
