"""Nodes for what the native side of a worker does around a call. Standard library only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any


class Configured:
    """Returns its parameters."""

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    def process(self, data: Any) -> Any:
        """All of them, by name."""
        return self.parameters


class FailsIn:
    """Raises in the method that its parameter names."""

    def __init__(self, where: str = "process") -> None:
        self.where = where
        self.fail("__init__")

    def fail(self, here: str) -> None:
        """Raise if it is here."""
        if here == self.where:
            raise OSError(f"failed in {here}")

    def initialize(self) -> None:
        """Called before the first item."""
        self.fail("initialize")

    def process(self, data: Any) -> Any:
        """The process for "pid"; fails, or returns its input, for every other item."""
        if data == "pid":
            return os.getpid()
        self.fail("process")
        return data

    def flush(self) -> Any:
        """Called at the end of the input."""
        self.fail("flush")

    def cleanup(self) -> None:
        """Called when the session closes."""
        self.fail("cleanup")


class Yields:
    """A generator that reports how it ended in the next call."""

    def __init__(self) -> None:
        self.end = "not begun"

    def process(self, data: Any) -> Iterator[Any]:
        """The end of the call before, then `data`, then a lock, which cannot travel."""
        yield self.end
        self.end = "open"
        try:
            yield data
            if data == "lock":
                yield threading.Lock()
            self.end = "exhausted"
        except GeneratorExit:
            self.end = "closed"
            raise


class Opens:
    """An object that no worker can unpickle."""

    def __reduce__(self) -> Any:
        """Pickles as a call that raises."""
        return int, ("not a number",)


class Remembers:
    """Changes some of its attributes."""

    def __init__(self) -> None:
        self.seen = 0
        self.names = ["first"]
        self.untouched = ["as", "it", "was"]
        self.removed = True

    def process(self, data: Any) -> Any:
        """How many items there were."""
        self.seen += 1
        self.names.append(data)
        self.lock = threading.Lock()
        self.__dict__.pop("removed", None)
        return self.seen
