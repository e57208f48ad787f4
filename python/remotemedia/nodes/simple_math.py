"""Nodes that add and multiply numbers."""

from __future__ import annotations

from typing import Any

from remotemedia.nodes._native_backed import NativeBackedNode, one_of


class AddNode(NativeBackedNode):
    """Adds `addend` to a number, to each number of a list, or to each element of an array.

    Numbers follow Python and arrays numpy, NaN and infinity included; integers have up to a million
    bits.
    """

    native_type = "AddNode"

    def __init__(self, addend: float = 0.0, **kwargs: Any) -> None:
        self.addend = addend
        super().__init__(**kwargs)

    def native_params(self) -> dict[str, Any]:
        """The parameter `addend`."""
        return {"addend": self.addend}


class MultiplyNode(NativeBackedNode):
    """Multiplies a number, each number of a list, or each element of an array by `factor`.

    `multiplier` is another spelling of `factor` (default 2). Numbers follow Python and arrays
    numpy, NaN and infinity included; integers have up to a million bits.
    """

    native_type = "MultiplyNode"

    def __init__(
        self, factor: float | None = None, *, multiplier: float | None = None, **kwargs: Any
    ) -> None:
        self.factor: float = one_of({"factor": factor, "multiplier": multiplier}, 2.0)
        super().__init__(**kwargs)

    def native_params(self) -> dict[str, Any]:
        """The parameter `factor`."""
        return {"factor": self.factor}


__all__ = ["AddNode", "MultiplyNode"]
