"""Counting items."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from remotemedia.core.node import Node


class StatefulCounter(Node):
    """Gives `(count,)` for each item of a stream, where count is `initial_value` plus the number
    of items so far.

    Args:
        initial_value: where counting starts.
        **kwargs: as for `Node`.
    """

    is_streaming = True

    def __init__(self, initial_value: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial_value = initial_value
        self.value = initial_value

    async def process(self, data: AsyncIterator[Any], /) -> AsyncIterator[tuple[int]]:
        """The counts."""
        async for _ in data:
            self.value += 1
            yield (self.value,)


__all__ = ["StatefulCounter"]
