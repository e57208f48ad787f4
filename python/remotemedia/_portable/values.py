"""Opens values whose own pickle only some interpreters can open."""

from __future__ import annotations

import importlib
from typing import Any


def open_array(
    dtype: str, shape: tuple[int, ...], data: bytes, sample_rate: int | None = None
) -> Any:
    """An array as this interpreter has them: of numpy, else a view."""
    try:
        import numpy as np
    except ImportError:
        return importlib.import_module("remotemedia._audio").restore(
            data, dtype, shape, sample_rate
        )
    return np.frombuffer(bytearray(data), dtype=np.dtype(dtype)).reshape(shape)


def open_scalar(kind: str, value: Any) -> Any:
    """A number of numpy's, or the plain number where there is no numpy."""
    try:
        import numpy as np
    except ImportError:
        return value
    return np.dtype(kind).type(value)


def open_path(kind: str, text: str) -> Any:
    """A path: its class has another home in some versions of Python."""
    import pathlib

    return getattr(pathlib, kind)(text)
