"""`RemoteMediaError`, the base class of all errors of this package."""

from __future__ import annotations

from typing import TypedDict


class Where(TypedDict, total=False):
    """The attributes of every error as arguments."""

    node_id: str | None
    operation: str | None


class RemoteMediaError(Exception):
    """Base class of all errors of this package.

    Attributes:
        node_id: id of the node concerned, or None if it is no single node.
        operation: the operation that failed ("process", "initialize", "parse", ...), or None.
    """

    def __init__(
        self, message: str = "", *, node_id: str | None = None, operation: str | None = None
    ) -> None:
        # All parameters but the message have defaults: unpickling calls `cls(message)` and sets the
        # attributes afterwards.
        super().__init__(message)
        self.node_id = node_id
        self.operation = operation
        # Set by the native module, whose messages name the node already.
        self._names_node = False

    @property
    def message(self) -> str:
        """The message without node and operation."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        """The message, after node and operation unless the message names the node already."""
        if self.node_id is None or self._names_node:
            return self.message
        where = f"node {self.node_id!r}"
        if self.operation is not None:
            where += f", {self.operation}"
        return f"{where}: {self.message}"


__all__ = ["RemoteMediaError", "Where"]
