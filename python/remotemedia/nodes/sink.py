"""`DataSinkNode` under its old module name, kept for old scripts."""

from remotemedia.nodes.io_nodes import DataSinkNode

__all__ = ["DataSinkNode"]
