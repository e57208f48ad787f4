"""A node with simple operations on text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remotemedia.core.node import Node
from remotemedia.nodes._shapes import TextProcessorError as TextProcessorError
from remotemedia.nodes._shapes import TextProcessorInput as TextProcessorInput
from remotemedia.nodes._shapes import TextProcessorOutput as TextProcessorOutput

_OPERATIONS: dict[str, Callable[[str], Any]] = {
    "uppercase": str.upper,
    "lowercase": str.lower,
    "reverse": lambda text: text[::-1],
    "word_count": lambda text: len(text.split()),
    "char_count": len,
    "title_case": str.title,
    "remove_spaces": lambda text: text.replace(" ", ""),
    "first_word": lambda text: next(iter(text.split()), ""),
    "last_word": lambda text: next(reversed(text.split()), ""),
}


class TextProcessorNode(Node):
    """Applies named operations to a text.

    Takes `{"text": str, "operations": [name, ...]}` (default: `["uppercase"]`) and returns
    `{"original_text", "operations", "results", "processed_by", "node_config"}`, with one entry of
    `results` for each operation. Operations: uppercase, lowercase, reverse, word_count, char_count,
    title_case, remove_spaces, first_word, last_word; any other name makes the entry
    `unknown_operation_<name>`.
    """

    def process(self, data: Any, /) -> dict[str, Any]:
        """The results for one text.

        Raises:
            TypeError: `data` is not a dict with a `text`.
        """
        if not isinstance(data, dict) or not isinstance(data.get("text"), str):
            raise TypeError(
                f'TextProcessorNode takes {{"text": str, "operations": [...]}}, not {data!r:.80}'
            )
        text = data["text"]
        operations = list(data.get("operations", ["uppercase"]))
        results: dict[str, Any] = {}
        for name in operations:
            if name in _OPERATIONS:
                results[name] = _OPERATIONS[name](text)
            else:
                results[f"unknown_operation_{name}"] = f"there is no operation {name!r}"
        return {
            "original_text": text,
            "operations": operations,
            "results": results,
            "processed_by": f"{type(self).__name__}[{self.name}]",
            "node_config": dict(self.config),
        }

    def get_supported_operations(self) -> list[str]:
        """The names of the operations."""
        return list(_OPERATIONS)


__all__ = ["TextProcessorNode"]
