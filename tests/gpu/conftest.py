"""What needs an accelerator that PyTorch can use; elsewhere all of it is skipped. `make gpu` runs it."""

import pytest


@pytest.fixture(scope="session")
def device(torch) -> str:
    if not hasattr(torch, "accelerator") or not torch.accelerator.is_available():
        pytest.skip("no accelerator that PyTorch can use")
    return torch.accelerator.current_accelerator().type


@pytest.fixture(scope="session")
def cuda(device) -> str:
    if device != "cuda":
        pytest.skip("no GPU that CUDA or ROCm can use")
    return device
