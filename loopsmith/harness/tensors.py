"""PyTorch tensors: their bytes in main memory, and on a device.

Between question and answer nothing larger than a few bytes should move to or from an accelerator, or the clock would
show the bus. So arguments for a device are there before the clock starts, but sealed: mixed with numbers made from a
key that comes with the question. And the answer is a digest of the results, computed on the device under the same key;
the results themselves follow after the clock has stopped, and must fit the digest. Both cost a pass over memory,
which an empty function pays as well. The mixing is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) of key and place.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch  # type: ignore[import-not-found,unused-ignore]

GOLDEN, FIRST, SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685  # as signed 64-bit numbers


def pack(tensor: Any, buffers: Any) -> list[Any]:
    """dtype, shape and place of a tensor's bytes; waits for whatever device it is on."""
    flat = tensor.detach().contiguous().cpu().reshape(-1)
    start, _ = buffers.add(flat.view(torch.uint8).numpy() if flat.numel() else b"")
    return [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), start]


def unpack(content: Any, memory: Callable[[int, int], memoryview]) -> Any:
    name, shape, start = content
    dtype = getattr(torch, name) if isinstance(name, str) else None
    if not isinstance(dtype, torch.dtype) or not all(type(each) is int and each >= 0 for each in shape):
        raise ValueError("not a tensor")
    empty = torch.empty(shape, dtype=dtype)
    if not empty.numel():
        return empty
    return torch.frombuffer(memory(start, empty.numel() * empty.element_size()), dtype=dtype).reshape(shape)


def find(value: Any) -> list[Any]:
    """The tensors in a value, in order."""
    if type(value) is torch.Tensor:
        return [value]
    if type(value) in (list, tuple):
        return [tensor for each in value for tensor in find(each)]
    if type(value) is dict:
        return [tensor for each in value.values() for tensor in find(each)]
    return []


def moved(value: Any, move: Callable[[Any], Any]) -> Any:
    """The value with each of its tensors replaced."""
    if type(value) is torch.Tensor:
        return move(value)
    if type(value) in (list, tuple):
        return type(value)(moved(each, move) for each in value)
    return {key: moved(each, move) for key, each in value.items()} if type(value) is dict else value


def seal(tensor: Any, key: int) -> Any:
    """Another tensor of the same dtype, shape and device; sealing it again with the key gives the first back."""
    words, size = _words(tensor)
    mixed = words ^ _mix(key, words.numel(), words.device)
    return mixed.view(torch.uint8)[:size].view(tensor.dtype).reshape(tensor.shape)


def digest(tensors: Sequence[Any], key: int) -> int:
    """A number that tells these tensors, bit by bit, from others that were made without the key."""
    total = len(tensors)
    for place, tensor in enumerate(tensors):
        words, size = _words(tensor.detach())
        mixed = _scramble(words ^ _mix(key + place, words.numel(), words.device))
        total = (total * 31 + int(mixed.sum()) + size) & (2**63 - 1)
    return total


def seal_all(tensors: Sequence[Any], key: int) -> list[Any]:
    """Each sealed with a key of its own, made from one."""
    return [seal(tensor, key + (place << 32)) for place, tensor in enumerate(tensors)]


def skeleton(value: Any) -> Any:
    """The value with an empty tensor for each of its tensors."""
    return moved(value, lambda _: torch.empty(0))


def filled(value: Any, tensors: Sequence[Any]) -> Any:
    """What `skeleton` was made from."""
    waiting = iter(tensors)
    return moved(value, lambda _: next(waiting))


def unusable(device: str) -> str:
    """Why no tensor can be on a device, in PyTorch's words; empty where one can."""
    if not hasattr(torch, "accelerator"):
        return f"this is PyTorch {torch.__version__}, and 2.6 or newer is needed"
    try:
        torch.zeros(1, device=device)
    except Exception as error:  # each backend raises what it likes
        return str(error).partition("\n")[0]
    return ""


def synchronize() -> None:
    """Wait for all work on every device."""
    for number in range(torch.accelerator.device_count()):
        torch.accelerator.synchronize(number)


def flush_cache(device: str) -> None:
    """Push what earlier calls left out of a device's cache; done by the verifier, out of the candidate's reach."""
    if torch.device(device).type == "cpu":
        return
    known = getattr(torch.get_device_module(device), "get_device_properties", lambda _: None)(device)
    torch.zeros(4 * max(getattr(known, "L2_cache_size", 64 << 20), 1 << 20), dtype=torch.uint8, device=device)
    torch.accelerator.synchronize(device)


def _words(tensor: Any) -> tuple[Any, int]:
    """The bytes of a tensor as 64-bit numbers, the last filled up with zeros; and how many bytes there are."""
    flat = tensor.contiguous().reshape(-1)
    data = flat.view(torch.uint8) if flat.numel() else flat.new_empty(0, dtype=torch.uint8)
    size = data.numel()
    if size % 8:
        data = torch.cat([data, data.new_zeros(8 - size % 8)])
    return data.view(torch.int64), size


def _mix(key: int, count: int, device: Any) -> Any:
    return _scramble(torch.arange(1, count + 1, dtype=torch.int64, device=device) * GOLDEN + key)


def _scramble(words: Any) -> Any:
    words = (words ^ _right(words, 30)) * FIRST
    words = (words ^ _right(words, 27)) * SECOND
    return words ^ _right(words, 31)


def _right(words: Any, bits: int) -> Any:
    """A shift that brings in zeros, not the sign."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)
