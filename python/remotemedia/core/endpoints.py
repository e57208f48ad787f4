"""The two kinds of nodes that live in the caller's process, where data enters and leaves a
pipeline.

All other nodes run as native nodes or in a worker. In the graph that runs, pass-through nodes stand
in place of these two.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from remotemedia.core.node import Node


class CallerSource(Node):
    """A source whose items come from the caller's own threads or tasks."""

    is_source = True

    @abstractmethod
    def items(self) -> Iterator[Any]:
        """The items, until the caller closes the source. Getting the next item may block."""

    def process(self, data: Any = None, /) -> Any:
        """Return the item unchanged."""
        return data


class CallerSink(Node):
    """A sink that passes each output to the caller as soon as it is made."""

    is_sink = True
    is_final = False
    """Whether a run returns none of the outputs that this sink got."""

    @abstractmethod
    def deliver(self, value: Any) -> None:
        """Take an output."""

    def end(self) -> None:
        """Called once when no more outputs come: the run or the session has ended."""

    def process(self, data: Any, /) -> Any:
        """Return the item unchanged."""
        return data


__all__ = ["CallerSink", "CallerSource"]
