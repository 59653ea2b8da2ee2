"""A function of a shared object, as one that takes and gives values."""

from collections.abc import Callable, Sequence
from typing import Any

TYPES = {
    **{f"int{bits}": f"c_int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"c_uint{bits}" for bits in (8, 16, 32, 64)},
    "float32": "c_float",
    "float64": "c_double",
    "bool": "c_bool",
    "int": "c_int",
    "long": "c_long",
    "size_t": "c_size_t",
}


def load(path: str, name: str, *, arguments: Sequence[str], returns: str, out: bool) -> Callable[..., Any]:
    """The function; where `out`, its last argument is the shape and dtype of the array that it fills."""
    import ctypes

    symbol = getattr(ctypes.CDLL(path), name)
    symbol.argtypes = [getattr(ctypes, TYPES.get(kind, "c_void_p")) for kind in arguments]
    symbol.restype = None if returns == "void" else getattr(ctypes, TYPES.get(returns, "c_void_p"))

    def call(*args: Any) -> Any:
        made = None
        if out:
            import numpy

            made = numpy.empty(*args[-1])
            args = (*args[:-1], made)
        got = symbol(*(address(arg) if kind == "pointer" else arg for kind, arg in zip(arguments, args, strict=True)))
        return made if out else got

    return call


def address(value: Any) -> Any:
    """Where a value's memory is."""
    import ctypes

    if isinstance(value, bytearray):
        return (ctypes.c_char * len(value)).from_buffer(value)
    return value if isinstance(value, bytes) or value is None else value.ctypes.data
