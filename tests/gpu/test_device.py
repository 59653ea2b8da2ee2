"""The harness on an accelerator: work that is not waited for, replaced clocks, lower precision, warm caches."""

import sys
from statistics import median

import pytest

from loopsmith import harness

SIZE, TIMES = 1024, 40
HEAD = "import torch\n"
WORK = "sum(torch.tanh(a @ b) for _ in range({times})) / {times}"


def honest(times: int = TIMES) -> str:
    return HEAD + f"def product(a, b):\n    return {WORK.format(times=times)}\n"


SIDE = """
stream = torch.{type}.Stream()
def product(a, b):
    stream.wait_stream(torch.{type}.current_stream())
    with torch.{type}.stream(stream):
        return {work}
"""


def inputs(rng):
    torch = sys.modules["torch"]
    made = torch.Generator().manual_seed(rng.getrandbits(60))
    return tuple(torch.randn(SIZE, SIZE, generator=made) / SIZE**0.25 for _ in range(2))


@pytest.fixture
def measure(tmp_path, monkeypatch, device):
    monkeypatch.setenv("LOOPSMITH_SEED", "93817465")

    def measure(source):
        (tmp_path / "candidate.py").write_text(source)
        return harness.measure(
            candidate=harness.python("candidate.py", "product", device=device),
            inputs=inputs,
            reference=lambda a, b: (a @ b).tanh(),
            metric=harness.seconds("seconds"),
            rtol=1e-4,
            atol=1e-4,
            batch=1,
            load_seconds=60,
            spread=None,
            folder=tmp_path,
        ).value

    return measure


def test_twice_the_work_takes_about_twice_the_time(measure):
    """What was only queued when the function returned counts in full."""
    once, twice = measure(honest(200)), measure(honest(400))
    assert 1.6 < twice / once < 2.5


@pytest.mark.parametrize("kind", ["another stream", "no synchronisation", "both"])
def test_work_that_nobody_waits_for_gains_nothing(measure, cuda, kind):
    least = 0.8 * measure(honest())
    source = HEAD
    if kind != "another stream":
        source += f"torch.{cuda}.synchronize = torch.accelerator.synchronize = lambda *_: None\n"
    source += SIDE.format(type=cuda, work=WORK.format(times=TIMES)) if kind != "no synchronisation" else honest()
    try:
        assert measure(source) > least
    except harness.Rejected:
        pass  # the digest was made of what was there at that time


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def product(a, b):\n    return (a.half() @ b.half()).float().tanh()\n", "^wrong"),
        ("def product(a, b):\n    return (a.bfloat16() @ b.bfloat16()).float().tanh()\n", "^wrong"),
        ("kept = []\ndef product(a, b):\n    kept.append((a @ b).tanh())\n    return kept[0]\n", "^wrong"),
        ("def product(a, b):\n    return a.copy_((a @ b).tanh())\n", "changed its arguments"),
        ("def product(a, b):\n    return torch.empty_like(a)\n", "^wrong"),
        ("def product(a, b):\n    return (a @ b).tanh().double()\n", "^wrong"),
        (
            "kept = {}\ndef product(a, b):\n"
            "    if a.data_ptr() not in kept:\n        kept[a.data_ptr()] = (a @ b).tanh()\n"
            "    return kept[a.data_ptr()]\n",
            "^wrong",
        ),
    ],
    ids=["half", "bfloat16", "first", "in place", "nothing", "another type", "by address"],
)
def test_what_is_not_right_gets_no_score(measure, source, reason):
    with pytest.raises(harness.Rejected, match=reason):
        measure(HEAD + source)


def test_tensor_cores_of_lower_precision_are_not_close_enough(torch, measure, cuda):
    if torch.version.hip or torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("no TF32 on this GPU")
    with pytest.raises(harness.Rejected, match=r"^wrong"):
        measure(HEAD + "torch.backends.cuda.matmul.allow_tf32 = True\n" + honest())


def test_a_flushed_cache_holds_nothing_of_what_was_there(torch, cuda):
    """Reading again what was just read is faster than reading it after a flush: median of 50 each, interleaved."""
    from loopsmith.harness.tensors import flush_cache

    data = torch.ones(torch.cuda.get_device_properties(cuda).L2_cache_size // 8, device=cuda)  # half of it, in bytes
    out = torch.empty((), device=cuda)

    def seconds() -> float:
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        began.record()
        torch.sum(data, dim=0, out=out)
        ended.record()
        torch.cuda.synchronize()
        return began.elapsed_time(ended)

    warm, cold = [], []
    for _ in range(50):
        seconds()
        warm.append(seconds())
        flush_cache(cuda)
        cold.append(seconds())
    assert median(cold) > 1.1 * median(warm)
