"""Sessions: a pipeline whose nodes stay loaded between items."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from remotemedia.core._async import CancelPoint, run_in_thread
from remotemedia.core.async_session import AsyncSession
from remotemedia.core.exceptions import (
    MarshalingError,
    PipelineError,
    RemoteMediaError,
    RunCancelled,
)
from remotemedia.core.feeding import Feed
from remotemedia.core.outputs import Pairs, session_result
from remotemedia.core.streaming import OnError, check, stream
from remotemedia.core.turn import Turn

if TYPE_CHECKING:
    from remotemedia.core.concealment import Concealment
    from remotemedia.core.execution import Execution
    from remotemedia.core.profiling import Profile

T = TypeVar("T")
ROOM = 16
"""How many items may wait in a session between `feed` and `results`."""


class Session:
    """An open pipeline, made by `Pipeline.session()`. All calls block.

    In a `with` statement the session opens at once, otherwise at its first call::

        with pipeline.session() as session:
            outputs = session.process(item)     # a list

    In an `async with` statement the same methods are coroutines, see `AsyncSession`.

    An error affects only its item: the call raises, the session stays open, and the next item runs
    normally, on a fresh worker if the old one died. Calls from several threads run one at a time.

    Attributes:
        interrupts: how often `interrupt` was called.
        tail: the last outputs of the nodes, in the form of `process`, if the session was closed
            without a `flush`; None before that.
    """

    def __init__(self, open_execution: Callable[[CancelPoint, bool], Execution]) -> None:
        self._open_execution = open_execution
        self._execution: Execution | None = None
        self._closed = False
        self._cancel_point = CancelPoint()
        self._turn = Turn()
        self._copy = False
        self._input_is_open = False
        self._is_live = False
        self._concealment: Concealment | None = None
        self._feed = Feed(ROOM)
        self.interrupts = 0
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
            execution = self._execution
            if execution is None or self._closed or self._is_live:  # else two calls are spared
                execution = self._opened()
                self._refuse_while_live()
            self._input_is_open = True
            if due is None and self._concealment is None:
                return session_result(execution.process(item), execution.plan.sinks)
            return self._process_until(execution, item, due, late)
        finally:
            self._turn.release()

    def _process_until(
        self,
        execution: Execution,
        item: Any,
        due: float | None,
        late: Literal["wait", "drop", "conceal"],
    ) -> Any:
        if late not in ("wait", "drop", "conceal"):
            raise PipelineError(f'late is "wait", "drop" or "conceal", not {late!r}')
        if late == "conceal" and self._concealment is None:
            from remotemedia.core.concealment import Concealment

            self._concealment = Concealment()
        if due is None or late == "wait":
            pairs, is_done = execution.process(item), True
            if due is not None and time.monotonic() > due:
                execution.count_late()
        else:
            pairs, is_done = execution.process_until(item, due)
        if self._concealment is not None and (is_done or late == "conceal"):
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
            return session_result(
                execution.run(execution.plan.source_items()), execution.plan.sinks
            )

    def stream(
        self, items: Iterable[Any] | None = None, *, on_error: OnError = "raise"
    ) -> Iterator[Any]:
        """The outputs for items, one by one, each as soon as it is made; then the nodes' last
        outputs, as `flush` gives them. For several sinks they are `(node id, output)`.

        Args:
            items: an item is taken from it when all outputs of the one before have been handed
                over, or when a replica is free for it. With None the first node must be a source.
            on_error: "raise" ends the stream with the error of an item, at its place. "skip" goes
                on with the next item, and so does a function, which is called with the error.
        """
        check(on_error, items)
        return stream(self, items, on_error)

    def feed(self, item: Any) -> None:
        """Add an item for the thread that iterates over `results`. Waits while `ROOM` items wait.

        Raises:
            PipelineError: the input has ended, or the session is closed.
        """
        self._feed.put((self.interrupts, self.converted(item)))

    def converted(self, item: Any) -> Any:
        """An item that may change as soon as this returns. One that cannot travel stays as it is:
        its error comes at its place.
        """
        execution = self._execution
        with contextlib.suppress(MarshalingError):
            return item if execution is None else execution.convert(item)
        return item

    def end_input(self) -> None:
        """No item follows those that were fed: `results` ends after the nodes' last outputs."""
        self._feed.end()

    def results(self, *, on_error: OnError = "raise") -> Iterator[Any]:
        """The outputs for the items of `feed`, as `stream` gives them. Ends after `end_input` or
        when the session is closed.
        """
        check(on_error)
        return stream(self, self._feed, on_error)

    def interrupt(self) -> None:
        """Drop what is at work and what was fed, from any thread. The session goes on.

        Node code that runs gets a KeyboardInterrupt, and its generators are closed; the nodes keep
        their state. A call that waits for outputs returns without further ones.
        """
        self.interrupts += 1
        self._feed.clear()
        if self._execution is not None:
            self._execution.interrupt()

    def drop(self) -> None:
        """Interrupt what is at work, and take no further output of it."""
        if self._execution is not None:
            self._execution.interrupt()
        self.drain()

    def use(self, call: Callable[[Execution], T]) -> T:
        """Call something with the open execution, when it is this thread's turn."""
        with self._turn:
            return call(self._opened())

    def width(self) -> int:
        """The greatest number of replicas of a node."""
        return self.use(lambda execution: execution.native.replicas())

    def end_stream(self, *, drops: bool) -> None:
        """End the stream that `begin` has begun; `drops`: interrupt what is under way in it."""
        if self._execution is not None:
            if drops:
                self._execution.interrupt()
            with self._turn:
                self._execution.native.end_stream()
                self._is_live = False

    def look_again(self) -> None:
        """Have a stream that waits look at its source, from any thread."""
        if self._execution is not None:
            self._execution.native.look_again()

    def drain(self) -> None:
        """End the call whose outputs were to be taken, after an interrupt."""
        with contextlib.suppress(RemoteMediaError):
            while self._is_live:
                self.next()

    def bare(self, pairs: Pairs) -> list[Any]:
        """The outputs of pairs, without their sink if there is only one."""
        has_one_sink = self._execution is not None and len(self._execution.plan.sinks) == 1
        return [value for _, value in pairs] if has_one_sink else list(pairs)

    def begin(self, begin: Callable[[Execution], None], seen: int | None = None) -> None:
        """Begin a call whose outputs `next` returns as they are made.

        Args:
            begin: begins the call.
            seen: the number of interrupts when its item was taken: later ones concern it, too.

        Raises:
            PipelineError: not all outputs of the previous call have been taken.
        """
        with self._turn:
            self._refuse_while_live()
            execution = self._opened()
            begin(execution)
            self._is_live = True
            if seen is not None and seen != self.interrupts:
                execution.interrupt()

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
        self._feed.end()

    def close(self) -> None:
        """End the input, clean up the nodes and set changed attributes on your node objects.

        Afterwards `tail` has the nodes' last outputs, unless the session was cancelled. Further
        calls do nothing.
        """
        self._feed.end()
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

    def get_metrics(self) -> dict[str, Any] | None:
        """The metrics of the session so far, also while another thread waits for outputs; None
        before it opens. See `Pipeline.get_metrics`.
        """
        if self._execution is None:
            return None
        import json

        metrics: dict[str, Any] = json.loads(self._execution.metrics())
        return metrics

    def profile(self) -> Profile | None:
        """Where the time of the session went so far; None before it opens, and unless it was made
        with `profile=True`.
        """
        from remotemedia.core.profiling import Profile

        return None if self._execution is None else Profile.of(self._execution)

    @property
    def waiting(self) -> Feed:
        """The items between `feed` and `results`."""
        return self._feed

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

    def close_after(self, error: BaseException | None) -> None:
        """Close because of an error, which keeps what goes wrong then as notes; None: as usual."""
        if error is None or self._execution is None:
            self.close()
            return
        self._feed.end()
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
        self.close_after(error)

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
        await run_in_thread(lambda: self.close_after(error), self.cancel)


__all__ = ["ROOM", "AsyncSession", "Session"]
