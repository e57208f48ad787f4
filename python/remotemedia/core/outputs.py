"""Converts a run's inputs and outputs between the forms for callers and for the native session.

The native session returns pairs `(id of a sink, output)`. Callers get a single output, a list, or a
dict by node id.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

Pairs = list[tuple[str, Any]]


class SinkOutputs(dict[str, Any]):
    """Outputs by id of the sink, in graph order. A sink's name works as a key too if it is
    unique.
    """

    def __init__(self, values: Mapping[str, Any], id_of_name: Mapping[str, str]) -> None:
        super().__init__(values)
        self._id_of_name = dict(id_of_name)

    def __missing__(self, name: str) -> Any:
        """The outputs of the sink with this name."""
        if name in self._id_of_name:
            return self[self._id_of_name[name]]
        raise KeyError(name)


def is_only_async(items: Any) -> bool:
    """Whether items can be taken with `async for` and not with `for`."""
    return isinstance(items, AsyncIterable) and not isinstance(items, Iterable)


def items_of(data: Any) -> Iterable[Any]:
    """The items that `run(data)` feeds: the elements of a list, the values of an iterator (each
    taken when the pipeline is ready for it), or else `data` itself as one item.

    Raises:
        TypeError: `data` is an async iterator.
    """
    if is_only_async(data):
        raise TypeError(
            "run() does not take async iterators; use `async with pipeline.managed_execution(): "
            "async for output in pipeline.process(stream): ...`"
        )
    if isinstance(data, list | Iterator):
        return data
    return [data]


def collapse(values: list[Any]) -> Any:
    """None for no values, the value if there is one, otherwise the list."""
    if not values:
        return None
    return values[0] if len(values) == 1 else values


def by_sink(pairs: Pairs, sinks: Mapping[str, str]) -> dict[str, list[Any]]:
    """The outputs of each sink by its id, in order; `sinks` maps ids to names."""
    outputs: dict[str, list[Any]] = {node_id: [] for node_id in sinks}
    for node_id, value in pairs:
        outputs.setdefault(node_id, []).append(value)
    return outputs


def run_result(pairs: Pairs, sinks: Mapping[str, str]) -> Any:
    """The result of `run`: the collapsed outputs of one sink, or `SinkOutputs` for several
    sinks.
    """
    if len(sinks) == 1:
        return collapse([value for _, value in pairs])
    outputs = {node_id: collapse(values) for node_id, values in by_sink(pairs, sinks).items()}
    return SinkOutputs(outputs, _unique(sinks))


def session_result(pairs: Pairs, sinks: Mapping[str, str]) -> Any:
    """The result of a session's call: the list of one sink, or `SinkOutputs` for several sinks."""
    if len(sinks) == 1:
        if len(pairs) == 1:  # as below, for less than a small node costs
            return [pairs[0][1]]
        return [value for _, value in pairs]
    return SinkOutputs(by_sink(pairs, sinks), _unique(sinks))


def flat(result: Any) -> Iterator[Any]:
    """The outputs in a session's result: values, or `(node id, value)` for several sinks."""
    if isinstance(result, SinkOutputs):
        for node_id, values in result.items():
            yield from ((node_id, value) for value in values)
    else:
        yield from result


async def asynchronous(stream: Any) -> AsyncIterator[Any]:
    """The items of an async or plain iterable, as an async iterator."""
    if isinstance(stream, AsyncIterable):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item


def _unique(sinks: Mapping[str, str]) -> dict[str, str]:
    names = list(sinks.values())
    return {name: node_id for node_id, name in sinks.items() if names.count(name) == 1}


__all__ = [
    "Pairs",
    "SinkOutputs",
    "asynchronous",
    "by_sink",
    "collapse",
    "flat",
    "items_of",
    "run_result",
    "session_result",
]
