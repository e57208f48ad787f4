"""Sessions: a pipeline whose nodes stay loaded between items."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from remotemedia.core._async import CancelPoint, run_in_thread
from remotemedia.core.exceptions import PipelineError, RunCancelled
from remotemedia.core.outputs import Pairs, session_result

if TYPE_CHECKING:
    from remotemedia.core.concealment import Concealment
    from remotemedia.core.execution import Execution

T = TypeVar("T")


class Session:
    """An open pipeline, made by `Pipeline.session()`. All calls block.

    In a `with` statement the session opens at once, otherwise at its first call::

        with pipeline.session() as session:
            outputs = session.process(item)     # a list

    In an `async with` statement the same methods are coroutines, see `AsyncSession`.

    An error affects only its item: the call raises, the session stays open, and the next item runs
    normally, on a fresh worker if the old one died. Calls from several threads run one at a time.

    Attributes:
        tail: the last outputs of the nodes, in the form of `process`, if the session was closed
            without a `flush`; None before that.
    """

    def __init__(self, open_execution: Callable[[CancelPoint, bool], Execution]) -> None:
        self._open_execution = open_execution
        self._execution: Execution | None = None
        self._closed = False
        self._cancel_point = CancelPoint()
        self._turn = threading.Lock()
        self._copy = False
        self._input_is_open = False
        self._is_live = False
        self._concealment: Concealment | None = None
        self.tail: Any = None

    def open(self) -> Session:
        """Start the nodes now. Does nothing if they have been started."""
        with self._turn:
            self._opened()
        return self

    def process(
        self,
        item: Any,
        *,
        due: float | None = None,
        late: Literal["wait", "drop", "conceal"] = "wait",
    ) -> Any:
        """Process an item and return its outputs: a list, or for several sinks a dict of lists by
        node id. Here a list as `item` is a single item.

        Args:
            item: the item.
            due: when its outputs are needed, as a time of `time.monotonic()`; None: whenever they
                come. An item that is not done then is late, and counted as `late_count` in the
                metrics. The nodes still finish it, so that their state is right.
            late: what a late item gives. "wait": its outputs, late. "drop": those that were there
                in time. "conceal": these, or if there are none, a stand-in for each output of the
                item before (see `remotemedia.core.concealment`).

        Raises:
            NodeError: the failure of this item, or of an earlier one that was late.
        """
        # The same as `with self._turn`, in a third of the time.
        self._turn.acquire()
        try:
            execution = self._opened()
            self._refuse_while_live()
            self._input_is_open = True
            if due is None:
                return session_result(execution.process(item), execution.plan.sinks)
            return self._process_until(execution, item, due, late)
        finally:
            self._turn.release()

    def _process_until(
        self, execution: Execution, item: Any, due: float, late: Literal["wait", "drop", "conceal"]
    ) -> Any:
        if late not in ("wait", "drop", "conceal"):
            raise PipelineError(f'late is "wait", "drop" or "conceal", not {late!r}')
        if late == "wait":
            pairs = execution.process(item)
            if time.monotonic() > due:
                execution.count_late()
        else:
            pairs, is_done = execution.process_until(item, due)
            if late == "conceal":
                from remotemedia.core.concealment import Concealment

                self._concealment = self._concealment or Concealment()
                pairs = self._concealment.completed(pairs, is_done)
        return session_result(pairs, execution.plan.sinks)

    def flush(self) -> Any:
        """End the input and return the nodes' last outputs, in the form of `process`."""
        with self._turn:
            return self._flush(self._opened())

    def produce(self) -> Any:
        """Run the source nodes to their end and return their outputs, in the form of `process`."""
        with self._turn:
            execution = self._opened()
            return session_result(execution.run(execution.source_items()), execution.plan.sinks)

    def begin(self, begin: Callable[[Execution], None]) -> None:
        """Begin a call whose outputs `next` returns as they are made.

        Raises:
            PipelineError: not all outputs of the previous call have been taken.
        """
        with self._turn:
            self._refuse_while_live()
            begin(self._opened())
            self._is_live = True

    def next(self) -> tuple[Pairs, bool]:
        """Wait for outputs. Returns all that are ready, with their sinks, and whether they are the
        last.
        """
        with self._turn:
            is_last = True
            try:
                pairs, is_last = self._opened().next()
            finally:
                self._is_live = not is_last
            return pairs, is_last

    @property
    def is_live(self) -> bool:
        """Whether more outputs of the call that `begin` has begun may come."""
        return self._is_live

    def _refuse_while_live(self) -> None:
        if self._is_live:
            raise PipelineError(
                "not all outputs of the previous item have been taken: take them, or close the "
                "session"
            )

    def cancel(self) -> None:
        """Stop the session for good: running calls of other threads and all later calls raise
        RunCancelled.
        """
        self._cancel_point.cancel()

    def close(self) -> None:
        """End the input, clean up the nodes and set changed attributes on your node objects.

        Afterwards `tail` has the nodes' last outputs, unless the session was cancelled. Further
        calls do nothing.
        """
        with self._turn:
            if self._closed or self._execution is None:
                self._closed = True
                return
            self._closed = True
            try:
                is_flushed = self._input_is_open and not self._is_live
                if is_flushed and not self._cancel_point.is_requested:
                    self.tail = self._flush(self._execution)
            except BaseException as error:
                self._execution.close_after(error)
                if isinstance(error, RunCancelled) and self._cancel_point.is_requested:
                    return
                raise
            self._execution.close()

    def _flush(self, execution: Execution) -> Any:
        self._input_is_open = False
        return session_result(execution.flush(), execution.plan.sinks)

    @property
    def is_open(self) -> bool:
        """Whether the nodes are loaded."""
        return self._execution is not None and not self._closed

    def _opened(self) -> Execution:
        if self._closed:
            raise PipelineError("the session is closed; open another with pipeline.session()")
        if self._execution is None:
            self._execution = self._open_execution(self._cancel_point, self._copy)
        return self._execution

    def _close_after(self, error: BaseException | None) -> None:
        if error is None or self._execution is None:
            self.close()
            return
        with self._turn:
            self._closed = True
            self._execution.close_after(error)

    def __enter__(self) -> Session:
        """Start the nodes."""
        return self.open()

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the session."""
        self._close_after(error)

    def asynchronous(self) -> AsyncSession:
        """The same session with coroutines as methods; the nodes start with the first call."""
        # Inputs are copied, since the caller may change them while they are processed.
        self._copy = True
        return AsyncSession(self)

    async def __aenter__(self) -> AsyncSession:
        """Start the nodes without blocking the event loop."""
        session = self.asynchronous()
        await run_in_thread(self.open, self.cancel)
        return session

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the session without blocking the event loop."""
        await run_in_thread(lambda: self._close_after(error), self.cancel)


