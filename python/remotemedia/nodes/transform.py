"""Any function on text as a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remotemedia.core.node import Node


class TextTransformNode(Node):
    """Applies `transform_func` to a text, or to the text that leads a tuple.

    Args:
        transform_func: takes and gives a text; a lambda is fine.
        **kwargs: as for `Node`.
    """

    def __init__(self, transform_func: Callable[[str], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.transform_func = transform_func

    def process(self, data: Any, /) -> Any:
        """The transformed text; a tuple keeps its other elements.

        Raises:
            TypeError: there is no text.
        """
        text = data[0] if isinstance(data, tuple) and data else data
        if not isinstance(text, str):
            raise TypeError(f"TextTransformNode takes a text, not {type(text).__name__}")
        result = self.transform_func(text)
        return (result, *data[1:]) if isinstance(data, tuple) else result


__all__ = ["TextTransformNode"]
