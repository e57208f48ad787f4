"""Nodes in a module that imports a C extension: one uses it, one does not."""

from __future__ import annotations

import sys
from typing import Any

try:
    import numpy as np
except ImportError:
    np = None  # type: ignore[assignment]

from remotemedia import Node


class Uses(Node):
    """Uses the extension."""

    def process(self, data: Any, /) -> Any:
        return [*data, f"{sys.implementation.name} {int(np.arange(4).sum())}"]


class DoesNot(Node):
    """Does not."""

    def process(self, data: Any, /) -> Any:
        return [*data, sys.implementation.name]
