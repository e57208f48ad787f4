"""Nodes in a module whose other parts need a C extension as soon as it is loaded."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy import pi

from remotemedia import Node

TABLE = np.zeros(10)
TURN = 2 * pi
SETTINGS: dict[str, Any] = {}
SETTINGS["window"] = np.ones(3)
if np.__version__:
    NEW = True


class Other(Node):
    """Cannot even be defined without the extension."""

    window = np.hanning(256)

    def process(self, data: Any, /) -> Any:
        return [*data, f"{sys.implementation.name} {len(self.window)}"]


class Gain(Node):
    """Needs none of it."""

    def process(self, data: Any, /) -> Any:
        return [*data, sys.implementation.name]


class Settles(Node):
    """Needs what a statement puts into a table."""

    def process(self, data: Any, /) -> Any:
        return [*data, f"{sys.implementation.name} {len(SETTINGS.get('window', ()))}"]


class Turns(Node):
    """Needs a number that was made of the extension's."""

    def process(self, data: Any, /) -> Any:
        return [*data, f"{sys.implementation.name} {int(TURN)}"]


def _sum() -> str:
    try:
        return f"{sys.implementation.name} {int(np.arange(4).sum())}"
    except Exception:  # as nodes do
        return "swallowed"


class Swallows(Node):
    """Would go on with a wrong result."""

    def process(self, data: Any, /) -> Any:
        return [*data, _sum()]


class RaisesItsOwn(Node):
    """Says it in words of its own."""

    def process(self, data: Any, /) -> Any:
        try:
            return [*data, f"{sys.implementation.name} {int(np.arange(4).sum())}"]
        except ImportError:
            raise RuntimeError("no table") from None
