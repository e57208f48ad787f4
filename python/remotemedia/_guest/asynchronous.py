"""The event loop of a session and the streams that run on it.

Imported when the first node needs it: asyncio costs a third of a worker's start.
"""

from __future__ import annotations

import _asyncio
import asyncio
import contextlib
import contextvars
import inspect
import sys
import types
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Sequence,
)
from typing import Any

from remotemedia._guest.streams import END

_SETTLING_TURNS = 8
"""Turns of the loop that a stream without input gets before it counts as quiet."""


_IS_RUSTPYTHON = sys.implementation.name == "rustpython"
_TURNS_BETWEEN_SWEEPS = 4096


class _SweptLoop(asyncio.SelectorEventLoop):
    """RustPython's dicts grow when the same key comes and goes, by 32 bytes each time and for ever:
    with every step of a task in the table of current tasks, with every wait for a message in the
    selector's. Between two turns of the loop nothing uses them, and they can be made anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self._turns_left = _TURNS_BETWEEN_SWEEPS

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]
        self._turns_left -= 1
        if not self._turns_left:
            self._turns_left = _TURNS_BETWEEN_SWEEPS
            _asyncio._current_tasks.clear()  # type: ignore[attr-defined]
            selector: Any = self._selector  # type: ignore[attr-defined]
            selector._fd_to_key = dict(selector._fd_to_key)


class _Pump:
    """One task that awaits one call after another, each in a context of its own. A task for each
    call, as other interpreters have it, costs RustPython twice the time and leaves 50 bytes behind.
    """

    def __init__(self, loop: _SweptLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] = loop.create_future()
        self._call: Any = None
        self._outcome: tuple[Any, BaseException | None] | None = None

    def run(self, awaitable: Any, report: Callable[[BaseException], None]) -> Any:
        """The result of an awaitable; what another task ends the loop with is reported, or raised
        when the result is not there yet.
        """
        if not inspect.iscoroutine(awaitable):
            awaitable = _awaited(awaitable)
        self._call = _in_context(awaitable, contextvars.copy_context())
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._serve(), name="remotemedia")
        else:
            self._wake.set_result(None)
        try:
            self._loop.run_forever()
            if self._outcome is None:
                raise RuntimeError("Event loop stopped before Future completed.")
        except BaseException as error:
            if self._outcome is None:
                self._abandon()
                raise
            report(error)
        (result, raised), self._outcome = self._outcome, None
        if raised is not None:
            raise raised
        return result

    async def _serve(self) -> None:
        task = asyncio.current_task()
        while self._call is not None and task is not None:
            call, self._call = self._call, None
            try:
                self._outcome = await call, None
            except BaseException as error:  # told to whoever called
                self._outcome = None, error
            del call  # nothing is kept while this task waits
            while task.cancelling():
                task.uncancel()
            self._wake = self._loop.create_future()
            self._loop.stop()
            await self._wake

    def _abandon(self) -> None:
        """Cancel the call under way."""
        task, self._task, self._call = self._task, None, None
        while task is not None and not task.done():
            task.cancel()
            with contextlib.suppress(BaseException):
                self._loop.run_until_complete(asyncio.wait([task]))
            if self._outcome is not None:  # it waits for the next call
                self._outcome = None
                task.cancel()


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@types.coroutine
def _in_context(
    call: Coroutine[Any, Any, Any], context: contextvars.Context
) -> Generator[Any, Any, Any]:
    """A coroutine every step of which runs in the same context, as the steps of a task do."""
    step, given = call.send, None
    while True:
        try:
            waited = context.run(step, given)
        except StopIteration as end:
            return end.value
        try:
            given, step = (yield waited), call.send
        except BaseException as error:  # GeneratorExit, too, is the call's to see
            given, step = error, call.throw


class Loop:
    """The event loop of a session, run while a node is called and while the worker waits for
    messages, so that background tasks live on.
    """

    def __init__(self) -> None:
        self._pump: _Pump | None = None
        if _IS_RUSTPYTHON:
            swept = _SweptLoop()
            self._pump = _Pump(swept)
            self.asyncio_loop: asyncio.AbstractEventLoop = swept
        else:
            self.asyncio_loop = asyncio.new_event_loop()
        self._watched: int | None = None
        self._is_waiting = self._is_readable = False
        asyncio.set_event_loop(self.asyncio_loop)

    def run(self, awaitable: Any) -> Any:
        """The result of an awaitable. When another task ends the loop before it is there, that is
        raised, and the awaitable cancelled.
        """
        if self._pump is not None:
            return self._pump.run(awaitable, self._report)
        future = asyncio.ensure_future(awaitable, loop=self.asyncio_loop)
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
        if self._watched != descriptor:  # it stays: to come and go costs as much as a small call
            self.asyncio_loop.add_reader(descriptor, self._note_readable, descriptor)
            self._watched = descriptor
        self._is_waiting, self._is_readable = True, False
        try:
            while not self._is_readable:
                try:
                    self.asyncio_loop.run_forever()
                except BaseException as error:  # SystemExit ends the task, not the waiting
                    self._report(error)
        finally:
            self._is_waiting = False

    def _note_readable(self, descriptor: int) -> None:
        if self._is_waiting:
            self._is_readable = True
            self.asyncio_loop.stop()
        else:  # the next message, while a node runs: it would keep the loop awake until it is read
            self.asyncio_loop.remove_reader(descriptor)
            self._watched = None

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
