"""Nodes that run on every interpreter of workers: standard library only, and no numpy."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any


class Identity:
    """Gives back what it gets."""

    def process(self, data: Any) -> Any:
        """The same object."""
        return data


class Tell:
    """Says what arrived."""

    def process(self, data: Any) -> Any:
        """Type and repr."""
        return f"{type(data).__module__}.{type(data).__qualname__}", repr(data)


class Numbers:
    """Says what an array holds, through what numpy and `AudioView` have in common."""

    def process(self, data: Any) -> Any:
        """Shape, dtype and numbers."""
        return list(data.shape), str(data.dtype), data.tolist()


class Keep:
    """Keeps its inputs, and gives each back one call later."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def process(self, data: Any) -> Any:
        """The input before this one."""
        self.kept.append(data)
        return self.kept[-2] if len(self.kept) > 1 else None


class Double:
    """Changes its input in place and gives it back."""

    def process(self, data: Any) -> Any:
        """Twice each number."""
        for place in range(len(data)):
            data[place] = data[place] * 2
        return data


class Count:
    """A generator."""

    def process(self, data: int) -> Iterator[int]:
        """The numbers below."""
        yield from range(data)


class CountAsync:
    """An asynchronous generator."""

    async def process(self, data: int) -> AsyncIterator[int]:
        """The numbers below."""
        for number in range(data):
            await asyncio.sleep(0)
            yield number


class Later:
    """A coroutine with a task that lives on between calls."""

    def __init__(self) -> None:
        self.ticks = 0
        self.task: asyncio.Task[None] | None = None

    async def process(self, data: Any) -> Any:
        """The input, after a turn of the loop, and whether loop and task are as before."""
        if self.task is None:
            self.task = asyncio.ensure_future(self.tick())
        await asyncio.sleep(0)
        current = asyncio.current_task()
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return data, current is not None, self.ticks > 0

    async def tick(self) -> None:
        """Count turns."""
        while True:
            self.ticks += 1
            await asyncio.sleep(0.001)


MARK: contextvars.ContextVar[Any] = contextvars.ContextVar("mark", default="nothing")


class Marks:
    """Sets a context variable in a coroutine."""

    def __init__(self) -> None:
        self.last: asyncio.Task[Any] | None = None

    async def process(self, data: Any) -> Any:
        """What it held before; after a wait, in a task of this call and in one of the last call."""
        former = MARK.get()
        MARK.set(data)
        await asyncio.sleep(0)
        task = asyncio.create_task(self.late())
        last, self.last = self.last, asyncio.create_task(self.late())
        return [former, MARK.get(), await task, await last if last else None]

    async def late(self) -> Any:
        """What a task finds, turns of the loop later."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return MARK.get()


class MarksInSteps:
    """Sets a context variable in an asynchronous generator."""

    async def process(self, data: Any) -> AsyncIterator[Any]:
        """What it held before, and what it holds after the step has set it."""
        yield MARK.get()
        MARK.set(data)
        await asyncio.sleep(0)
        yield MARK.get()


class Source:
    """A node without input."""

    is_source = True

    def process(self) -> Iterator[int]:
        """Three numbers."""
        yield from (1, 2, 3)


class Sum:
    """A node that takes a stream."""

    is_streaming = True

    def process(self, items: Iterator[int]) -> Iterator[int]:
        """Running sums, and their number at the end."""
        total = count = 0
        for item in items:
            total, count = total + item, count + 1
            yield total
        yield count


class Talk:
    """Prints and logs."""

    def process(self, data: Any) -> Any:
        """Print to both streams, and log."""
        print("printed", data)  # noqa: T201
        print("complained", data, file=sys.stderr)  # noqa: T201
        logging.getLogger("both.talk").warning("logged %s", data)
        thread = threading.Thread(target=lambda: print("from a thread"))  # noqa: T201
        thread.start()
        thread.join()
        return data


class Fail:
    """Raises, in a chain."""

    def process(self, data: Any) -> Any:
        """Always."""
        try:
            {}[data]
        except KeyError as error:
            raise ValueError(f"no {data}") from error


class Unsendable:
    """Gives what cannot travel."""

    def process(self, data: Any) -> Any:
        """A lock, somewhere inside."""
        return {"where": [data, threading.Lock()]}


class Who:
    """Says who runs it."""

    def process(self, data: Any) -> Any:
        """Interpreter, process, whether standard input is empty."""
        return sys.implementation.name, os.getpid(), os.read(0, 1) == b""
