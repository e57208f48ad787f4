"""The nodes of the scripts about RemoteMedia alone."""

from __future__ import annotations

from common import Array

from remotemedia import Node


class PlusOne(Node):
    """A fresh array, one more everywhere."""

    def process(self, data: Array) -> Array:
        """The work."""
        return data + 1


class Ordered(Node):
    """As `PlusOne`, but fails unless the first samples of its frames count up from zero."""

    def initialize(self) -> None:
        """No frame yet."""
        self.seen = 0

    def process(self, data: Array) -> Array:
        """The work."""
        if data[0] != self.seen:
            raise ValueError(f"frame {data[0]:.0f} came as number {self.seen}")
        self.seen += 1
        return data + 1
