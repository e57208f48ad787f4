"""`AudioView`: the arrays of this interpreter. On CPython that is numpy's array.

RustPython has no numpy. Its views show a block of memory, which other processes may see too. Every
plain dtype of numpy can be held, indexed, sliced, looked at through a `memoryview` and passed on.
Arithmetic is for bool, uint8, int16, int32, float32 and float64, with numpy's dtypes and results:
`+ - * /`, `**` of floats, `abs`, comparisons, `& | ~` of masks, masks as subscripts, `sum`, `mean`,
`min`, `max`, `any`, `all`, `clip`, `astype`. Floats are added up in double precision, so sums agree
with numpy's within the rounding of the dtype. `rms`, `peak`, `scale` and `mix` are the
views' own. A node that asks for more moves to CPython.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy import ndarray

    AudioView: TypeAlias = ndarray
    numpy: Any
elif sys.implementation.name == "rustpython":
    from _remotemedia_native import AudioView

    numpy = None
else:
    try:
        import numpy
    except ImportError as problem:
        message = f"arrays need numpy, which {sys.executable} has not: pip install numpy there"
        raise ModuleNotFoundError(message, name="numpy") from problem
    AudioView = numpy.ndarray


_KINDS = {"bool": "b", "int": "i", "uint": "u", "float": "f", "complex": "c"}
_DIGITS = "0123456789"


class Dtype(str):
    """The dtype of a view: its name, with the attributes of a dtype of numpy."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name alone, as numpy has it."""
        return str(self)

    @property
    def kind(self) -> str:
        """One letter: `b` for truths, `i` and `u` for integers, `f` for floats, `c` for complex."""
        return _KINDS[self.rstrip(_DIGITS)]

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        return int(self[len(self.rstrip(_DIGITS)) :] or 8) // 8

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def restore(
    data: bytes | memoryview, dtype: str, shape: tuple[int, ...], sample_rate: int | None
) -> Any:
    """The array that was pickled as a view: a view again, or numpy's array on CPython."""
    if numpy is not None:
        return numpy.frombuffer(bytearray(data), dtype).reshape(shape)
    views: Any = AudioView
    return views(data, dtype, sample_rate).reshape(*shape)


__all__ = ["AudioView", "Dtype", "restore"]
