"""Runs blocking calls for asyncio callers, each in another thread, and cancels them with their
tasks.

This module knows nothing of pipelines. The event loop is never blocked. A cancelled caller
continues only after the call has ended, so no call keeps running unnoticed.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from remotemedia.core.threads import in_thread

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Cancellable(Protocol):
    """An object with a call that another thread can stop."""

    def cancel(self) -> None:
        """Stop the running call."""


class CancelPoint:
    """Passes a request to cancel on to its target, even if the request comes before the target."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._target: Cancellable | None = None

    def attach(self, target: Cancellable) -> None:
        """Set the target that `cancel` stops; stops it at once if `cancel` was called before."""
        with self._lock:
            self._target = target
            requested = self._requested
        if requested:
            target.cancel()

    @property
    def is_requested(self) -> bool:
        """Whether `cancel` has been called."""
        return self._requested

    def cancel(self) -> None:
        """Stop the target, now or as soon as it is attached."""
        with self._lock:
            self._requested = True
            target = self._target
        if target is not None:
            target.cancel()


def is_loop_running() -> bool:
    """Whether an event loop runs in this thread. Does not import asyncio: a program that has not
    imported it has no loop, and need not wait for the import.
    """
    if "asyncio" not in sys.modules:
        return False
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def run_in_thread(call: Callable[[], T], cancel: Callable[[], None]) -> T:
    """Run `call` in another thread and return its result.

    If the awaiting task is cancelled, this calls `cancel`, waits until the call has ended, and
    raises CancelledError.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, error: BaseException | None) -> None:
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # T when there is no error
        else:
            done.set_exception(error)

    def body() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = context.run(call)
        except BaseException as raised:  # any exception is raised in the awaiting task
            error = raised
        # RuntimeError means that the loop is closed; then no task waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    in_thread(body)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        cancel()
        while not done.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({done})
        done.exception()
        raise


class PendingRun(Coroutine[Any, Any, Any]):
    """The awaitable that `Pipeline.run` returns where an event loop runs.

    It works wherever a coroutine does (`await`, `create_task`, `gather`). If it is dropped without
    having been awaited, it warns and says what to do.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._started = False

    def send(self, value: Any) -> Any:
        """Part of the coroutine protocol: continue with a value."""
        self._started = True
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Part of the coroutine protocol: raise an exception in the coroutine."""
        self._started = True
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Part of the coroutine protocol: end the coroutine."""
        self._started = True
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        """Run the pipeline, and return the result."""
        self._started = True
        return self._coroutine.__await__()

    def __repr__(self) -> str:
        """The text that a notebook shows if `await` is missing."""
        if self._started:
            return "<Pipeline.run(), started>"
        return "<Pipeline.run(), not started: await it, or call run_sync(), which blocks>"

    def __del__(self) -> None:
        """Warn if the result was never awaited."""
        if not self._started:
            import warnings

            self._coroutine.close()
            warnings.warn(
                "Pipeline.run() was called where an event loop runs and its result was never "
                "awaited, so nothing ran. Write `await pipeline.run(...)`, or call "
                "`pipeline.run_sync(...)`, which blocks.",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )


__all__ = ["CancelPoint", "Cancellable", "PendingRun", "run_in_thread"]
