"""Nodes in a module that needs numpy, without a way out."""

from __future__ import annotations

from typing import Any

import numpy as np

from remotemedia import Node


class Halves(Node):
    """Uses what numpy's arrays and views of audio have."""

    def process(self, data: Any, /) -> Any:
        return data * 0.5


class Spread(Node):
    """Uses what numpy's arrays have and views of audio have not."""

    def process(self, data: Any, /) -> Any:
        return data.repeat(2)


class Louder(Node):
    """Uses two lists of places at once, which views of audio do not take."""

    def process(self, data: Any, /) -> Any:
        return data.reshape(2, -1)[[0, 1], [2, 3]]


class Swallows(Node):
    """Would go on with a wrong result where numpy is missing."""

    def process(self, data: Any, /) -> Any:
        try:
            return float(np.sum(data))
        except Exception:  # as nodes do
            return "swallowed"
