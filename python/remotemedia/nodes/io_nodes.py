"""Nodes through which the caller's program feeds a running pipeline and takes its outputs.

They live in the caller's process: `push_data` and callbacks use your own objects, not copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

from remotemedia.core.endpoints import CallerSink, CallerSource
from remotemedia.core.node import Node


class _Pushed(int):
    """Whether an item was taken; an int, so that it can be awaited as well as tested."""

    def __await__(self) -> Generator[None, None, bool]:
        yield from ()
        return bool(self)


class _Delivered:
    """An item that was delivered. It can be awaited, which gives the item."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        yield from ()
        return self._value


class DataSourceNode(CallerSource):
    """A source of the items that your program pushes, from any thread, until it closes the source.

    Args:
        buffer_size: how many items may wait.
        timeout_seconds: after this time without an item the source ends as if it was closed.
        name: the node's name.
    """

    def __init__(
        self, buffer_size: int = 100, timeout_seconds: float = 30.0, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.buffer_size = buffer_size
        self.timeout_seconds = timeout_seconds
        # Without a size, so that `close` has room.
        self._items: queue.Queue[tuple[Any] | None] = queue.Queue()
        self._closed = False

    def push_data(self, data: Any) -> Any:
        """Add an item, and return at once. The result may also be awaited.

        Returns:
            True; False if `buffer_size` items wait or the source is closed, and the item was not
            taken.
        """
        if self._closed or self._items.qsize() >= self.buffer_size:
            return _Pushed(False)
        self._items.put((data,))
        return _Pushed(True)

    def close(self) -> Any:
        """End the items; the run ends after those that wait. The result may be awaited."""
        if not self._closed:
            self._closed = True
            self._items.put(None)
        return _Pushed(True)

    def items(self) -> Iterator[Any]:
        """The items, until the source is closed, or until `timeout_seconds` pass without one."""
        while True:
            try:
                waiting = self._items.get(timeout=self._longest_wait())
            except queue.Empty:
                self.logger.info(
                    "the source %s ends: no item was pushed for %s seconds",
                    self.name,
                    self.timeout_seconds,
                )
                return
            if waiting is None:
                return
            yield waiting[0]

    def _longest_wait(self) -> float | None:
        return None if math.isinf(self.timeout_seconds) else self.timeout_seconds


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
        self._put: Callable[[Any], None] | None = None

    def deliver(self, value: Any) -> None:
        """Keep an output, put it into the queue and call the callback, as far as these are set."""
        if self.buffer_output:
            self._kept.append(value)
        if self._put is not None:
            self._put(value)
        if self.callback is not None:
            returned = self.callback(value)
            if inspect.iscoroutine(returned):
                asyncio.run(returned)

    def process(self, data: Any, /) -> Any:
        """Deliver an item, as a pipeline does. The result may be awaited, which gives the item."""
        self.deliver(data)
        return _Delivered(data)

    def set_callback(self, callback: Callable[[Any], Any] | None) -> None:
        """Call `callback` with all further outputs; None stops that."""
        self.callback = callback

    def set_output_queue(self, output_queue: Any) -> None:
        """Put all further outputs into a `queue.Queue` or `asyncio.Queue`; None stops that.

        A full `queue.Queue` makes the run wait, a full `asyncio.Queue` makes it fail. Call this for
        an `asyncio.Queue` where its event loop runs.
        """
        if output_queue is None or not inspect.iscoroutinefunction(output_queue.put):
            self._put = None if output_queue is None else output_queue.put
        else:
            self._put = partial(_put_from_any_thread, _running_loop(), output_queue)

    def get_buffered_output(self) -> list[Any]:
        """The kept outputs, oldest first."""
        return list(self._kept)

    def clear_buffer(self) -> None:
        """Drop the kept outputs."""
        self._kept.clear()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _put_from_any_thread(
    loop: asyncio.AbstractEventLoop | None, output_queue: asyncio.Queue[Any], value: Any
) -> None:
    """Put a value into a queue that only the thread of its event loop may touch.

    Raises:
        asyncio.QueueFull: the queue is full.
    """
    if loop is None or loop is _running_loop() or not loop.is_running():
        output_queue.put_nowait(value)
        return

    async def put() -> None:
        output_queue.put_nowait(value)

    asyncio.run_coroutine_threadsafe(put(), loop).result()


class BidirectionalNode(DataSourceNode):
    """A source that also gives its items back to your program, changed by a callback.

    Args:
        process_callback: called in your program with each item; what it returns is the pipeline's
            item and the one that `pull_output` gives. None from it drops the item.
        buffer_size: how many items may wait on their way in, and how many outputs are kept.
        name: the node's name.
    """

    def __init__(
        self,
        process_callback: Callable[[Any], Any] | None = None,
        buffer_size: int = 100,
        name: str | None = None,
    ) -> None:
        super().__init__(buffer_size, math.inf, name)
        self.process_callback = process_callback
        self._outputs: asyncio.Queue[Any] = asyncio.Queue(buffer_size)
        self._reader: asyncio.AbstractEventLoop | None = None

    def push_input(self, data: Any) -> Any:
        """The same as `push_data`."""
        return self.push_data(data)

    async def pull_output(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """The next output; None if none comes within `timeout` seconds."""
        self._reader = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(self._outputs.get(), timeout)
        except TimeoutError:
            return None

    def items(self) -> Iterator[Any]:
        """The outputs of the callback, until the node is closed."""
        for item in super().items():
            output = item if self.process_callback is None else self.process_callback(item)
            if inspect.iscoroutine(output):
                output = asyncio.run(output)
            if output is None:
                continue
            with contextlib.suppress(asyncio.QueueFull):
                _put_from_any_thread(self._reader, self._outputs, output)
            yield output


class JavaScriptBridgeNode(Node):
    """Applies two functions to an item, one after the other; both may be coroutine functions.

    Args:
        transform_input: the first; None leaves the item as it is.
        transform_output: the second; the same.
        name: the node's name.
    """

    def __init__(
        self,
        transform_input: Callable[[Any], Any] | None = None,
        transform_output: Callable[[Any], Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.transform_input = transform_input
        self.transform_output = transform_output

    async def process(self, data: Any, /) -> Any:
        """The changed item."""
        for transform in (self.transform_input, self.transform_output):
            if transform is not None:
                data = transform(data)
                if inspect.isawaitable(data):
                    data = await data
        return data


__all__ = ["BidirectionalNode", "DataSinkNode", "DataSourceNode", "JavaScriptBridgeNode"]
