"""Nodes for workers of another version of Python: the standard library alone."""

from __future__ import annotations

import sys
from typing import Any

from remotemedia.core import Node


class Version(Node):
    """Says which Python runs it, and counts."""

    def __init__(self, start: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.count = start

    def process(self, data: Any, /) -> tuple[str, int, Any]:
        self.count += 1
        return ".".join(map(str, sys.version_info[:2])), self.count, data


class Views(Node):
    """Computes with numpy, and says what its input is and where its output lies."""

    def process(self, data: Any, /) -> tuple[str, str, str, Any]:
        multiarray = sys.modules.get("numpy._core.multiarray")
        multiarray = multiarray or sys.modules["numpy.core.multiarray"]
        made = data * 0.5
        handler: Any = multiarray.get_handler_name(made)  # type: ignore[attr-defined, unused-ignore]
        numpy = sys.modules["numpy"].__version__
        return numpy, type(data.base).__name__, handler, made


class Failing(Node):
    """Fails for 0."""

    def process(self, data: int, /) -> float:
        return 1 / data


class Doubled(Node):
    """An async generator, for the other half of the guest."""

    async def process(self, data: Any, /) -> Any:
        yield data
        yield data * 2
