"""Arrays of numpy with all that numbers can be, and views with the same numbers beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from remotemedia import AudioView

Array: TypeAlias = NDArray[Any]

REAL = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
REAL += ["float16", "float32", "float64"]
KINDS = [*REAL, "complex64", "complex128"]


def random(kind: str, shape: tuple[int, ...], seed: int) -> Array:
    """Numbers of all sizes, with zeros, both ends of the range, infinities and NaN."""
    generator = np.random.default_rng(seed)
    dtype = np.dtype(kind)
    size = int(np.prod(shape))
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        some = generator.integers(ends.min, ends.max, size, dtype, endpoint=True)
        some = np.where(generator.random(size) < 0.5, some % dtype.type(9), some)
        special = np.array([0, ends.min, ends.max], dtype)
    elif dtype.kind == "b":
        some, special = generator.random(size) < 0.5, np.array([False])
    else:
        some = generator.normal(size=size) * 10.0 ** generator.integers(-3, 4, size)
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0])
    if dtype.kind == "c":
        some = some + 1j * generator.normal(size=size)
    some = np.where(generator.random(size) < 0.1, generator.choice(special, size), some)
    return some.astype(dtype).reshape(shape)


def view_of(array: Array) -> Any:
    """The view with the numbers of an array, strided where the array is."""
    if array.ndim == 2 and not array.flags.c_contiguous and array.flags.f_contiguous:
        return AudioView(np.ascontiguousarray(array.T)).T
    if array.ndim and not array.flags.c_contiguous:
        wide = AudioView.zeros((*array.shape[:-1], array.shape[-1] * 2), str(array.dtype))
        wide[..., ::2] = np.ascontiguousarray(array)
        return wide[..., ::2]
    return AudioView(array)


def assert_same(view: Any, expected: Any, *, is_exact: bool = True) -> None:
    """Same dtype, shape and numbers; NaN equals NaN, and zeros have their sign."""
    expected = np.asarray(expected)
    assert view.dtype == str(expected.dtype)
    assert view.shape == expected.shape
    seen = np.asarray(view)
    if expected.dtype.kind == "c" or not is_exact:
        # A compiler may add and multiply complex numbers in one step.
        epsilon = np.finfo(expected.dtype).eps if expected.dtype.kind in "fc" else 0
        assert np.allclose(seen, expected, rtol=8 * epsilon, atol=8 * epsilon, equal_nan=True)
        return
    assert np.array_equal(seen, expected, equal_nan=expected.dtype.kind == "f")
    assert np.array_equal(np.signbit(seen[seen == seen]), np.signbit(expected[seen == seen])) or (
        expected.dtype.kind not in "f"
    )


def result(call: Callable[..., Any], *operands: Any) -> Any:
    """What a call gives, or the type of its error."""
    try:
        return call(*operands)
    except (TypeError, ValueError, OverflowError) as error:
        return next(
            kind for kind in (OverflowError, TypeError, ValueError) if isinstance(error, kind)
        )
