"""`DataSourceNode` under its old module name, kept for old scripts."""

from remotemedia.nodes.io_nodes import DataSourceNode

__all__ = ["DataSourceNode"]
