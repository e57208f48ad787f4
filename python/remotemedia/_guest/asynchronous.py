"""The event loop of a session, and streams that run on it.

This module is imported when the first node needs it: importing asyncio costs a third of a worker's
start.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import selectors
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from remotemedia._guest.streams import END

if TYPE_CHECKING:
    from remotemedia._guest.lean_loop import Pump

_SETTLING_TURNS = 8
"""Turns of the loop that a stream without input must stay idle before it counts as quiet."""


class Loop:
    """The event loop of a session. It runs while a node is called. It also runs while the worker
    waits for messages, whenever a background task of a node has something to do.
    """

    def __init__(self) -> None:
        self._pump: Pump | None = None
        self._selector: Any = selectors.DefaultSelector()
        if sys.implementation.name == "rustpython":
            from remotemedia._guest.lean_loop import LeanLoop, Pump

            lean = LeanLoop(self._selector)
            self._pump = Pump(lean, self._report)
            self.asyncio_loop: asyncio.AbstractEventLoop = lean
        else:
            self.asyncio_loop = asyncio.SelectorEventLoop(self._selector)
        self._descriptor = int(self._selector.fileno())
        asyncio.set_event_loop(self.asyncio_loop)

    def run(self, awaitable: Any) -> Any:
        """The result of an awaitable. If another task ends the loop first, the awaitable is
        cancelled and the exception that ended the loop is raised.
        """
        if self._pump is not None:
            return self._pump.run(awaitable)
        future = asyncio.ensure_future(awaitable, loop=self.asyncio_loop)
        try:
            return self.asyncio_loop.run_until_complete(future)
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio raises these two here from any task, not only from the awaited one.
            if not future.done() or future.cancelled() or future.exception() is error:
                raise
            self._report(error)
            return future.result()
        finally:
            if not future.done():
                future.cancel()
                self._run_to_end([future])

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function while the loop runs; return its result, awaited if it is awaitable."""
        return self.run(_called(function))

    def attend(self, has_rung: bool) -> tuple[int, float | None, bool]:
        """Run the tasks that are due, before the worker waits for its next message.

        Args:
            has_rung: whether the descriptor is readable.

        Returns:
            What wakes the loop next: the descriptor that becomes readable, the seconds until the
            first timer or None, and whether the loop is quiet. A quiet loop has no task ready, and
            only another thread can make the descriptor readable.
        """
        loop: Any = self.asyncio_loop
        is_quiet = len(self._selector.get_map()) <= 1  # only the loop's own wake-up descriptor
        if has_rung or loop._ready or not is_quiet or self._timer_seconds() == 0:
            loop.stop()  # after one turn
            try:
                loop.run_forever()
            except BaseException as error:  # SystemExit ends its task, not the worker
                self._report(error)
            is_quiet = len(self._selector.get_map()) <= 1
        after = 0.0 if loop._ready else self._timer_seconds()
        return self._descriptor, after, is_quiet and not loop._ready

    def _timer_seconds(self) -> float | None:
        """Seconds until the loop's first timer is due; None without a timer."""
        loop: Any = self.asyncio_loop
        if not loop._scheduled:
            return None
        return max(0.0, float(loop._scheduled[0].when() - loop.time()))

    def close(self) -> None:
        """Cancel all tasks and close the loop."""
        loop = self.asyncio_loop
        if self._pump is not None:
            self._pump.close()
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
        """Run until the tasks are done; exceptions that end them or the loop are ignored."""
        loop = self.asyncio_loop
        while not (loop.is_closed() or all(task.done() for task in tasks)):
            try:
                loop.run_until_complete(asyncio.wait(tasks))
            except OSError:  # of the selector: a node has closed its descriptor
                return
            except BaseException:
                continue


async def _called(function: Callable[[], Any]) -> Any:
    result = function()
    return await result if inspect.isawaitable(result) else result


class AsyncStream:
    """A stream through an async generator function, run as a task of the session's loop. The
    generator continues only after its last output has been taken.
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
                del output  # no reference is kept while this task waits
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
                # A node that reads inputs in a task of its own may still be working on one.
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
        with contextlib.suppress(BaseException):  # errors of an abandoned stream are dropped
            self._loop.run(asyncio.gather(self._task, return_exceptions=True))
