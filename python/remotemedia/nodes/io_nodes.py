"""Nodes through which the caller's program feeds a running pipeline and takes its outputs.

They live in the caller's process: `push_data` and callbacks use your own objects, not copies.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any

from remotemedia.core.endpoints import CallerSink, CallerSource
from remotemedia.core.exceptions import PipelineError


class _Pushed:
    """An awaitable that does nothing, so that `await source.push_data(x)` works too."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class DataSourceNode(CallerSource):
    """A source of the items that your program pushes, from any thread, until it closes the source.

    Args:
        buffer_size: how many items may wait; `push_data` blocks while that many wait.
        timeout_seconds: longest time that the pipeline waits for an item, and that `push_data`
            waits for room.
        name: the node's name.
    """

    def __init__(
        self, buffer_size: int = 100, timeout_seconds: float = 30.0, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.buffer_size = buffer_size
        self.timeout_seconds = timeout_seconds
        self._items: queue.Queue[tuple[Any] | None] = queue.Queue(buffer_size)
        self._closed = False

    def push_data(self, data: Any) -> Any:
        """Add an item. The result may be awaited, which does nothing.

        Raises:
            PipelineError: the source is closed, or there was no room for `timeout_seconds`.
        """
        if self._closed:
            raise PipelineError("the source is closed", node_id=self.name, operation="push_data")
        self._put((data,))
        return _Pushed()

    def close(self) -> Any:
        """End the items; the run ends after those that wait. The result may be awaited."""
        if not self._closed:
            self._closed = True
            self._put(None)
        return _Pushed()

    def items(self) -> Iterator[Any]:
        """The items, until the source is closed.

        Raises:
            PipelineError: no item was pushed for `timeout_seconds`.
        """
        while True:
            try:
                waiting = self._items.get(timeout=self.timeout_seconds)
            except queue.Empty:
                raise PipelineError(
                    f"no item was pushed for {self.timeout_seconds} seconds; "
                    "close() the source when there are no more",
                    node_id=self.name,
                    operation="wait for items",
                ) from None
            if waiting is None:
                return
            yield waiting[0]

    def _put(self, waiting: tuple[Any] | None) -> None:
        try:
            self._items.put(waiting, timeout=self.timeout_seconds)
        except queue.Full:
            raise PipelineError(
                f"{self.buffer_size} items are waiting and none was taken for "
                f"{self.timeout_seconds} seconds: is the pipeline running?",
                node_id=self.name,
                operation="push_data",
            ) from None


class DataSinkNode(CallerSink):
    """Passes each output to your program as soon as it is made.

    Args:
        callback: called with each output; may be a coroutine function.
        buffer_output: whether to keep outputs for `get_buffered_output`.
        buffer_size: how many outputs are kept; older ones are dropped.
        name: the node's name.
    """

    def __init__(
        self,
        callback: Callable[[Any], Any] | None = None,
        buffer_output: bool = False,
        buffer_size: int = 100,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.callback = callback
        self.buffer_output = buffer_output
        self.buffer_size = buffer_size
        self._kept: deque[Any] = deque(maxlen=buffer_size)
        self._output_queue: Any = None

    def deliver(self, value: Any) -> None:
        """Keep an output, put it into the queue and call the callback, as far as these are set."""
        if self.buffer_output:
            self._kept.append(value)
        if self._output_queue is not None:
            self._output_queue.put(value)
        if self.callback is not None:
            returned = self.callback(value)
            if inspect.iscoroutine(returned):
                asyncio.run(returned)

    def set_callback(self, callback: Callable[[Any], Any] | None) -> None:
        """Call `callback` with all further outputs; None stops that."""
        self.callback = callback

    def set_output_queue(self, output_queue: queue.Queue[Any] | None) -> None:
        """Put all further outputs into a `queue.Queue`; None stops that."""
        self._output_queue = output_queue

    def get_buffered_output(self) -> list[Any]:
        """The kept outputs, oldest first."""
        return list(self._kept)

    def clear_buffer(self) -> None:
        """Drop the kept outputs."""
        self._kept.clear()


__all__ = ["DataSinkNode", "DataSourceNode"]
