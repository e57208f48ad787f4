"""Arrays of plain numbers where numpy is not: `AudioView`, in every interpreter natively.

A view shows a block of memory, which other processes may see too. It has a shape, a dtype and
perhaps a sample rate; it can be indexed, sliced, iterated over and given to whatever takes buffers;
slices are views of the same memory, what masks and lists of places choose is copied. Operators,
sums and the like run at the speed of the machine, with numpy's dtypes and results; floats are added
up in double precision, so sums agree with numpy's within the rounding of the dtype::

    def process(self, data):
        samples, rate = data
        return samples * (0.5 / samples.peak()), rate
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remotemedia._native import AudioView
elif sys.implementation.name == "rustpython":
    from _remotemedia_native import AudioView
else:
    from remotemedia._load import native

    AudioView = native().AudioView


_KINDS = {"bool": "b", "int": "i", "uint": "u", "float": "f", "complex": "c"}
_DIGITS = "0123456789"


class Dtype(str):
    """What the numbers of a view are: the name, with what a dtype of numpy says of itself."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name alone, as numpy has it."""
        return str(self)

    @property
    def kind(self) -> str:
        """One letter: `b` for truths, `i` and `u` for integers, `f` for floats, `c` for complex."""
        return _KINDS.get(self.rstrip(_DIGITS)) or self.lstrip("<>|=")[:1]

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        name = self.rstrip(_DIGITS)
        size = self[len(name) :]
        if name in _KINDS:
            return int(size or 8) // 8
        # What is no plain number has the text of numpy's typestring, `U` with four bytes a letter.
        return int(size or 0) * (4 if name.endswith("U") else 1)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def restore(data: bytes, dtype: str, shape: tuple[int, ...], sample_rate: int | None) -> Any:
    """The array that was pickled as a view: a numpy array where numpy is loaded, else a view."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        return numpy.frombuffer(bytearray(data), dtype).reshape(shape)
    return AudioView(data, dtype, sample_rate).reshape(*shape)


__all__ = ["AudioView", "Dtype", "restore"]