class AsyncSession:
    """A session with coroutines as methods, from `async with pipeline.session()`.

    Cancelling a call (or its task) cancels the session, which can then only be closed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def process(
        self,
        item: Any,
        *,
        due: float | None = None,
        late: Literal["wait", "drop", "conceal"] = "wait",
    ) -> Any:
        """See `Session.process`."""
        return await self._call(lambda: self._session.process(item, due=due, late=late))

    async def live(self, begin: Callable[[Execution], None]) -> AsyncGenerator[tuple[str, Any]]:
        """The outputs of the call that `begin` begins, with their sinks, each as soon as it is
        made.
        """

        def first() -> tuple[Pairs, bool]:
            self._session.begin(begin)
            return self._session.next()

        pairs, is_last = await self._call(first)
        while True:
            for pair in pairs:
                yield pair
            if is_last:
                return
            pairs, is_last = await self._call(self._session.next)

    @property
    def is_live(self) -> bool:
        """See `Session.is_live`."""
        return self._session.is_live

    async def flush(self) -> Any:
        """See `Session.flush`."""
        return await self._call(self._session.flush)

    async def produce(self) -> Any:
        """See `Session.produce`."""
        return await self._call(self._session.produce)

    async def close(self) -> None:
        """See `Session.close`."""
        await self._call(self._session.close)

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._session.cancel()

    async def _call(self, call: Callable[[], T]) -> T:
        return await run_in_thread(call, self._session.cancel)


__all__ = ["AsyncSession", "Session"]
