"""Nodes that take one stream of inputs: fed item by item, asked for outputs in between.

A stream is quiet when the node waits for its next input, or has ended, and no output is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Protocol

END = object()
"""No (further) output."""


class Loop:
    """The event loop of a session: one, made when the first node needs it, run while a node is
    called and while the worker waits for messages, so that background tasks live on.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def asyncio_loop(self) -> asyncio.AbstractEventLoop:
        """The loop itself."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def run(self, awaitable: Any) -> Any:
        """The result of an awaitable."""
        return self.asyncio_loop.run_until_complete(awaitable)

    def wait_readable(self, descriptor: int) -> None:
        """Run until the descriptor is readable. Returns at once when there is no loop yet."""
        loop = self._loop
        if loop is None:
            return
        loop.add_reader(descriptor, loop.stop)
        try:
            loop.run_forever()
        finally:
            loop.remove_reader(descriptor)

    def close(self) -> None:
        """Cancel what still runs, and forget the loop."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class Stream(Protocol):
    """A stream under way."""

    def feed(self, value: Any) -> None:
        """One more input."""

    def end_input(self) -> None:
        """No more input."""

    def next(self) -> Any:
        """The next output, or END when the stream is quiet. Raises what the node raises."""

    def has_ended(self) -> bool:
        """The node has returned."""

    def abandon(self) -> None:
        """Stop the node."""


class AsyncStream:
    """An async generator function over an async iterator, as a task of the session's loop. The
    generator goes on only when its output has been taken.
    """

    def __init__(self, loop: Loop, process: Callable[[Any], Any]) -> None:
        self._loop = loop
        self._inputs: deque[Any] = deque()
        self._input_ended = False
        self._is_waiting = False
        self._output: Any = END
        self._changed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        pump: Coroutine[Any, Any, None] = self._pump(process)
        self._task = loop.asyncio_loop.create_task(pump)
        self._task.add_done_callback(lambda _: self._changed.set())

    async def _pump(self, process: Callable[[Any], Any]) -> None:
        async for output in process(self._iterate()):
            self._output = output
            self._taken.clear()
            self._changed.set()
            await self._taken.wait()

    async def _iterate(self) -> AsyncIterator[Any]:
        while True:
            while not self._inputs:
                if self._input_ended:
                    return
                self._is_waiting = True
                self._arrived.clear()
                self._changed.set()
                await self._arrived.wait()
            self._is_waiting = False
            yield self._inputs.popleft()

    def feed(self, value: Any) -> None:
        self._inputs.append(value)
        self._arrived.set()

    def end_input(self) -> None:
        self._input_ended = True
        self._arrived.set()

    def next(self) -> Any:
        return self._loop.run(self._next())

    async def _next(self) -> Any:
        while self._output is END:
            if self._task.done():
                self._task.result()
                return END
            if self._is_waiting and not self._inputs and not self._input_ended:
                return END
            self._changed.clear()
            await self._changed.wait()
        output, self._output = self._output, END
        self._taken.set()
        return output

    def has_ended(self) -> bool:
        return self._task.done()

    def abandon(self) -> None:
        self._task.cancel()
        with contextlib.suppress(BaseException):  # the stream is given up, its last words too
            self._loop.run(asyncio.gather(self._task, return_exceptions=True))


class ThreadStream:
    """A plain generator function over an iterator. The iterator blocks when no input is there, so
    the node runs in a thread of its own; only one of the two threads runs at a time.
    """

    def __init__(self, process: Callable[[Any], Any]) -> None:
        self._turn = threading.Condition()
        self._inputs: deque[Any] = deque()
        self._input_ended = False
        self._abandoned = False
        self._is_waiting = False
        self._is_allowed = False
        self._output: Any = END
        self._error: BaseException | None = None
        self._ended = False
        name = "remotemedia-stream"
        self._thread = threading.Thread(target=self._pump, args=(process,), name=name, daemon=True)
        self._thread.start()

    def _pump(self, process: Callable[[Any], Any]) -> None:
        try:
            self._pass_turn(lambda: self._is_allowed)
            for output in process(self._iterate()):
                with self._turn:
                    self._output = output
                    self._is_allowed = False
                    self._turn.notify_all()
                self._pass_turn(lambda: self._is_allowed)
        except BaseException as error:  # handed to the thread that asked
            self._error = error
        with self._turn:
            self._ended = True
            self._turn.notify_all()

    def _pass_turn(self, ready: Callable[[], bool]) -> None:
        with self._turn:
            self._turn.wait_for(lambda: ready() or self._abandoned)
            if self._abandoned:
                raise GeneratorExit

    def _iterate(self) -> Iterator[Any]:
        while True:
            with self._turn:
                if not self._inputs and not self._input_ended:
                    self._is_waiting = True
                    self._turn.notify_all()
            self._pass_turn(lambda: bool(self._inputs or self._input_ended))
            self._is_waiting = False
            if not self._inputs:
                return
            yield self._inputs.popleft()

    def feed(self, value: Any) -> None:
        with self._turn:
            self._inputs.append(value)

    def end_input(self) -> None:
        with self._turn:
            self._input_ended = True

    def next(self) -> Any:
        with self._turn:
            if self._output is END and not self._ended:
                self._is_allowed = True
                self._turn.notify_all()
            self._turn.wait_for(self._is_settled)
            if self._output is not END:
                output, self._output = self._output, END
                return output
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return END

    def _is_settled(self) -> bool:
        quiet = self._is_waiting and not self._inputs and not self._input_ended
        return self._output is not END or self._ended or quiet

    def has_ended(self) -> bool:
        return self._ended and self._output is END

    def abandon(self) -> None:
        with self._turn:
            self._abandoned = True
            self._turn.notify_all()
        self._thread.join()
