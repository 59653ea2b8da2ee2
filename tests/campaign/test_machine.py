"""Campaigns of one machine do not measure on the same cores."""

import asyncio
import subprocess
import sys
import threading

import pytest

from loopsmith.campaign.measure import leases, machine
from loopsmith.campaign.measure.leases import Leases
from loopsmith.errors import WorkflowError
from loopsmith.workflow import Resources

OTHER = """
import asyncio, sys
from loopsmith.campaign.measure.machine import held

async def main():
    count = int(sys.argv[1]) if sys.argv[1] != "all" else None
    async with held(sys.argv[2:], count) as mine:
        print(*mine, flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    monkeypatch.setenv(machine.PLACE, str(tmp_path / "locks"))
    return tmp_path / "locks"


@pytest.fixture
def other():
    """Another process that holds some of what is named."""
    started = []

    def start(count, *names):
        line = [sys.executable, "-c", OTHER, str(count), *names]
        started.append(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_another_process_s_core_is_left_to_it(other):
    assert other(1, "core-0", "core-1").stdout.readline() == "core-0\n"

    async def body():
        async with machine.held(["core-0", "core-1", "core-2"], 2) as mine:
            return mine

    assert asyncio.run(body()) == ("core-1", "core-2")


@pytest.mark.parametrize("count", [None, 2])
def test_who_needs_a_core_waits_until_its_holder_has_died(other, count):
    holding = other(1, "core-1")
    assert holding.stdout.readline() == "core-1\n"

    async def body():
        async def wait():
            async with machine.held(["core-0", "core-1"], count) as mine:
                return mine

        waiting = asyncio.create_task(wait())
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        holding.kill()
        return await asyncio.wait_for(waiting, 20)

    assert asyncio.run(body()) == ("core-0", "core-1")


def test_two_that_need_all_of_it_do_not_wait_for_each_other(other):
    first, second = (other("all", *names) for names in (("a", "b", "c"), ("c", "b", "a")))
    holding, said = [], []

    def read(process):
        said.append(process.stdout.readline().split())
        holding.append(process)

    threads = [threading.Thread(target=read, args=(process,), daemon=True) for process in (first, second)]
    for thread in threads:
        thread.start()
    while not holding:
        threads[0].join(0.05)
    assert len(holding) == 1
    holding[0].kill()
    for thread in threads:
        thread.join(20)
    assert said == [["a", "b", "c"]] * 2


def test_a_campaign_s_own_leases_never_share_a_core(locks, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    for folder in (locks, blocked):  # the second cannot hold locks

        async def body():
            leases, at_once = Leases(Resources(cpu=1)), []

            async def one():
                async with leases.lease() as lease:
                    at_once.append(lease.cores)
                    held = list(at_once)
                    await asyncio.sleep(0.02)
                    at_once.remove(lease.cores)
                    return held

            for held in await asyncio.gather(*(one() for _ in range(3 * len(leases.cores)))):
                assert len(set(held)) == len(held)
            async with Leases(Resources()).lease() as lease:
                assert (lease.cores, lease.words) == (None, ("all cores",))

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(machine.PLACE, str(folder))
            asyncio.run(body())
    assert not machine.HERE


def test_the_files_are_anybody_s_to_lock(locks):
    async def body():
        async with machine.held(["core-0"], None):
            pass

    asyncio.run(body())
    modes = [path.stat().st_mode & 0o7777 for path in (locks, locks / "core-0")]
    assert modes == [0o1777, 0o444]


def test_the_gpus_are_those_whose_devices_are_here(tmp_path, monkeypatch):
    """A container may have the fourth GPU of its machine alone; CUDA calls it 0."""
    monkeypatch.setattr(leases, "DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert leases.machine_gpus() == []
    for name in ("nvidia3", "nvidiactl", "nvidia-uvm", "nvidia-modeset", "null"):
        (tmp_path / name).touch()
    assert leases.machine_gpus() == ["0"]
    (tmp_path / "nvidia12").touch()
    assert leases.machine_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1a2b, 3")
    assert leases.machine_gpus() == ["GPU-1a2b", "3"]


@pytest.mark.parametrize(("visible", "seen"), [("", []), ("-1", []), ("2, 0", ["2", "0"]), ("1,-1,0", ["1"])])
def test_gpus_that_a_user_hides_from_cuda_are_not_lent(monkeypatch, visible, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert Leases(Resources()).gpus == seen
    if not seen:
        with pytest.raises(WorkflowError, match="this machine has 0 GPUs"):
            Leases(Resources(gpu=1))
