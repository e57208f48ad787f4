"""The simplest nodes: passing through and collecting."""

from __future__ import annotations

from typing import Any

from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.node import Node
from remotemedia.nodes._native_backed import NativeBackedNode


class PassThroughNode(NativeBackedNode):
    """Every item unchanged."""

    native_type = "PassThroughNode"

    def native_params(self) -> dict[str, Any]:
        """It has none."""
        return {}

    def process(self, data: Any, /) -> Any:
        """The item."""
        return data


class BufferNode(Node):
    """Collects items and gives them as lists of `buffer_size`; the rest comes with the flush.

    Args:
        buffer_size: items per list, at least 1.
        **kwargs: as for `Node`.
    """

    def __init__(self, buffer_size: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if buffer_size < 1:
            raise ConfigurationError(f"buffer_size must be at least 1, not {buffer_size}")
        self.buffer_size = buffer_size
        self._buffer: list[Any] = []

    def process(self, data: Any, /) -> list[Any] | None:
        """A full list, or None until there is one."""
        self._buffer.append(data)
        return self.flush() if len(self._buffer) >= self.buffer_size else None

    def flush(self) -> list[Any]:
        """The items collected so far; empty when there are none."""
        collected, self._buffer = self._buffer, []
        return collected


__all__ = ["BufferNode", "PassThroughNode"]
