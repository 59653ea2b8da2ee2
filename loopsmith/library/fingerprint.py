"""What a function computes, as a number that stays when a notebook is started again, and changes with what it uses."""

import dis
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, range, type(...))
UNTOLD = ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__")


def fingerprint(function: Any, by_value: Collection[str] = ()) -> str:
    """Of its code, its defaults, and the functions and values that it refers to; what is imported is only named.

    Where a line stands, in which file or cell, does not count. Another Python has other code.

    Args:
        by_value: modules, with all below them, that are looked into as if they were its own.

    Raises:
        Exception: something that it refers to cannot be pickled.
    """
    return _Reader({"__main__", *by_value}).read(function).hex()


class _Reader:
    def __init__(self, own: Collection[str]):
        self._own = own
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used again

    def read(self, value: Any) -> bytes:
        if isinstance(value, PLAIN):
            return _digest(type(value).__name__, repr(value))
        if isinstance(value, (list, tuple)):
            return _digest(type(value).__name__, *map(self.read, value))
        if isinstance(value, (set, frozenset)):
            return _digest(type(value).__name__, *sorted(map(self.read, value)))
        if id(value) in self._seen:
            return _digest("again", str(self._seen[id(value)]))
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        if isinstance(value, dict):
            return _digest("dict", *sorted(_digest(self.read(key), self.read(item)) for key, item in value.items()))
        return _digest(type(value).__name__, *self._parts(value))

    def _parts(self, value: Any) -> Iterator[bytes | str]:
        match value:
            case types.ModuleType():
                yield value.__name__
                if self._is_own(value.__name__):
                    yield self.read({name: item for name, item in vars(value).items() if not name.startswith("__")})
            case types.CodeType():
                yield value.co_name
                yield value.co_code
                yield getattr(value, "co_exceptiontable", b"")
                counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
                yield repr((counts, value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars))
                yield from map(self.read, value.co_consts)
            case _ if self._by_name(value):
                yield f"{value.__module__}.{value.__qualname__}"
            case types.FunctionType():
                yield self.read(value.__code__)
                yield self.read((value.__defaults__, value.__kwdefaults__))
                yield from (self.read(_content(cell)) for cell in value.__closure__ or ())
                for name in sorted(set(_global_names(value.__code__))):
                    if name in value.__globals__:
                        yield name
                        yield self.read(value.__globals__[name])
            case types.MethodType():
                yield self.read(value.__func__)
                yield self.read(value.__self__)
            case functools.partial():
                yield self.read((value.func, value.args, value.keywords))
            case type():
                yield value.__qualname__
                yield from map(self.read, value.__bases__)
                yield self.read({name: item for name, item in vars(value).items() if name not in UNTOLD})
            case property():
                yield self.read((value.fget, value.fset, value.fdel))
            case staticmethod() | classmethod():
                yield self.read(value.__func__)
            case _ if not self._by_name(type(value)) and hasattr(value, "__dict__"):
                yield self.read(type(value))
                yield self.read(vars(value))
            case _:
                yield cloudpickle.dumps(value)

    def _by_name(self, value: Any) -> bool:
        """Whether another process finds it by its name."""
        if inspect.isbuiltin(value):
            return True
        if not isinstance(value, (types.FunctionType, type)) or self._is_own(value.__module__):
            return False
        found: Any = sys.modules.get(value.__module__ or "")
        for name in value.__qualname__.split("."):
            found = getattr(found, name, None)
        return found is value

    def _is_own(self, module: str | None) -> bool:
        return module is None or any(module == own or module.startswith(f"{own}.") for own in self._own)


def _global_names(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # of a name that has no value yet
        return None


def _digest(*parts: bytes | str) -> bytes:
    return hashlib.sha256(b"".join(_sized(parts))).digest()


def _sized(parts: Iterable[bytes | str]) -> Iterator[bytes]:
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        yield len(data).to_bytes(8, "big") + data
