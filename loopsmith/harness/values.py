"""Values on their way between verifier and candidate, as JSON and raw memory: nothing in it can run code.

Known are the exact built-in types, NumPy arrays and scalars, and PyTorch tensors. Anything else, a subclass or a lazy
object above all, is refused where it is packed, so that what arrives is a finished value.
"""

import math
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

ALIGNMENT = 64  # bytes, for vector instructions
NUMBERS = "?biufcmMSU"  # NumPy's kinds of types that hold no pointers
_ATOMS = frozenset((int, float, str, bool, type(None)))


class Buffers:
    """The memory of packed arrays and bytes, laid out one behind the other."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[tuple[int, memoryview]] = []

    def add(self, data: Any) -> tuple[int, int]:
        """Take a C-contiguous buffer; gives where it will stand and how long it is, in bytes."""
        view = memoryview(data)
        start = -(-self.size // ALIGNMENT) * ALIGNMENT
        if view.nbytes:  # an empty view cannot be cast
            self._parts.append((start, view.cast("B")))
        self.size = start + view.nbytes
        return start, view.nbytes

    def parts(self) -> Iterator[memoryview]:
        return (view for _start, view in self._parts)

    def write(self, file: int) -> None:
        """Write everything to a file, at its start, and zeros between."""
        end = 0
        for start, view in self._parts:
            if end < start:
                os.pwrite(file, bytes(start - end), end)
            done, end = 0, start + len(view)
            while done < len(view):
                done += os.pwrite(file, view[done:], start + done)


def pack(value: Any, buffers: Buffers) -> Any:
    """What `json.dumps` takes, for a value.

    Raises:
        TypeError: a type that is not known, anywhere in it.
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is list:
        return [pack(each, buffers) for each in value]
    if kind is tuple:
        return {"tuple": [pack(each, buffers) for each in value]}
    if kind is dict:
        return {"dict": [[pack(key, buffers), pack(each, buffers)] for key, each in value.items()]}
    if kind is bytes or kind is bytearray:
        return {kind.__name__: buffers.add(value)}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind is set or kind is frozenset:
        return {kind.__name__: sorted((pack(each, buffers) for each in value), key=repr)}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and (kind is numpy.ndarray or issubclass(kind, numpy.generic)):
        if value.dtype.kind not in NUMBERS or (kind is not numpy.ndarray and kind is not value.dtype.type):
            raise TypeError(f"an array of {value.dtype} is no plain value")
        array = numpy.ascontiguousarray(value)
        name = "array" if kind is numpy.ndarray else "scalar"
        data = array.reshape(-1).view(numpy.uint8) if array.size else b""
        return {name: [value.dtype.str, list(value.shape), buffers.add(data)[0]]}
    if torch is not None and kind is torch.Tensor:
        from loopsmith.harness import tensors

        return {"tensor": tensors.pack(value, buffers)}
    raise TypeError(f"a {kind.__module__}.{kind.__qualname__} is no plain value")


def unpack(packed: Any, memory: "bytearray | mmap.mmap") -> Any:
    """The value of what `pack` gave; arrays are views of `memory`.

    Raises:
        ValueError: this is not what `pack` gives.
    """
    kind = type(packed)
    if kind in _ATOMS:
        return packed
    if kind is list:
        return [unpack(each, memory) for each in packed]
    if kind is not dict or len(packed) != 1:
        raise ValueError("not a packed value")
    [(name, content)] = packed.items()
    try:
        return _UNPACK[name](content, memory)
    except (KeyError, TypeError, IndexError, OverflowError, AttributeError) as error:
        raise ValueError("not a packed value") from error


def _each(content: Any, memory: Any) -> Any:
    if type(content) is not list:
        raise ValueError("not a packed value")
    return (unpack(each, memory) for each in content)


def _bytes(content: Any, memory: Any) -> memoryview:
    start, length = map(_size, content)
    if start + length > len(memory):
        raise ValueError("more than there is")
    return memoryview(memory)[start : start + length]


def _size(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError("not a size")
    return number


def _array(content: Any, memory: Any) -> Any:
    import numpy

    name, shape, start = content
    dtype = numpy.dtype(str(name))
    if dtype.kind not in NUMBERS or dtype.str != name:
        raise ValueError("not a type of an array")
    shape = tuple(map(_size, shape))
    length = math.prod(shape) * dtype.itemsize
    if not length:
        return numpy.empty(shape, dtype)
    flat = numpy.frombuffer(_bytes((start, length), memory), numpy.uint8)
    return flat.view(dtype).reshape(shape)


def _tensor(content: Any, memory: Any) -> Any:
    from loopsmith.harness import tensors

    return tensors.unpack(content, lambda start, length: _bytes((start, length), memory))


_UNPACK: dict[str, Callable[[Any, Any], Any]] = {
    "tuple": lambda content, memory: tuple(_each(content, memory)),
    "dict": lambda content, memory: {unpack(key, memory): unpack(each, memory) for key, each in content},
    "set": lambda content, memory: set(_each(content, memory)),
    "frozenset": lambda content, memory: frozenset(_each(content, memory)),
    "bytes": lambda content, memory: bytes(_bytes(content, memory)),
    "bytearray": lambda content, memory: bytearray(_bytes(content, memory)),
    "complex": lambda content, memory: complex(float(content[0]), float(content[1])),
    "array": _array,
    "scalar": lambda content, memory: _array(content, memory)[()],
    "tensor": _tensor,
}
