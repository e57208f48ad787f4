"""Nodes and helpers of the tests of shared memory."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from remotemedia import Node, Pipeline, Session

Array = NDArray[Any]

INLINE_BYTES = 4_000
"""A size that travels inside a message."""
RING_BYTES = 100_000
"""A size that travels in a ring."""
SEGMENT_BYTES = 3_000_000
"""A size that has a segment of its own."""
SIZES = [INLINE_BYTES, RING_BYTES, SEGMENT_BYTES]

KEPT: list[Array] = []
"""What outlives a session in a worker."""


def floats(size: int, start: float = 0) -> Array:
    """`size` bytes of different numbers."""
    return np.arange(start, start + size // 4, dtype=np.float32)


def hops(pipeline: Pipeline, node: int = 0) -> tuple[dict[str, int], dict[str, int]]:
    """How values came to a node and left it, in a session that is closed."""
    metrics = pipeline.get_metrics()
    assert metrics is not None
    moved = metrics["nodes"][node]["hops"]
    return moved["in"], moved["out"]


def owner(array: Array) -> Any:
    """What the memory of an array belongs to."""
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return base


def handler_name(array: Array) -> str:
    """The name of the handler that an array's memory is from."""
    module = sys.modules.get("numpy._core.multiarray") or sys.modules["numpy.core.multiarray"]
    name: str | None = module.get_handler_name(array)  # type: ignore[attr-defined, unused-ignore]
    return name or ""


def one(session: Session, item: Any) -> Any:
    """The only output for an item."""
    (output,) = session.process(item)
    return output


class Looks(Node):
    """Says what it sees of an array: whether it owns its memory, who does, whether it may write."""

    def process(self, data: Any, /) -> Any:
        block = owner(data)
        is_shared = getattr(block, "is_shared", None)
        return data.flags.owndata, type(block).__name__, is_shared, data.flags.writeable


class Keeps(Node):
    """Keeps every input for ever, and says at the end which have changed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._kept: list[tuple[Array, bytes]] = []

    def process(self, data: Any, /) -> Any:
        self._kept.append((data, data.tobytes()))

    def flush(self) -> Any:
        wrong = [n for n, (array, before) in enumerate(self._kept) if array.tobytes() != before]
        return len(self._kept), wrong

    def cleanup(self) -> None:
        self._kept.clear()


class KeepsAndScales(Node):
    """Keeps its inputs after writing into them, and says at the end what they hold."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._kept: list[Array] = []

    def process(self, data: Any, /) -> Any:
        data *= 10
        self._kept.append(data)
        return float(data.sum())

    def flush(self) -> Any:
        return [float(array.sum()) for array in self._kept]

    def cleanup(self) -> None:
        self._kept.clear()


class GoesOnWriting(Node):
    """Gives an array that it keeps, and writes into it with every further call."""

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(**options)
        self._size = size

    def process(self, data: Any, /) -> Any:
        if not hasattr(self, "_buffer"):
            self._buffer = np.zeros(self._size, dtype=np.uint8)
        self._buffer[:] = data
        return self._buffer


class YieldsOneBuffer(Node):
    """Yields one buffer again and again, and writes into it in between."""

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(**options)
        self._size = size

    def process(self, data: Any, /) -> Iterator[Any]:
        buffer = np.zeros(self._size, dtype=np.uint8)
        for number in range(data):
            buffer[:] = number
            yield buffer


class WritesToWhatItSent(Node):
    """Writes, as no node should, through the bare address of its last output."""

    address = 0

    def process(self, data: Any, /) -> Any:
        if data is None:
            ctypes.memset(self.address, 7, 100)
            return "written"
        output = data + 1
        self.address = output.ctypes.data
        return output


class Sums(Node):
    """Gives the sum of an array."""

    def process(self, data: Any, /) -> Any:
        return float(data.sum())


class KeepsLast(Node):
    """Gives the sum of what it was given before, as it is now."""

    _last: Array | None = None

    def process(self, data: Any, /) -> Any:
        before, self._last = self._last, data
        return None if before is None else float(before.sum())

    def cleanup(self) -> None:
        self._last = None


