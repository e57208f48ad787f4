"""`AudioView`: the array class of this interpreter; on CPython it is `numpy.ndarray`.

RustPython has no numpy. Its `AudioView` is a view of a block of memory, which may be shared with
other processes. It can hold, index, slice and pass on every plain dtype of numpy, and offers a
`memoryview`. It computes with bool, uint8, int16, int32, float32 and float64, with numpy's dtypes
and results: `+ - * /`, `**` of floats, `abs`, comparisons, `& | ~` of masks, masks as subscripts,
`sum`, `mean`, `min`, `max`, `any`, `all`, `clip`, `astype`. Floats are added up in double
precision, so sums equal numpy's within the rounding of the dtype. `rms`, `peak`, `scale` and `mix`
exist only here. A node that uses any other function of numpy's arrays moves to CPython.
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
        message = f"arrays need numpy, which {sys.executable} lacks: pip install numpy there"
        raise ModuleNotFoundError(message, name="numpy") from problem
    AudioView = numpy.ndarray


_KINDS = {"bool": "b", "int": "i", "uint": "u", "float": "f", "complex": "c"}
_DIGITS = "0123456789"


class Dtype(str):
    """The dtype of a view: its name as a str, with some attributes of `numpy.dtype`."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Numpy's name of the dtype."""
        return str(self)

    @property
    def kind(self) -> str:
        """One letter: `b` for bool, `i` and `u` for integers, `f` for floats, `c` for complex."""
        return _KINDS[self.rstrip(_DIGITS)]

    @property
    def itemsize(self) -> int:
        """Size of one element, in bytes."""
        return int(self[len(self.rstrip(_DIGITS)) :] or 8) // 8

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def restore(
    data: bytes | memoryview, dtype: str, shape: tuple[int, ...], sample_rate: int | None
) -> Any:
    """Make the array of a pickled view: a view again, or numpy's array on CPython."""
    if numpy is not None:
        return numpy.frombuffer(bytearray(data), dtype).reshape(shape)
    views: Any = AudioView
    return views(data, dtype, sample_rate).reshape(*shape)


__all__ = ["AudioView", "Dtype", "restore"]
