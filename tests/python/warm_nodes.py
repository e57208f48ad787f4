"""A node that runs statements and gives what they find, for tests of what a worker is like inside.
Standard library only.
"""

from __future__ import annotations

import os
from typing import Any

from remotemedia import Node


class Finds(Node):
    """Runs statements, and gives the worker's process id with what they name `found`."""

    def process(self, statements: str) -> tuple[int, Any]:
        names: dict[str, Any] = {"os": os}
        exec(statements, names)
        return os.getpid(), names.get("found")
