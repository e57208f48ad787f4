"""Nodes that are given arrays and need no numpy of their own."""

from __future__ import annotations

import sys
from typing import Any

from remotemedia.core import Node


class Held(Node):
    """Gives back what it gets, counts its calls and says which interpreter runs it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def process(self, data: Any, /) -> tuple[str, int, Any]:
        self.calls += 1
        return sys.implementation.name, self.calls, data


class Deviation(Node):
    """Asks for a method of numpy's arrays that views have not."""

    def process(self, data: Any, /) -> tuple[str, float]:
        return sys.implementation.name, float(data.std())


class AddsSums(Node):
    """Computes with a dtype that views only pass on."""

    def process(self, data: Any, /) -> tuple[str, Any]:
        return sys.implementation.name, data.sum(axis=0) + 1
