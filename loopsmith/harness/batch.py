"""The arguments of some calls: packed for the candidate, and kept as they are."""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from loopsmith.errors import UsageError
from loopsmith.harness.candidate import Candidate
from loopsmith.harness.channel import Answer, Child, Rejected, memory_file, read
from loopsmith.harness.values import Buffers, pack, unpack

_FIXED = (int, float, str, bool, type(None), bytes, complex)


class Batch:
    """Some calls.

    `packed` is one list of packed arguments for each, `file` a descriptor of the file with their arrays, if there
    are any, that the candidate gets with the question.
    """

    def __init__(self, arguments: Sequence[tuple[Any, ...]], candidate: Candidate):
        buffers = Buffers()
        self._device = candidate.device
        self.packed = [_pack(args, buffers) for args in arguments]
        self._counts = [len(args) for args in arguments]
        self._mutable = any(type(each) not in _FIXED and not _is_array(each) for args in arguments for each in args)
        self._sent: str | None = json.dumps(self.packed) if self._mutable else None
        if candidate.out is not None:
            for packed, args in zip(self.packed, arguments, strict=True):
                shape, dtype = candidate.out(*args)
                packed.append(pack((tuple(int(each) for each in shape), str(dtype)), buffers))
            self._sent = json.dumps(self.packed) if self._mutable else None
        self._file = file_of(buffers)
        self._content = read(self._file, buffers.size) if self._file is not None else bytearray()

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return len(self._content)

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)

    def ask(self, child: Child) -> Answer:
        """Let a child answer these calls."""
        if self._device is None:
            return child.call(self.packed, self._file)
        return self._ask_on_device(child, self._device)

    def _ask_on_device(self, child: Child, device: str) -> Answer:
        from loopsmith.harness import tensors

        key = int.from_bytes(os.urandom(7), "little")
        arguments = self.copies()
        sealed, small = Buffers(), Buffers()
        packed = pack(tensors.seal_all(tensors.find(arguments), key), sealed)
        calls = [[pack(each, small) for each in tensors.skeleton(args)] for args in arguments]
        large, file = file_of(sealed), file_of(small)
        try:
            child.ask("hold", large, tensors=packed, device=device)
            tensors.flush_cache(device)
            answer, digest, skeleton = child.call_on_device(calls, file, key)
        finally:
            for number in (large, file):
                if number is not None:
                    os.close(number)
        try:
            results = [unpack(each, answer.memory) for each in answer.results]
        except (ValueError, RecursionError, MemoryError):
            raise Rejected("wrong: an answer that is not one") from None
        same = digest == tensors.digest(tensors.find(results), key)
        if not same or skeleton != json.loads(json.dumps(pack(tensors.skeleton(results), Buffers()))):
            raise Rejected("flagged: the results are not what they were when the clock stopped")
        return answer

    def copies(self) -> list[tuple[Any, ...]]:
        """The arguments of each call, made anew; to be changed as one likes."""
        memory = bytearray(self._content)
        return [
            tuple(unpack(each, memory) for each in packed[:count])
            for packed, count in zip(self.packed, self._counts, strict=True)
        ]

    def check_unchanged(self, child: Child) -> None:
        """What the candidate got is as it was.

        Raises:
            Rejected: it changed an argument.
        """
        changed = self._file is not None and read(self._file, len(self._content)) != self._content
        if self._mutable and not changed:
            results, content = child.arguments()
            changed = json.dumps(results) != self._sent or content != self._content
        if changed:
            raise Rejected("wrong: the candidate changed its arguments")


def digest(args: tuple[Any, ...]) -> bytes:
    """Tells the arguments of one call from all others."""
    buffers = Buffers()
    found = hashlib.sha256(json.dumps(_pack(args, buffers)).encode())
    for part in buffers.parts():
        found.update(part)
    return found.digest()


def file_of(buffers: Buffers | bytearray) -> int | None:
    """A file in memory with what is given; None when that is nothing."""
    if isinstance(buffers, bytearray):
        content, buffers = buffers, Buffers()
        buffers.add(content)
    if not buffers.size:
        return None
    file = memory_file(buffers.size)
    buffers.write(file)
    return file


def _pack(args: tuple[Any, ...], buffers: Buffers) -> list[Any]:
    try:
        return [pack(each, buffers) for each in args]
    except TypeError as error:
        raise UsageError(f"harness: `inputs` gives what cannot be passed on: {error}") from error


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray
