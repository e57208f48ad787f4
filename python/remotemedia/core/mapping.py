"""`Pipeline.map`: items side by side in several sessions of one pipeline, each with workers of its
own.

The thread that asks for results takes the items from their source and converts them. `lanes` has
the threads that drive the sessions, `dispatch` decides who gets what.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any

from remotemedia.core._async import run_in_thread
from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.lanes import Failed, Lanes, OpenLane
from remotemedia.core.manifest import has_own_flush, name_of
from remotemedia.core.metrics import merged
from remotemedia.core.outputs import is_only_async
from remotemedia.core.replicas import reason_against

if TYPE_CHECKING:
    from remotemedia._progress import Progress
    from remotemedia.core.dispatch import Dispatch
    from remotemedia.core.graph import Graph


class Mapped:
    """The results of `Pipeline.map`: an iterator and an async iterator.

    Leaving the loop early, or `close`, stops what runs. The work is a few items for each worker
    ahead of the reader, and no more: it halts while results are not taken.

    Attributes:
        total: the number of items, if their source has a length.
        returns_errors: whether the errors of items are results.
        progress: shows how many items are done, if wanted.
    """

    def __init__(
        self,
        items: Any,
        open_lane: OpenLane,
        dispatch: Dispatch,
        keep_metrics: Callable[[str], None],
    ) -> None:
        if not isinstance(items, Iterable | AsyncIterable) and not hasattr(items, "__getitem__"):
            raise TypeError(f"map() takes an iterable of items, not {type(items).__name__}")
        self.total = len(items) if isinstance(items, Sized) else None
        self.returns_errors = False
        self.progress: Progress | None = None
        self._source = items
        self._items: Any = None
        self._lanes = Lanes(open_lane, dispatch)
        self._dispatch = dispatch
        self._keep_metrics = keep_metrics
        self._ready: deque[Any] = deque()
        self._told = 0
        self._is_closed = False

    def __iter__(self) -> Iterator[Any]:
        """The results, for a `for` loop."""
        if is_only_async(self._source):
            raise TypeError("the items are an async iterable: write `async for` instead of `for`")
        return self

    def __next__(self) -> Any:
        """The next result: what `run(item)` returns, or the error of an item.

        Raises:
            NodeError: an item failed, unless errors are results. The map has ended then.
        """
        if self._is_closed:
            raise StopIteration
        try:
            if not self._ready:
                self._fill()
                self._wait()
            return self._result()
        except BaseException:
            self.close()
            raise

    def __aiter__(self) -> AsyncIterator[Any]:
        """The results, for an `async for` loop."""
        return self

    async def __anext__(self) -> Any:
        """As `__next__`; the event loop goes on meanwhile."""
        if self._is_closed:
            raise StopAsyncIteration
        try:
            if not self._ready:
                await self._prepare_async()
            is_over, result = self._result_or_end()
        except BaseException:
            await self.aclose()
            raise
        if is_over:
            await self.aclose()
            raise StopAsyncIteration
        return result

    def _fill(self) -> None:
        room = self._lanes.room()
        while room > 0:
            if self._items is None:
                self._items = iter(self._source)
            began = time.perf_counter()
            try:
                item = next(self._items)
            except StopIteration:
                return self._lanes.end_items()
            is_quick = self._dispatch.note_source(time.perf_counter() - began)
            self._lanes.give(item)
            room = room - 1 if is_quick and room > 1 else self._lanes.room()
        return None

    async def _prepare_async(self) -> None:
        if isinstance(self._source, AsyncIterable):
            await self._fill_async()
        elif self._lanes.room() > 0:
            await run_in_thread(self._fill, self._lanes.stop)
        if not self._lanes.is_ready:
            await run_in_thread(self._wait, self._lanes.stop)

    async def _fill_async(self) -> None:
        while self._lanes.room() > 0:
            if self._items is None:
                self._items = aiter(self._source)
            began = time.perf_counter()
            try:
                item = await anext(self._items)
            except StopAsyncIteration:
                return self._lanes.end_items()
            self._dispatch.note_source(time.perf_counter() - began)
            await run_in_thread(lambda item=item: self._lanes.give(item), self._lanes.stop)  # type: ignore[misc]
        return None

    def _wait(self) -> None:
        while True:
            done = self._lanes.wait(self._told)
            self._tell(done)
            if self._lanes.is_ready:
                return

    def _tell(self, done: int) -> None:
        if done != self._told:
            self._told = done
            if self.progress is not None:
                self.progress.update(done, self.total)

    def _result(self) -> Any:
        if not self._ready:
            self._ready.extend(self._lanes.pass_on())
        if not self._ready:
            raise StopIteration
        result = self._ready.popleft()
        if isinstance(result, Failed):
            if not self.returns_errors:
                raise result.error
            return result.error
        return result

    def _result_or_end(self) -> tuple[bool, Any]:
        # A coroutine cannot raise StopIteration.
        try:
            return False, self._result()
        except StopIteration:
            return True, None

    def close(self) -> None:
        """Stop what runs, and return the workers. Does nothing if that is done."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.progress is not None:
            self.progress.close()
        is_through = self._lanes.is_through
        if not is_through:
            self._lanes.stop()
        self._lanes.join()
        if self._lanes.metrics:
            self._keep_metrics(merged(self._lanes.metrics))
        if is_through and self._lanes.failed is not None:
            raise self._lanes.failed

    async def aclose(self) -> None:
        """As `close`, for coroutines."""
        await run_in_thread(self.close, self._lanes.stop)

    def __enter__(self) -> Mapped:
        """For `with pipeline.map(...) as results`."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop what runs."""
        self.close()

    async def __aenter__(self) -> Mapped:
        """For `async with pipeline.map(...) as results`."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop what runs."""
        await self.aclose()

    def __del__(self) -> None:
        """Stop what runs when the results are dropped. Nothing waits for that."""
        if not vars(self).get("_is_closed", True):
            self._lanes.stop()


def lanes_of(graph: Graph, workers: int | None, batch: int | None, errors: str) -> int:
    """Check the arguments of `map`, and return the number of lanes.

    Raises:
        ConfigurationError: an argument is out of range, or a node cannot run in several workers.
    """
    for name, value in (("workers", workers), ("batch", batch)):
        if value is not None and (type(value) is not int or value < 1):
            raise ConfigurationError(f"{name} is a whole number of at least 1, not {value!r}")
    if errors not in ("raise", "return"):
        raise ConfigurationError(f'errors is "raise" or "return", not {errors!r}')
    for entry in graph.entries:
        reason = reason_against(entry.node, is_root=not entry.after)
        if reason is None and has_own_flush(entry.node):
            reason = "keeps what its flush() returns"
        if reason is not None:
            raise ConfigurationError(
                f"map() calls nodes in several workers, and {name_of(entry.node)!r} {reason}: use "
                "run() or stream()"
            )
    return workers or _processors()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


__all__ = ["Mapped", "lanes_of"]
