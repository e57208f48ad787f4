"""Nodes that pass items through or collect them."""

from __future__ import annotations

from typing import Any

from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.node import Node
from remotemedia.nodes._native_backed import NativeBackedNode
from remotemedia.nodes._shapes import BufferError as BufferError  # noqa: A004
from remotemedia.nodes._shapes import BufferInput as BufferInput
from remotemedia.nodes._shapes import BufferOutput as BufferOutput
from remotemedia.nodes._shapes import PassThroughError as PassThroughError
from remotemedia.nodes._shapes import PassThroughInput as PassThroughInput
from remotemedia.nodes._shapes import PassThroughOutput as PassThroughOutput


class PassThroughNode(NativeBackedNode):
    """Returns every item unchanged."""

    native_type = "PassThroughNode"

    def native_params(self) -> dict[str, Any]:
        """An empty dict: this node has no parameters."""
        return {}

    def process(self, data: Any, /) -> Any:
        """The item itself."""
        return data


class BufferNode(Node):
    """Collects items and returns them in lists of `buffer_size`; `flush` returns the rest.

    Args:
        buffer_size: items per list, at least 1.
        **kwargs: see `Node`.

    Attributes:
        buffer: the items that wait.
    """

    def __init__(self, buffer_size: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if buffer_size < 1:
            raise ConfigurationError(f"buffer_size must be at least 1, not {buffer_size}")
        self.buffer_size = buffer_size
        self.buffer: list[Any] = []

    def process(self, data: Any, /) -> list[Any] | None:
        """A full list of items, or None while the list is not full."""
        self.buffer.append(data)
        return self.flush() if len(self.buffer) >= self.buffer_size else None

    def flush(self) -> list[Any]:
        """The items collected since the last list."""
        collected, self.buffer = self.buffer, []
        return collected


__all__ = ["BufferNode", "PassThroughNode"]
