"""Taking audio items apart: `(array, sample_rate[, metadata...])`, array (channels, samples)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def split(item: Any, taker: str) -> tuple[NDArray[np.float32], int, tuple[Any, ...]]:
    """`(samples, sample_rate, rest)`: float32 of shape (channels, samples), Hz, further elements.

    Integer samples are scaled to [-1, 1). A one-dimensional array becomes one channel.

    Raises:
        TypeError: `item` is no such tuple; the message names `taker`.
    """
    import numpy as np

    if not (
        isinstance(item, tuple)
        and len(item) >= 2
        and isinstance(item[0], np.ndarray)
        and item[0].ndim in (1, 2)
        and isinstance(item[1], int | np.integer)
    ):
        raise TypeError(
            f"{taker} takes (array, sample_rate) with an array of shape (channels, samples), "
            f"not {type(item).__name__}"
        )
    samples = np.atleast_2d(item[0])
    if np.issubdtype(samples.dtype, np.integer):
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min or -1)
    return samples.astype(np.float32, copy=False), int(item[1]), item[2:]


__all__ = ["split"]
