"""What the functions of `remotemedia_runtime` return: a dict that can also be awaited.

`RunResult` belongs to a run that has ended, `PendingResult` to one that goes on in a thread.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from remotemedia.core._async import CancelPoint
from remotemedia.core.threads import in_thread


def _awaited(result: Mapping[str, Any], keeps_metrics: bool) -> Any:
    """What awaiting a result gives: what the original SDK's functions returned."""
    if not keeps_metrics:
        return result["result"]
    return {"outputs": result["result"], "metrics": json.dumps(result["metrics"])}


class RunResult(dict[str, Any]):
    """`{"success", "result", "metrics", "error"}` of a run. Awaiting it gives the outputs alone; it
    works wherever a coroutine does.
    """

    def __init__(self, values: Mapping[str, Any], keeps_metrics: bool) -> None:
        super().__init__(values)
        self._awaited = _awaited(values, keeps_metrics)

    def __await__(self) -> Generator[Any, None, Any]:
        """Return the outputs."""
        yield from ()
        return self._awaited

    def send(self, value: Any) -> Any:
        """Part of the coroutine protocol: end with the outputs."""
        raise StopIteration(self._awaited)

    def throw(self, error: Any, *more: Any) -> Any:
        """Part of the coroutine protocol: raise an error."""
        raise error

    def close(self) -> None:
        """Part of the coroutine protocol: does nothing."""


def _work(
    run: Callable[[CancelPoint], dict[str, Any]],
    point: CancelPoint,
    future: Future[dict[str, Any]],
) -> None:
    try:
        result = run(point)
    except BaseException as error:  # any exception is raised where the result is read
        future.set_exception(error)
    else:
        future.set_result(result)


class PendingResult(Mapping[str, Any], Coroutine[Any, Any, Any]):
    """The `RunResult` of a run that goes on in a thread.

    Awaiting it does not block the event loop, and cancels the run when the task is cancelled.
    Reading it like a dict waits for the end of the run.
    """

    def __init__(self, run: Callable[[CancelPoint], dict[str, Any]], keeps_metrics: bool) -> None:
        self._keeps_metrics = keeps_metrics
        self._point = CancelPoint()
        self._future: Future[dict[str, Any]] = Future()
        self._is_read = False
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        # The thread knows the future only, so that this object goes when the caller drops it.
        in_thread(partial(_work, run, self._point, self._future))

    def _result(self) -> dict[str, Any]:
        self._is_read = True
        return self._future.result()

    def __getitem__(self, key: str) -> Any:
        """An entry of the result."""
        return self._result()[key]

    def __iter__(self) -> Iterator[str]:
        """The keys of the result."""
        return iter(self._result())

    def __len__(self) -> int:
        """Number of entries."""
        return len(self._result())

    def __repr__(self) -> str:
        """The result as a dict, or that it is not there yet."""
        return repr(self._result()) if self._future.done() else "<running: await it>"

    async def _wait(self) -> Any:
        import asyncio
        import contextlib

        self._is_read = True
        waiting = asyncio.wrap_future(self._future)
        try:
            return _awaited(await asyncio.shield(waiting), self._keeps_metrics)
        except asyncio.CancelledError:
            self._point.cancel()
            while not waiting.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({waiting})
            waiting.exception()
            raise

    def _started(self) -> Coroutine[Any, Any, Any]:
        self._coroutine = self._coroutine or self._wait()
        return self._coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        """Wait for the end of the run, and return the outputs."""
        return self._wait().__await__()

    def send(self, value: Any) -> Any:
        """Part of the coroutine protocol."""
        return self._started().send(value)

    def throw(self, *error: Any) -> Any:
        """Part of the coroutine protocol."""
        return self._started().throw(*error)

    def close(self) -> None:
        """Part of the coroutine protocol. The run goes on."""
        if self._coroutine is not None:
            self._coroutine.close()

    def __del__(self) -> None:
        """Warn if the run has failed and its result was never read."""
        if not self._is_read and self._future.done() and self._future.exception() is not None:
            warnings.warn(
                f"a run has failed, and its result was never read: {self._future.exception()!r}",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )


__all__ = ["PendingResult", "RunResult"]
