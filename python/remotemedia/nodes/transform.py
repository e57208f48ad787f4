"""Nodes that change an item by a function of yours, or by name only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remotemedia.core.node import Node
from remotemedia.nodes._shapes import DataTransformError as DataTransformError
from remotemedia.nodes._shapes import DataTransformInput as DataTransformInput
from remotemedia.nodes._shapes import DataTransformOutput as DataTransformOutput
from remotemedia.nodes._shapes import FormatConverterError as FormatConverterError
from remotemedia.nodes._shapes import FormatConverterInput as FormatConverterInput
from remotemedia.nodes._shapes import FormatConverterOutput as FormatConverterOutput
from remotemedia.nodes._shapes import TextTransformError as TextTransformError
from remotemedia.nodes._shapes import TextTransformInput as TextTransformInput
from remotemedia.nodes._shapes import TextTransformOutput as TextTransformOutput


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


class DataTransform(Node):
    """Returns every item unchanged; the original SDK had it to be subclassed."""

    def process(self, data: Any, /) -> Any:
        """The item itself."""
        return data


class FormatConverter(Node):
    """Returns every item unchanged; the original SDK had it to be subclassed.

    Args:
        target_format: kept as an attribute.
        **kwargs: see `Node`.
    """

    def __init__(self, target_format: str = "json", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_format = target_format

    def process(self, data: Any, /) -> Any:
        """The item itself."""
        return data


__all__ = ["DataTransform", "FormatConverter", "TextTransformNode"]
