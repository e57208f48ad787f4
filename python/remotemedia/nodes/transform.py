"""A node that applies a function to text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remotemedia.core.node import Node


class TextTransformNode(Node):
    """Applies `transform_func` to a text, or to the text that is the first element of a tuple.

    Args:
        transform_func: takes and returns a text; a lambda is fine.
        **kwargs: see `Node`.
    """

    def __init__(self, transform_func: Callable[[str], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.transform_func = transform_func

    def process(self, data: Any, /) -> Any:
        """The transformed text; a tuple keeps its other elements.

        Raises:
            TypeError: `data` is neither a text nor a tuple that begins with one.
        """
        text = data[0] if isinstance(data, tuple) and data else data
        if not isinstance(text, str):
            raise TypeError(f"TextTransformNode takes a text, not {type(text).__name__}")
        result = self.transform_func(text)
        return (result, *data[1:]) if isinstance(data, tuple) else result


__all__ = ["TextTransformNode"]
