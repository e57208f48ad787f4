"""The historic home of `DataSinkNode`."""

from remotemedia.nodes.io_nodes import DataSinkNode

__all__ = ["DataSinkNode"]
