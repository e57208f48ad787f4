"""The two kinds of node that live in the caller's process: where its data enters and leaves.

Everything else runs in the orchestrator or in a worker. In the graph that runs, their places are
held by nodes that pass everything through.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from remotemedia.core.node import Node


class CallerSource(Node):
    """A root of the graph whose items the caller's own threads or tasks provide."""

    is_source = True

    @abstractmethod
    def items(self) -> Iterator[Any]:
        """The items, until the caller closes the source. May block."""

    def process(self, data: Any = None, /) -> Any:
        """An item that comes from elsewhere passes through."""
        return data


class CallerSink(Node):
    """An end of the graph that hands every output to the caller as soon as it is made."""

    is_sink = True

    @abstractmethod
    def deliver(self, value: Any) -> None:
        """Take one output."""

    def process(self, data: Any, /) -> Any:
        """An item passes through; with further nodes behind it the hand-over is made here."""
        self.deliver(data)
        return data


__all__ = ["CallerSink", "CallerSource"]
