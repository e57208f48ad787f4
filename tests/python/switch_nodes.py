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


class Recounts(Node):
    """Looks into objects, and counts them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.count = 0

    def process(self, data: Any, /) -> Any:
        self.count += 1
        return [here(), data.level, self.count]


class MissesAModule(Node):
    """Imports what is nowhere."""

    def process(self, data: Any, /) -> Any:
        import numpi  # type: ignore[import-not-found]

        return [*data, numpi.zeros(1)]


class GivesThenNeedsNumpy(Node):
    """Needs a C extension for the second item only."""

    def process(self, data: Any, /) -> Any:
        if data == 2:
            import numpy as np

            return [here(), int(np.arange(4).sum())]
        return [here(), data]


class Keeps(Node):
    """Holds something that cannot travel."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def process(self, data: Any, /) -> Any:
        return [*data, here()]
