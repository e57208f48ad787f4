"""Blocking calls for asyncio callers: a thread per call, cancelled with its task.

Knows nothing of pipelines. The loop is never blocked; a cancelled caller goes on only when the
thread has ended, so nothing runs behind its back.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Cancellable(Protocol):
    """Something that another thread can stop."""

    def cancel(self) -> None:
        """Stop the running call."""


class CancelPoint:
    """Connects a request to cancel with what it cancels, whichever comes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._target: Cancellable | None = None

    def attach(self, target: Cancellable) -> None:
        """Make `cancel` stop `target`; at once if it was called before."""
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
        """Stop the target, now or as soon as there is one."""
        with self._lock:
            self._requested = True
            target = self._target
        if target is not None:
            target.cancel()


def is_loop_running() -> bool:
    """Whether an event loop runs in this thread. A program that has not imported asyncio has none,
    and its first result need not wait for that import.
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
    """The result of `call`, made in a thread of its own.

    When the awaiting task is cancelled, `cancel` is called, the thread's end awaited, and
    CancelledError raised.
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
        except BaseException as raised:  # handed to the awaiting task, whatever it is
            error = raised
        # Raised when the loop is closed: no task waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=body, name="remotemedia-run", daemon=True).start()
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
    """The awaitable that `Pipeline.run` gives where an event loop runs.

    Works wherever a coroutine does (`await`, `create_task`, `gather`). Dropped without having been
    awaited, it warns and names the remedy.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._started = False

    def send(self, value: Any) -> Any:
        """Part of the coroutine protocol."""
        self._started = True
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Part of the coroutine protocol."""
        self._started = True
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Part of the coroutine protocol."""
        self._started = True
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        """Run, and return the result."""
        self._started = True
        return self._coroutine.__await__()

    def __repr__(self) -> str:
        """What a notebook shows when `await` is missing."""
        if self._started:
            return "<Pipeline.run(), started>"
        return "<Pipeline.run(), not started: await it, or call run_sync(), which blocks>"

    def __del__(self) -> None:
        """Warn when it was never awaited."""
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
