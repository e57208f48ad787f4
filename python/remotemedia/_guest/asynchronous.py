"""The event loop of a session and the streams that run on it.

Imported when the first node needs it: asyncio costs a third of a worker's start.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from remotemedia._guest.streams import END

_SETTLING_TURNS = 8
"""Turns of the loop that a stream without input gets before it counts as quiet."""


_IS_RUSTPYTHON = sys.implementation.name == "rustpython"
_TURNS_BETWEEN_SWEEPS = 4096


class _SweptLoop(asyncio.SelectorEventLoop):
    """RustPython's dicts grow when the same key comes and goes, as it does with every step of a
    task in the table of current tasks (32 bytes each, for ever). Between two turns of the loop no
    task is current, and the table can be emptied.
    """

    def __init__(self) -> None:
        super().__init__()
        self._turns_left = _TURNS_BETWEEN_SWEEPS

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]
        self.count_turn()

    def count_turn(self) -> None:
        """Sweep now and then."""
        self._turns_left -= 1
        if not self._turns_left:
            self._turns_left = _TURNS_BETWEEN_SWEEPS
            asyncio.tasks._current_tasks.clear()  # type: ignore[attr-defined]

    def started_task(self, awaitable: Any) -> asyncio.Future[Any]:
        """A task that has run up to where it first waits. Most nodes never do, and a run of the
        loop for each call would cost them more than everything else.
        """
        if not inspect.iscoroutine(awaitable):
            return asyncio.ensure_future(awaitable, loop=self)
        # A task starts at once only in a loop that runs.
        self._thread_id = threading.get_ident()
        asyncio._set_running_loop(self)
        try:
            return asyncio.Task(awaitable, loop=self, eager_start=True)  # type: ignore[call-arg]
        finally:
            asyncio._set_running_loop(None)
            self._thread_id = None
            self.count_turn()


class Loop:
    """The event loop of a session, run while a node is called and while the worker waits for
    messages, so that background tasks live on.
    """

    def __init__(self) -> None:
        self.asyncio_loop = _SweptLoop() if _IS_RUSTPYTHON else asyncio.new_event_loop()
        asyncio.set_event_loop(self.asyncio_loop)

    def run(self, awaitable: Any) -> Any:
        """The result of an awaitable. When another task ends the loop before it is there, that is
        raised, and the awaitable cancelled.
        """
        loop = self.asyncio_loop
        if isinstance(loop, _SweptLoop):
            future = loop.started_task(awaitable)
            if future.done():
                return future.result()
        else:
            future = asyncio.ensure_future(awaitable, loop=loop)
        try:
            return self.asyncio_loop.run_until_complete(future)
        except (SystemExit, KeyboardInterrupt) as error:
            # The loop lets these through from any task.
            if not future.done() or future.cancelled() or future.exception() is error:
                raise
            self._report(error)
            return future.result()
        finally:
            if not future.done():
                future.cancel()
                self._run_to_end([future])

    def call(self, function: Callable[[], Any]) -> Any:
        """The result of a function that finds the loop running, awaited if it is awaitable."""
        return self.run(_called(function))

    def wait_readable(self, descriptor: int) -> None:
        """Run until the descriptor is readable."""
        loop = self.asyncio_loop
        is_readable = False

        def stop() -> None:
            nonlocal is_readable
            is_readable = True
            loop.stop()

        loop.add_reader(descriptor, stop)
        try:
            while not is_readable:
                try:
                    loop.run_forever()
                except BaseException as error:  # SystemExit ends the task, not the waiting
                    self._report(error)
        finally:
            loop.remove_reader(descriptor)

    def close(self) -> None:
        """Cancel what still runs, and close the loop."""
        loop = self.asyncio_loop
        try:
            tasks = list(asyncio.all_tasks(loop))
            for task in tasks:
                task.cancel()
            self._run_to_end(tasks)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def _report(self, error: BaseException) -> None:
        message = "A background task of a node ended the event loop"
        self.asyncio_loop.call_exception_handler({"message": message, "exception": error})

    def _run_to_end(self, tasks: Sequence[asyncio.Future[Any]]) -> None:
        """Run until the tasks are done, however they end, and whatever ends the loop meanwhile."""
        loop = self.asyncio_loop
        while not (loop.is_closed() or all(task.done() for task in tasks)):
            with contextlib.suppress(BaseException):
                loop.run_until_complete(asyncio.wait(tasks))


async def _called(function: Callable[[], Any]) -> Any:
    result = function()
    return await result if inspect.isawaitable(result) else result


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
        async with contextlib.aclosing(process(self._iterate())) as outputs:
            async for output in outputs:
                self._output = output
                del output  # it is not kept while this task waits
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
            if self._is_quiet():
                # A node that reads ahead in a task of its own may still be at work on what it read.
                for _ in range(_SETTLING_TURNS):
                    await asyncio.sleep(0)
                    if not self._is_quiet():
                        break
                else:
                    return END
                continue
            self._changed.clear()
            await self._changed.wait()
        output, self._output = self._output, END
        self._taken.set()
        return output

    def _is_quiet(self) -> bool:
        is_starving = self._is_waiting and not self._inputs and not self._input_ended
        return is_starving and self._output is END and not self._task.done()

    def has_ended(self) -> bool:
        return self._task.done() and self._output is END

    def abandon(self) -> None:
        self._task.cancel()
        with contextlib.suppress(BaseException):  # the stream is given up, its last words too
            self._loop.run(asyncio.gather(self._task, return_exceptions=True))
