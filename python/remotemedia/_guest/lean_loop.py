"""An event loop for RustPython that runs coroutines without a task for each of them.

RustPython's asyncio is mostly Python code: a task for each call costs five times as much as on
CPython, and leaks 50 bytes. This module uses private names of asyncio; that is safe because the
standard library is built into the worker.
"""

from __future__ import annotations

import _asyncio
import asyncio
import contextlib
import contextvars
import inspect
import selectors
import sys
import threading
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

_STEPS_BETWEEN_SWEEPS = 4096
"""Steps of the loop after which it replaces its growing dicts."""


class LeanLoop(asyncio.SelectorEventLoop):
    """An event loop that polls the kernel only when necessary, and keeps the hooks for async
    generators installed between two runs.

    It replaces some dicts from time to time, because dicts of RustPython grow by 32 bytes each time
    a key is removed and added again. asyncio's table of current tasks does that with every step.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        super().__init__(selector)
        self._steps_left = _STEPS_BETWEEN_SWEEPS
        self._has_hooks = False

    def _run_once(self) -> None:
        base: Any = self
        ready = base._ready
        if ready and self.only_threads_wake_it():
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
        else:
            super()._run_once()  # type: ignore[misc]
        self.count_step()

    def only_threads_wake_it(self) -> bool:
        """Whether there is no timer, and no descriptor but the one by which threads wake the
        loop.
        """
        base: Any = self
        return not base._scheduled and len(base._selector.get_map()) <= 1

    def count_step(self) -> None:
        """Count a step of a coroutine or a turn of the loop; replace growing dicts if it is time.
        Call this only while no task is current.
        """
        self._steps_left -= 1
        if not self._steps_left:
            base: Any = self
            self._steps_left = _STEPS_BETWEEN_SWEEPS
            _asyncio._current_tasks.clear()  # type: ignore[attr-defined]
            base._selector._fd_to_key = dict(base._selector._fd_to_key)

    def _run_forever_setup(self) -> None:
        base: Any = self
        if base._closed or base._thread_id is not None or asyncio._get_running_loop() is not None:
            base._check_closed()
            base._check_running()
        if not self._has_hooks:
            self._has_hooks = True
            sys.set_asyncgen_hooks(base._asyncgen_firstiter_hook, base._asyncgen_finalizer_hook)
        base._thread_id = threading.get_ident()
        asyncio._set_running_loop(self)

    def _run_forever_cleanup(self) -> None:
        base: Any = self
        base._stopping = False
        base._thread_id = None
        asyncio._set_running_loop(None)


class _Interrupted(BaseException):
    """The loop has ended while a coroutine waited: by a deadline, an exit, or `stop`."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Pump:
    """Runs coroutines one after another, each in a context of its own. One task, which itself only
    waits, is `asyncio.current_task()` for all of them. `Pump` performs the steps of a coroutine in
    the same way as a task would.

    Args:
        loop: the loop on which the coroutines run.
        report: called with an exception that ends the loop while no coroutine runs.
    """

    def __init__(self, loop: LeanLoop, report: Callable[[BaseException], None]) -> None:
        self._loop: Any = loop
        self._report = report
        self._task: asyncio.Task[None] | None = None
        self._parked: asyncio.Future[None] = loop.create_future()
        self._parked.set_result(None)
        self._waited: asyncio.Future[Any] | None = None
        self._thrown: BaseException | None = None
        self._is_closing = False

    def run(self, awaitable: Any) -> Any:
        """The result of an awaitable.

        Raises:
            BaseException: raised by the awaitable; or the exception that ended the loop before
                there was a result. The awaitable has then been cancelled.
        """
        coroutine = awaitable if inspect.iscoroutine(awaitable) else _awaited(awaitable)
        context = contextvars.copy_context()
        self._loop._run_forever_setup()
        try:
            task = self._task_at_rest()
            try:
                return self._drive(coroutine, context, task)
            except _Interrupted as interrupted:
                self._thrown = asyncio.CancelledError()
                with contextlib.suppress(BaseException):  # errors of a cancelled one are dropped
                    self._drive(coroutine, context, task)
                raise interrupted.error from None
        except BaseException:
            # A deadline may have interrupted a step between `_enter_task` and `_leave_task`.
            _asyncio._current_tasks.clear()  # type: ignore[attr-defined]
            raise
        finally:
            self._waited = None
            self._loop._run_forever_cleanup()

    def close(self) -> None:
        """From now on the loop may cancel the waiting task."""
        self._is_closing = True

    def _task_at_rest(self) -> asyncio.Task[None]:
        """The waiting task, without requests to cancel it that earlier coroutines made."""
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._rest(), name="remotemedia")
        while self._parked.done():
            try:
                self._turn()
            except _Interrupted as interrupted:
                self._report(interrupted.error)
        while self._task.cancelling():
            self._task.uncancel()
        self._thrown = None
        return self._task

    async def _rest(self) -> None:
        while True:
            self._parked = self._loop.create_future()
            try:
                await self._parked
            except asyncio.CancelledError as error:
                if self._is_closing:
                    raise
                self._thrown = error

    def _drive(
        self,
        coroutine: Coroutine[Any, Any, Any],
        context: contextvars.Context,
        task: asyncio.Task[None],
    ) -> Any:
        loop = self._loop
        while True:
            self._wait()
            thrown, self._thrown = self._thrown, None
            _enter_task(loop, task)
            try:
                if thrown is None:
                    waited = context.run(coroutine.send, None)
                else:
                    waited = context.run(coroutine.throw, thrown)
            except StopIteration as end:
                return end.value
            finally:
                _leave_task(loop, task)
                loop.count_step()
            if waited is None:  # `sleep(0)`: the coroutine lets others run
                if loop._ready or not loop.only_threads_wake_it():
                    loop.call_soon(_nothing)  # keeps the turn from blocking
                    self._turn()
            else:
                self._accept(waited)

    def _accept(self, waited: Any) -> None:
        """Note the future that a coroutine awaits, or the exception for what cannot be awaited."""
        if not getattr(waited, "_asyncio_future_blocking", False):
            self._thrown = RuntimeError(f"a coroutine awaited {waited!r}, which is no future")
        elif waited.get_loop() is not self._loop:
            self._thrown = RuntimeError(f"{waited!r} belongs to another event loop")
        else:
            waited._asyncio_future_blocking = False
            self._waited = waited

    def _wait(self) -> None:
        """Run the loop until the awaited future is done."""
        if self._waited is None:
            if self._parked.done():  # the task has been cancelled
                self._turn()
            return
        while not self._waited.done():
            if self._thrown is not None and self._waited.cancel():
                self._thrown = None  # the cancelled future passes it on, perhaps some turns later
            else:
                self._turn()
        self._waited = None

    def _turn(self) -> None:
        loop = self._loop
        try:
            loop._run_once()
        except BaseException as error:
            raise _Interrupted(error) from None
        if loop._stopping:
            loop._stopping = False
            message = "Event loop stopped before Future completed."
            raise _Interrupted(RuntimeError(message))


def _nothing() -> None:
    pass


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
