"""Nodes that give and take objects whose classes not every interpreter has."""

from __future__ import annotations

from typing import Any

import numpy as np

from remotemedia import Node


class Frame:
    """A class of a module that needs a C extension, with a value of that."""

    kind = np.float32

    def __init__(self, level: int) -> None:
        self.level = level


class GivesFrame(Node):
    """Needs the extension, and gives an object of its module."""

    def process(self, data: Any, /) -> Any:
        return Frame(int(np.asarray(data).sum()))


class GivesLocal(Node):
    """Needs the extension, and gives an object whose class stands in a function."""

    def process(self, data: Any, /) -> Any:
        total = int(np.asarray(data).sum())

        class Level:
            level = total

        return Level()
