"""Streaming nodes, whose `process` takes an iterator of inputs: feeds items to the iterator and
takes outputs in between.

A stream is quiet when no output is left and the node waits for its next input or has ended.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from remotemedia._guest.asynchronous import Loop

END = object()
"""Stands for "no further output"."""


class Stream(Protocol):
    """A running call of a streaming node's `process`."""

    def feed(self, value: Any) -> None:
        """Add an input."""

    def end_input(self) -> None:
        """End the iterator of inputs once the node has read all of them."""

    def next(self) -> Any:
        """The next output, or END when the stream is quiet. Raises what the node raises."""

    def has_ended(self) -> bool:
        """Whether the node has returned and no output is left."""

    def abandon(self) -> None:
        """Stop the node and drop the stream."""


class LazyLoop:
    """The session's event loop, made when the first node needs one.

    Attributes:
        made: the loop; None until a node needs one.
    """

    def __init__(self) -> None:
        self.made: Loop | None = None

    def _needed(self) -> Loop:
        if self.made is None:
            from remotemedia._guest.asynchronous import Loop

            self.made = Loop()
        return self.made

    def run(self, awaitable: Any) -> Any:
        """The result of an awaitable."""
        return self._needed().run(awaitable)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function while the loop runs; return its result, awaited if it is awaitable."""
        return self._needed().call(function)

    def stream(self, process: Callable[[Any], Any]) -> Stream:
        """A stream through an async generator function."""
        from remotemedia._guest.asynchronous import AsyncStream

        return AsyncStream(self._needed(), process)

    def close(self) -> None:
        """Cancel all tasks and close the loop, if there is one."""
        loop, self.made = self.made, None
        if loop is not None:
            loop.close()


class ThreadStream:
    """A stream through a plain generator function. Its iterator of inputs blocks while there is no
    input, so the node runs in a thread of its own; only one of the two threads runs at a time.
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
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._pump, process),
            name="remotemedia-stream",
            daemon=True,
        )
        self._thread.start()

    def _pump(self, process: Callable[[Any], Generator[Any]]) -> None:
        try:
            self._pass_turn(lambda: self._is_allowed)
            with contextlib.closing(process(self._iterate())) as outputs:
                for output in outputs:
                    with self._turn:
                        self._output = output
                        del output  # no reference is kept while this thread waits
                        self._is_allowed = False
                        self._turn.notify_all()
                    self._pass_turn(lambda: self._is_allowed)
        except BaseException as error:  # `next` raises it in the calling thread
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
