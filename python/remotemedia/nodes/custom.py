"""A node that counts items."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from remotemedia.core.node import Node


class StatefulCounter(Node):
    """Yields `(count,)` for each item of a stream: `initial_value` for the first, one more for each
    that follows.

    Args:
        initial_value: the count of the first item.
        **kwargs: see `Node`.
    """

    is_streaming = True

    def __init__(self, initial_value: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial_value = initial_value
        self.value = initial_value

    async def process(self, data: AsyncIterator[Any], /) -> AsyncIterator[tuple[int]]:
        """Yield the counts."""
        async for _ in data:
            yield (self.value,)
            self.value += 1


__all__ = ["StatefulCounter"]