class HandlerNames(Node):
    """Says which handler serves it, and when."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.names: list[str] = []

    def note(self) -> None:
        self.names.append(handler_name(np.empty(RING_BYTES, dtype=np.uint8)))

    def initialize(self) -> None:
        self.note()

    def process(self, data: Any, /) -> Any:
        self.note()
        thread_names: list[str] = []

        def allocate() -> None:
            arrays = (np.empty(RING_BYTES, dtype=np.uint8) for _ in range(50))
            thread_names.extend(map(handler_name, arrays))

        threads = [threading.Thread(target=allocate) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(set(thread_names))

    def flush(self) -> Any:
        self.note()

    def cleanup(self) -> None:
        self.note()


class Background(Node):
    """Allocates in a thread of its own all the time."""

    def initialize(self) -> None:
        self._ends = threading.Event()
        self._bad = 0
        self._thread: Any = None

    def process(self, data: Any, /) -> Any:
        if self._thread is None:
            import contextvars

            self._thread = threading.Thread(
                target=contextvars.copy_context().run, args=(self.allocate,)
            )
            self._thread.start()
        return data * 2

    def allocate(self) -> None:
        number = 0
        alive: list[tuple[int, Array]] = []
        while not self._ends.is_set():
            number += 1
            alive.append((number % 250, np.full(RING_BYTES + number % 5_000, number % 250, "u1")))
            if len(alive) > 20:
                value, array = alive.pop(number % 20)
                self._bad += int((array != value).any())

    def flush(self) -> Any:
        self._ends.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        return self._bad

    def cleanup(self) -> None:
        self.flush()


class Resizes(Node):
    """Resizes arrays across all sizes, and checks what they hold."""

    def process(self, data: Any, /) -> Any:
        array = np.arange(10, dtype=np.int64)
        length = 10
        for wanted in [*SIZES, *reversed(SIZES), 80, 8_000_000, 800]:
            count = wanted // 8
            array.resize(count, refcheck=False)
            kept = min(length, count)
            assert (array[:kept] == np.arange(kept)).all(), (length, count)
            assert not array[kept:].any(), (length, count)
            array[:] = np.arange(count)
            length = count
        grown = np.fromiter((n for n in range(200_000)), dtype=np.int64)
        assert (grown == np.arange(200_000)).all()
        for size in SIZES:
            np.full(size, 255, dtype=np.uint8)  # leaves its traces
            assert not np.zeros(size, dtype=np.uint8).any()
        return array


class Hoards(Node):
    """Keeps arrays beyond its session."""

    def process(self, data: Any, /) -> Any:
        if data == "drop":
            sums = [int(array.sum()) for array in KEPT]
            KEPT.clear()
            gc.collect()
            return sums
        KEPT.append(np.full(RING_BYTES, data, dtype=np.uint8))
        return handler_name(KEPT[-1])


class Forks(Node):
    """Forks; the child works with what it inherited, and with new arrays, for as long as it likes.

    The child is released when the input ends; it says through a pipe what it found.
    """

    def initialize(self) -> None:
        self._children: list[tuple[int, int, int]] = []

    def process(self, data: Any, /) -> Any:
        mine = data + 1
        expected = (float(data.sum()), float(mine.sum()))
        says, hears = os.pipe()
        waits, goes = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(goes)
                os.read(waits, 1)  # until the parent has gone on for long
                found = (float(data.sum()), float(mine.sum()))
                data[:], mine[:8] = -1, -2  # as with ordinary memory, nobody else sees it
                work = [np.full(RING_BYTES, n, dtype=np.uint8) for n in range(100)]
                right = all((array == n).all() for n, array in enumerate(work))
                right = right and handler_name(work[0]) != "remotemedia"
                mine.resize(mine.size * 2, refcheck=False)
                right = right and mine[0] == -2
                del work, mine, data
                gc.collect()
                code = 0 if right and found == expected else 2
            finally:
                os.write(hears, bytes([code]))
                os._exit(code)
        os.close(hears)
        os.close(waits)
        self._children.append((pid, says, goes))
        return mine * 2

    def flush(self) -> Any:
        codes = []
        for _, _, goes in self._children:
            os.write(goes, b"!")
        for pid, says, goes in self._children:
            os.close(goes)
            codes.append(os.read(says, 1)[0])
            os.close(says)
            os.waitpid(pid, 0)
        self._children.clear()
        return codes


def doubled(array: Array) -> Array:
    """What a child process gives back."""
    return array * 2


class Multiprocesses(Node):
    """Has forked children work for it."""

    def process(self, data: Any, /) -> Any:
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as pool:
            results = pool.map(doubled, [data, data + 1, data + 2])
        return [np.asarray(result) for result in results]


class AsyncScale(Node):
    """An async node, one of whose awaitables is a task."""

    def process(self, data: Any, /) -> Any:
        async def scale() -> Any:
            await asyncio.sleep(0)
            return data * 2

        async def as_task() -> Any:
            return await asyncio.ensure_future(scale())

        return as_task()


class ThreadStream(Node):
    """A plain generator over the stream of its inputs."""

    is_streaming = True

    def process(self, data: Iterator[Any], /) -> Iterator[Any]:
        for array in data:
            yield array * 2


class AsyncStream(Node):
    """An async generator over the stream of its inputs."""

    is_streaming = True

    async def process(self, data: AsyncIterator[Any], /) -> AsyncIterator[Any]:
        async for array in data:
            yield array * 2


class Generates(Node):
    """Yields several arrays for each."""

    def process(self, data: Any, /) -> Iterator[Any]:
        for factor in (2, 3):
            yield data * factor


class GeneratesAsync(Node):
    """As `Generates`, with asyncio."""

    async def process(self, data: Any, /) -> AsyncIterator[Any]:
        for factor in (2, 3):
            yield data * factor


class Source(Node):
    """Gives arrays without an input."""

    is_source = True

    def process(self, data: Any = None, /) -> Iterator[Any]:
        for start in (0, 1):
            yield np.arange(start, start + RING_BYTES, dtype=np.float32)


class Flushes(Node):
    """Gives an array when the input ends."""

    def process(self, data: Any, /) -> Any:
        self._sum = data.sum()

    def flush(self) -> Any:
        return np.full(RING_BYTES, self._sum)
