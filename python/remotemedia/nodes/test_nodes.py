"""Small nodes that give none, one or several outputs for an item: for trying out pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from remotemedia.core.node import Node
from remotemedia.nodes.simple_math import MultiplyNode

_TEXTS: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "reverse": lambda text: text[::-1],
    "double": lambda text: text * 2,
}


def extract_data(data: Any) -> Any:
    """The value inside a `RuntimeData` that holds JSON or a text; any other item as it is."""
    if callable(getattr(data, "is_json", None)) and data.is_json():
        return data.as_json()
    if callable(getattr(data, "is_text", None)) and data.is_text():
        return data.as_text()
    return data


def _value(data: Any, otherwise: Any = 0) -> Any:
    """The number in an item: itself, or under the key `value` of a dict."""
    return data.get("value", otherwise) if isinstance(data, dict) else data


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


class _TestNode(Node):
    def __init__(self, node_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=kwargs.pop("name", None) or node_id, **kwargs)
        self.node_id = node_id


class ExpanderNode(_TestNode):
    """Gives `expansion_factor` outputs for an item: numbers count up, other items are texts."""

    def __init__(self, expansion_factor: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.expansion_factor = expansion_factor

    def process(self, data: Any, /) -> Iterator[Any]:
        """Yield the outputs."""
        data = extract_data(data)
        for index in range(self.expansion_factor):
            if isinstance(data, dict) and "value" in data:
                yield {"value": data["value"] + index, "index": index}
            else:
                yield data + index if _is_number(data) else f"{data}_{index}"


class FilterNode(_TestNode):
    """Passes on items whose number is at least `min_value`."""

    def __init__(self, min_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_value = min_value

    def process(self, data: Any, /) -> Any:
        """The item, or None."""
        data = extract_data(data)
        value = _value(data)
        return data if _is_number(value) and value >= self.min_value else None


class BatcherNode(_TestNode):
    """Gives `{"batch", "size"}` for each `batch_size` items; fewer at the end are kept back."""

    def __init__(self, batch_size: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_size = batch_size
        self.buffer: list[Any] = []

    def process(self, data: Any, /) -> dict[str, Any] | None:
        """A full batch, or None."""
        self.buffer.append(data)
        if len(self.buffer) < self.batch_size:
            return None
        batch, self.buffer = self.buffer, []
        return {"batch": batch, "size": self.batch_size}


class RangeGeneratorNode(_TestNode):
    """Gives `{"value"}` for each number of a range: `{"start", "end", "step"}`, or just its end."""

    def process(self, data: Any, /) -> Iterator[dict[str, int]]:
        """Yield the numbers."""
        data = extract_data(data)
        if not isinstance(data, dict):
            data = {"end": int(data)}
        numbers = range(data.get("start", 0), data.get("end", 10), data.get("step", 1))
        yield from ({"value": value} for value in numbers)


class TransformAndExpandNode(_TestNode):
    """Gives `{"text", "transform"}` for each of `transforms`: upper, lower, reverse, double."""

    def __init__(self, transforms: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.transforms = list(transforms or ("upper", "lower", "reverse"))

    def process(self, data: Any, /) -> Iterator[dict[str, str]]:
        """Yield the texts; unknown transforms are left out."""
        text = str(extract_data(data))
        for name in self.transforms:
            if name in _TEXTS:
                yield {"text": _TEXTS[name](text), "transform": name}


class CounterNode(_TestNode):
    """Gives `{"count", "input"}` for each item."""

    def __init__(self, initial_count: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = initial_count

    def process(self, data: Any, /) -> dict[str, Any]:
        """The number of items so far."""
        self.count += 1
        return {"count": self.count, "input": data}


class ConditionalExpanderNode(_TestNode):
    """Gives as many outputs as the number in the item says, at most ten."""

    def process(self, data: Any, /) -> Iterator[dict[str, Any]]:
        """Yield the outputs."""
        value = _value(extract_data(data))
        value = value if _is_number(value) else 0
        count = min(10, int(abs(value)))
        yield from ({"original": value, "index": i, "count": count} for i in range(count))


class ChainedTransformNode(_TestNode):
    """Doubles a number, adds ten, squares it; `emit_intermediates` gives each stage."""

    def __init__(self, emit_intermediates: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.emit_intermediates = emit_intermediates

    def process(self, data: Any, /) -> Iterator[dict[str, Any]]:
        """Yield the stages."""
        value = _value(extract_data(data))
        doubled = (value if _is_number(value) else 0) * 2
        if self.emit_intermediates:
            yield {"stage": 1, "value": doubled}
            yield {"stage": 2, "value": doubled + 10}
        yield {"stage": 3, "value": (doubled + 10) ** 2, "final": True}


class ErrorProneNode(_TestNode):
    """Fails for one value, and gives `{"value", "status"}` for all others."""

    def __init__(self, error_on_value: float = -1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error_on_value = error_on_value

    def process(self, data: Any, /) -> dict[str, Any]:
        """The value.

        Raises:
            ValueError: it is the one.
        """
        value = _value(data)
        if value == self.error_on_value:
            raise ValueError(f"Error triggered by value: {value}")
        return {"value": value, "status": "ok"}


__all__ = [
    "BatcherNode",
    "ChainedTransformNode",
    "ConditionalExpanderNode",
    "CounterNode",
    "ErrorProneNode",
    "ExpanderNode",
    "FilterNode",
    "MultiplyNode",
    "RangeGeneratorNode",
    "TransformAndExpandNode",
    "extract_data",
]
