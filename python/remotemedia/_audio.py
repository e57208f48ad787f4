"""Arrays of plain numbers where numpy is not: `AudioView`, in every interpreter natively.

A view shows a block of memory, which other processes may see too. It has a shape, a dtype and
perhaps a sample rate; it can be indexed, sliced, iterated over and given to whatever takes buffers;
slices are views of the same memory. Operators, sums and the like run at the speed of the machine,
with numpy's dtypes and results::

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


def restore(data: bytes, dtype: str, shape: tuple[int, ...], sample_rate: int | None) -> Any:
    """The array that was pickled as a view: a numpy array where numpy is loaded, else a view."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        return numpy.frombuffer(bytearray(data), dtype).reshape(shape)
    return AudioView(data, dtype, sample_rate).reshape(*shape)


__all__ = ["AudioView", "restore"]
