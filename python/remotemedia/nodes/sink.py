"""`DataSinkNode` under its old module name, and the original's names for media files."""

from typing import Any

from remotemedia._lazy import historic
from remotemedia.nodes.io_nodes import DataSinkNode


def __getattr__(name: str) -> Any:
    return historic(__name__, name)


__all__ = ["DataSinkNode"]
