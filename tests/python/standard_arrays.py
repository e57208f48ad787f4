"""Nodes that use the arrays of the standard library."""

from __future__ import annotations

import array
from typing import Any


class Make:
    """Gives an `array.array`."""

    def process(self, data: int) -> Any:
        """Floats."""
        return array.array("f", range(data))


class Show:
    """Looks at an array through a `memoryview`."""

    def process(self, data: Any) -> Any:
        """Its format and numbers."""
        seen = memoryview(data)
        return seen.format, seen.tolist()
