"""Nodes that tell which interpreter runs them, and nodes that not every interpreter can run."""

from __future__ import annotations

import sys
from typing import Any

from remotemedia import Node


def here() -> str:
    """The interpreter that runs this."""
    return sys.implementation.name


class Where(Node):
    """Adds the interpreter to the list that comes."""

    def process(self, data: Any, /) -> Any:
        return [*data, here()]


class NumpyInCall(Node):
    """Needs a C extension when it is called, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def process(self, data: Any, /) -> Any:
        self.given.append(list(data))
        import numpy as np

        return [*data, f"{here()} {int(np.arange(4).sum())}"]


class NumpyInInitialize(Node):
    """Needs a C extension before the first item."""

    def initialize(self) -> None:
        import numpy

        self.version = numpy.__version__

    def process(self, data: Any, /) -> Any:
        return [*data, here()]


class NumpyIfThereIs(Node):
    """Looks for a C extension and does without it."""

    def process(self, data: Any, /) -> Any:
        try:
            import numpy
        except ImportError:
            return [*data, f"{here()} without"]
        return [*data, f"{here()} with {numpy.__name__}"]


class FailsOnRustPython(Node):
    """Raises in one interpreter, for a reason that nobody knows."""

    def process(self, data: Any, /) -> Any:
        if here() == "rustpython":
            raise ValueError("not here")
        return [*data, here()]


class Keeps(Node):
    """Holds something that cannot travel."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def process(self, data: Any, /) -> Any:
        return [*data, here()]
