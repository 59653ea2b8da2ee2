"""PyTorch tensors, honest and not."""

import sys

import pytest

from loopsmith import harness
from loopsmith.errors import UsageError


def tensors(rng):
    torch = sys.modules["torch"]
    made = torch.Generator().manual_seed(rng.getrandbits(60))
    return torch.randn(301, 299, generator=made), torch.randn(299, 7, generator=made).to(torch.bfloat16)


TENSORS = {"inputs": tensors, "reference": lambda a, b: a @ b.float(), "rtol": 1e-4, "atol": 1e-4, "spread": None}
MATMUL = """
import torch

def squares(a, b):
    for _ in range(300):
        a @ b.to(a.dtype)
    out = a @ b.float()
    return out
"""


@pytest.mark.parametrize("device", [None, "cpu", "accelerator"])
def test_tensors_are_measured_and_checked(torch, measure, device):
    if device == "accelerator":
        if not torch.accelerator.is_available():
            pytest.skip("no accelerator that PyTorch can use")
        device = torch.accelerator.current_accelerator().type
    settings = TENSORS | {"candidate": harness.python("candidate.py", "squares", device=device), "load_seconds": 60}
    assert measure(MATMUL, **settings).value > 0
    wrongs = {
        "a @ b.float() + 1e-2": "^wrong",
        "(a @ b.float()).half()": "^wrong",
        "(a.bfloat16() @ b).float()": "^wrong",
        "torch.nn.Parameter(a @ b.float())": "Parameter is no plain value|^wrong|^flagged",
        "(a @ b.float(), a.add_(1))[0]": "changed its arguments",
    }
    for wrong, reason in wrongs.items():
        with pytest.raises(harness.Rejected, match=reason):
            measure(MATMUL.replace("a @ b.float()", wrong), **settings)


@pytest.mark.parametrize(("device", "reason"), [("gpu", "device type"), ("cuda:99", "CUDA")])
def test_a_device_that_is_not_there_is_said_before_anything_runs(torch, measure, device, reason):
    candidate = harness.python("candidate.py", "squares", device=device)
    with pytest.raises(UsageError, match=f"device='{device}' cannot be used here: .*{reason}"):
        measure("import sys\nsys.exit('it was started')", **TENSORS | {"candidate": candidate})


def test_results_on_a_device_cannot_change_after_the_clock(torch, measure):
    settings = TENSORS | {"candidate": harness.python("candidate.py", "squares", device="cpu"), "load_seconds": 60}
    late = "import loopsmith.harness.tensors as t\nreal = t.synchronize\nkept = []\n" + MATMUL.replace(
        "    out = a @ b.float()", "    out = torch.zeros(301, 7); kept[:] = [(out, a, b)]"
    )
    late += "def finish():\n    out, a, b = kept[0]\n    out.copy_(a @ b.float())\nt.synchronize = finish\n"
    with pytest.raises(harness.Rejected, match="not what they were when the clock stopped"):
        measure(late, **settings)


def test_a_seal_hides_and_gives_back_any_tensor(torch):
    from loopsmith.harness import tensors as module

    for tensor in (torch.randn(5, 3), torch.randn(7).half(), torch.tensor(3.5), torch.arange(9), torch.empty(0)):
        sealed = module.seal(tensor, 12345)
        assert torch.equal(module.seal(sealed, 12345), tensor)
        assert tensor.numel() == 0 or not torch.equal(sealed.nan_to_num(), tensor)
        assert module.digest([tensor], 1) != module.digest([tensor + 1], 1) or tensor.numel() == 0
