"""The historic home of `DataSourceNode`."""

from remotemedia.nodes.io_nodes import DataSourceNode

__all__ = ["DataSourceNode"]
