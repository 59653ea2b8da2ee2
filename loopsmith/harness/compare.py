"""Whether a result is the expected one: the same exact types, shapes and values, floats within a tolerance."""

import math
import sys
from collections.abc import Sequence
from typing import Any


def same(expected: Any, actual: Any, rtol: float = 0.0, atol: float = 0.0) -> bool:
    """Whether |expected - actual| <= atol + rtol * |expected| for every float, and all else is equal.

    NaN equals NaN. An array or tensor must have the expected dtype and shape.
    """
    kind = type(expected)
    if type(actual) is not kind:
        return False
    if kind is float:
        return close(expected, actual, rtol, atol)
    if kind is complex:
        return close(expected.real, actual.real, rtol, atol) and close(expected.imag, actual.imag, rtol, atol)
    if kind is list or kind is tuple:
        return len(expected) == len(actual) and all(
            same(one, other, rtol, atol) for one, other in zip(expected, actual, strict=True)
        )
    if kind is dict:
        return expected.keys() == actual.keys() and all(
            same(each, actual[key], rtol, atol) for key, each in expected.items()
        )
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and issubclass(kind, (numpy.ndarray, numpy.generic)):
        if expected.dtype != actual.dtype or expected.shape != actual.shape:
            return False
        if expected.dtype.kind in "fc" and (rtol or atol):
            return bool(numpy.allclose(actual, expected, rtol, atol, equal_nan=True))
        return bool(numpy.array_equal(expected, actual, equal_nan=expected.dtype.kind in "fcmM"))
    if torch is not None and kind is torch.Tensor:
        if expected.dtype != actual.dtype or expected.shape != actual.shape:
            return False
        if expected.is_floating_point() or expected.is_complex():
            wide = torch.complex128 if expected.is_complex() else torch.float64
            return bool(torch.allclose(actual.to(wide), expected.to(wide), rtol, atol, equal_nan=True))
        return bool(torch.equal(expected, actual))
    return bool(expected == actual)


def close(expected: float, actual: float, rtol: float, atol: float) -> bool:
    if math.isnan(expected) or math.isinf(expected) or math.isnan(actual):
        return expected == actual or (math.isnan(expected) and math.isnan(actual))
    return abs(expected - actual) <= atol + rtol * abs(expected)


def short(value: Any) -> str:
    """A value in a message."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        text = f"a {type(value).__name__}"
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"


def call_text(args: Sequence[Any]) -> str:
    return f"({', '.join(map(short, args))})"
