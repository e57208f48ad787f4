"""Arithmetic on two numbers."""

from __future__ import annotations

from typing import Any

from remotemedia.nodes._native_backed import NativeBackedNode
from remotemedia.nodes._shapes import CalculatorError as CalculatorError
from remotemedia.nodes._shapes import CalculatorInput as CalculatorInput
from remotemedia.nodes._shapes import CalculatorOperation as CalculatorOperation
from remotemedia.nodes._shapes import CalculatorOutput as CalculatorOutput

_OPERATIONS = ("add", "multiply", "subtract", "divide", "power", "modulo")


class CalculatorNode(NativeBackedNode):
    """Computes with two numbers.

    A number is combined with `operand`; a dict `{"operation", "args": [a, b]}` or
    `{"operation", "operands": [a, b]}` says itself what to compute and comes back with `result`.
    Numbers follow Python, NaN and infinity included; integers have up to a million bits.

    Args:
        operation: add, subtract, multiply, divide, power or modulo.
        operand: the second number.
        **kwargs: see `Node`.
    """

    native_type = "CalculatorNode"

    def __init__(self, operation: str = "add", operand: float = 0, **kwargs: Any) -> None:
        self.operation = operation
        self.operand = operand
        super().__init__(**kwargs)

    def native_params(self) -> dict[str, Any]:
        """The parameters `operation` and `operand`."""
        return {"operation": self.operation, "operand": self.operand}

    def get_supported_operations(self) -> list[str]:
        """The names of the operations."""
        return list(_OPERATIONS)


__all__ = ["CalculatorNode"]
