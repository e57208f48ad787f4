"""Nodes in a module whose other parts need a C extension as soon as it is loaded."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
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


class SwallowsInGenerator(Node):
    """Goes on without, in a generator."""

    def process(self, data: Any, /) -> Iterator[Any]:
        yield [*data, _sum()]


class SwallowsInAsyncGenerator(Node):
    """Goes on without, in an async generator."""

    async def process(self, data: Any, /) -> AsyncIterator[Any]:
        yield [*data, _sum()]


class SwallowsInCoroutine(Node):
    """Goes on without, in a coroutine."""

    async def process(self, data: Any, /) -> Any:
        return [*data, _sum()]


class SwallowsInInitialize(Node):
    """Goes on without, before the first item."""

    def initialize(self) -> None:
        self.found = _sum()

    def process(self, data: Any, /) -> Any:
        return [*data, self.found]


class SwallowsInFlush(Node):
    """Goes on without, at the end."""

    def process(self, _data: Any, /) -> None:
        return None

    def flush(self) -> Any:
        return [_sum()]


class SwallowsInStream(Node):
    """Goes on without, over a stream."""

    is_streaming = True

    def process(self, items: Iterator[Any], /) -> Iterator[Any]:
        for data in items:
            yield [*data, _sum()]


class RaisesItsOwn(Node):
    """Says it in words of its own."""

    def process(self, data: Any, /) -> Any:
        try:
            return [*data, f"{sys.implementation.name} {int(np.arange(4).sum())}"]
        except ImportError:
            raise RuntimeError("no table") from None
