"""Leases on the machine's resources, so that two measurements never share what they are measured on.

Neither two of one campaign, nor those of other campaigns on this machine.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from loopsmith.campaign.measure.machine import held
from loopsmith.errors import WorkflowError
from loopsmith.workflow import Resources

DEVICES = Path("/dev")


@dataclass(frozen=True, slots=True)
class Lease:
    """What a verification has for itself: the cores to run on (None: any) and the GPUs by index."""

    cores: tuple[int, ...] | None
    gpus: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """What it is, each in words."""
        cores = ("all cores",) if self.cores is None else tuple(f"core {core}" for core in self.cores)
        return (*cores, *(f"GPU {gpu}" for gpu in self.gpus))

    @property
    def environment(self) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)} if self.gpus else {}


def machine_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def machine_gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA names them: from 0, whichever of the machine's are here."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",") if name.strip()]
        return list(itertools.takewhile(lambda name: not name.startswith("-"), names))  # -1 ends the list for CUDA
    return [str(index) for index, _ in enumerate(DEVICES.glob("nvidia[0-9]*"))]


class Leases:
    """Verifications run side by side only where each has its own cores and GPUs.

    Args:
        need: of one verification. Without `cpu` it has the whole machine.

    Raises:
        WorkflowError: the machine has fewer.
    """

    def __init__(self, need: Resources):
        self.cores, self.gpus, self.need = machine_cores(), machine_gpus(), need
        if need.cpu is not None and need.cpu > len(self.cores):
            raise WorkflowError(f"verify.resources.cpu is {need.cpu}, but this machine has {len(self.cores)} cores")
        if need.gpu > len(self.gpus):
            raise WorkflowError(f"verify.resources.gpu is {need.gpu}, but this machine has {len(self.gpus)} GPUs")
        places = 1 if need.cpu is None else len(self.cores) // need.cpu
        if need.gpu:
            places = min(places, len(self.gpus) // need.gpu)
        self._free = asyncio.Semaphore(places)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """Wait for the resources and hold them."""
        cores = {f"core-{core}": core for core in reversed(self.cores)}
        gpus = {f"gpu-{gpu}": gpu for gpu in reversed(self.gpus)}
        async with self._free, held(list(cores), self.need.cpu) as mine, held(list(gpus), self.need.gpu) as my_gpus:
            chosen = tuple(cores[name] for name in mine) if self.need.cpu else None
            yield Lease(chosen, tuple(gpus[name] for name in my_gpus))
