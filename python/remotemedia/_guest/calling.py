"""Calls one node: `process` in all its forms, `initialize`, `flush`, `cleanup`.

The meter is informed before and after each piece of node code. It also notes the running node in
the flight recorder, in case the code crashes this process.

An output without other references leaves the worker without a copy, so nothing here may keep a
reference. A suspended generator keeps its local variables alive; therefore the generators below pop
an output from a one-element list in the `yield` expression.
"""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from types import CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any, Protocol

from remotemedia import _pickle
from remotemedia._attributes import PRELOADED, attribute_of
from remotemedia._guest import interrupts
from remotemedia._guest.faults import Fault
from remotemedia._guest.output import Running
from remotemedia._guest.streams import END, LazyLoop, Stream, ThreadStream
from remotemedia._signatures import signature

if TYPE_CHECKING:
    from remotemedia._guest.notes import Note

OTHER = 0
"""Number of the operation while no method of a node runs: a node is imported or constructed."""
next_item = next
"""A node may replace the builtin, and a call would then never end."""
_OPERATIONS = {
    "process": 1,
    "flush": 2,
    "initialize": 3,
    "cleanup": 4,
    "checkpoint": 5,
    "restore": 6,
}
"""Numbers of the operations in the flight recorder (`worker-shim/src/blackbox.rs`)."""


class Meter(Protocol):
    """Counts the costs of nodes, each by its number in the worker's session."""

    def enter(self, node: int, operation: int) -> None:
        """Called when node code begins to run. Arrays that `process` and `flush` make may be
        outputs, so they are allocated in shared memory.
        """

    def leave(self) -> None:
        """Called when node code has returned."""

    def runs_on(self, node: int) -> None:
        """Called when the node is made, if its code goes on while others are called: its tasks and
        threads then have a context in which what they take is the node's.
        """

    def call_next(self, node: int) -> None:
        """`leave`, `enter` and `count_call` in one call, to go from node to node of a chain."""

    def count_call(self, node: int) -> None:
        """Count a call of `process`."""

    def count_error(self, node: int) -> None:
        """Count a call that raised an exception."""


class Caller:
    """Calls one node of the session.

    Attributes:
        number: number of the node in the session.
        node_id: id of the node.
        node: the node object.
        is_source: whether the node produces without input.
        is_streaming: whether `process` takes an iterator of inputs.
        is_special: whether more than a plain call of `process` is to be done for an item.
        is_async: whether the node uses asyncio.
        note: notes each call before it begins, if the session captures failing items.
        keeps_failed: whether a call that fails in this node is kept, so that the node can be called
            again with the same item.
        plain_type: type of the last plain result. Results of this type are not examined again,
            since that would cost as much as a small node.
    """

    def __init__(
        self,
        number: int,
        node_id: str,
        node: Any,
        wants_stream: bool,
        keeps_failed: bool,
        meter: Meter,
        running: Running,
        loop: LazyLoop,
    ) -> None:
        self.node_id = node_id
        self.node = node
        self.number = number
        self._meter = meter
        self._running = running
        self._loop = loop
        process = node.process
        self._generates_async = _is_function(inspect.isasyncgenfunction, process)
        generates = self._generates_async or _is_function(inspect.isgeneratorfunction, process)
        self.is_source = attribute_of(node, "is_source", False) is True or _takes_nothing(process)
        self.is_streaming = (
            (wants_stream or attribute_of(node, "is_streaming", False) is True)
            and generates
            and not self.is_source
        )
        self.is_special = self.is_streaming
        self.is_async = self._generates_async or inspect.iscoroutinefunction(process)
        self._stream: Stream | None = None
        self.note: Note | None = None
        self._has_streamed = False
        self.plain_type: type | None = None
        # A stream that has raised is over: its node cannot be called again with one item.
        self.keeps_failed = keeps_failed and not self.is_streaming
        if self.is_async or self.is_streaming:
            meter.runs_on(number)

    def guarded(self, kind: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call node code and return the result.

        Raises:
            Fault: the code raised an exception of any type.
        """
        self._running.enter(self.node_id)
        self._meter.enter(self.number, _OPERATIONS[kind])
        try:
            if kind != "cleanup":
                interrupts.begin()
            return call(*arguments)
        except BaseException as error:  # SystemExit and the like end the call, not the worker
            self._meter.count_error(self.number)
            raise Fault(kind, self.node_id, error) from None
        finally:
            interrupts.end()
            self._meter.leave()

    def failed(self, error: BaseException) -> Fault:
        """The failure of a plain call of `process`, as `guarded` raises it."""
        self._meter.leave()
        self._meter.count_error(self.number)
        if self.note is not None:
            self.note.keep()
        fault = Fault("process", self.node_id, error)
        fault.is_kept = self.keeps_failed and fault.may_be_kept
        return fault

    def is_plain(self, result: Any) -> bool:
        """Whether a result is an output itself, not an iterator or awaitable of outputs."""
        if is_lazy(result) or isinstance(result, AsyncIterator) or inspect.isawaitable(result):
            return False
        self.plain_type = type(result)
        return True

    def outputs(self, value: Any) -> Iterator[Any]:
        """The node's outputs for one item."""
        if self.is_streaming:
            self._meter.count_call(self.number)
            self._open_stream().feed(value)
            return self._stream_outputs("process")
        self._meter.count_call(self.number)
        return self.expand("process", self.guarded("process", self.node.process, value))

    def tried(self, call: Callable[..., Iterator[Any]], *item: Any) -> Iterator[Any]:
        """The outputs that `call` gives for an item. Where failed calls of the node are kept, a
        failure before the first output is given as a `Fault`, and the next step calls the node
        again. What a node gave before it failed would be given twice, so later failures are raised.
        """
        return self._repeated(call, list(item)) if self.keeps_failed else call(*item)

    def begun(self, result: Any, item: Any) -> Iterator[Any]:
        """The outputs in the result that `process` has returned for an item; see `tried`."""
        outputs = self.expanded(result)
        return self._repeated(self.outputs, [item], outputs) if self.keeps_failed else outputs

    def expanded(self, result: Any) -> Iterator[Any]:
        """The outputs in the result that `process` has returned."""
        return self.expand("process", result)

    def _repeated(
        self,
        call: Callable[..., Iterator[Any]],
        kept: list[Any],
        begun: Iterator[Any] | None = None,
    ) -> Iterator[Any]:
        while True:
            try:
                outputs = call(*kept) if begun is None else begun
                begun = None
                in_hand = [next(outputs, END)]
            except Fault as fault:
                if not fault.may_be_kept:
                    raise
                fault.is_kept = True
                failure = fault
            else:
                break
            yield failure
        try:
            kept.clear()
            if in_hand[0] is not END:
                yield in_hand.pop()
                yield from outputs
        finally:
            outputs.close()  # type: ignore[attr-defined]  # a generator of this class

    def produced(self) -> Iterator[Any]:
        """The outputs of a source."""
        self._meter.count_call(self.number)
        return self.expand("process", self.guarded("process", self.node.process))

    def flushed(self) -> Iterator[Any]:
        """The node's outputs at the end of the input."""
        if self.is_streaming and not self._has_streamed:
            self._open_stream()  # the node runs once even if there were no items
        if self._stream is not None:
            self._stream.end_input()
            yield from self._stream_outputs("flush")
            self._stream = None
        flush = attribute_of(self.node, "flush")
        if callable(flush):
            yield from self.expand("flush", self._hook_result("flush", flush))

    def flushes(self) -> bool:
        """Whether the node may have outputs at the end of the input."""
        if self.is_streaming:
            return True
        try:
            flush = attribute_of(self.node, "flush")
        except Exception:  # a property of the node: the call of `flush` reports it
            return True
        return callable(flush) and not _is_inherited(flush)

    def initialize(self) -> None:
        """Call `preload`, unless its results came with the node, and `initialize`: those of them
        that the node has.
        """
        if PRELOADED not in getattr(self.node, "__dict__", ()):
            preload = attribute_of(self.node, "preload")
            if callable(preload):
                self._settled("initialize", preload)
        self._run_hook("initialize")

    def saves(self) -> bool:
        """Whether the node can save and restore its state."""
        try:
            hooks = [attribute_of(self.node, name) for name in ("checkpoint", "restore")]
            # Nodes may have methods of these names for purposes of their own.
            return all(map(callable, hooks)) and _takes_nothing(hooks[0])
        except Exception:  # a property of the node
            return False

    def checkpoint(self) -> bytes:
        """A pickle of the node's state."""
        state = self._settled("checkpoint", self.node.checkpoint)
        return self.guarded("checkpoint", _pickle.dumps, state)  # type: ignore[no-any-return]

    def restore(self, pickle: bytes) -> None:
        """Give the node the state in a pickle that `checkpoint` made."""
        state = self.guarded("restore", _pickle.loads, bytes(pickle))
        self._settled("restore", lambda: self.node.restore(state))

    def cleanup(self) -> None:
        """End a running stream; call `cleanup`, if the node has this method."""
        if self._stream is not None:
            self._stream.abandon()
            self._stream = None
        self._run_hook("cleanup")

    def _run_hook(self, name: str) -> None:
        hook = attribute_of(self.node, name)
        if callable(hook):
            self._settled(name, hook)

    def _settled(self, name: str, hook: Callable[[], Any]) -> Any:
        """The result of a hook, awaited if it is awaitable."""
        result = self._hook_result(name, hook)
        return self._awaited(name, result) if inspect.isawaitable(result) else result

    def _awaited(self, kind: str, awaitable: Any) -> Any:
        try:
            return self.guarded(kind, self._loop.run, awaitable)
        finally:
            if isinstance(awaitable, CoroutineType):
                awaitable.close()  # an interrupt may have come before it began

    def _hook_result(self, name: str, hook: Callable[[], Any]) -> Any:
        """Call a hook and return its result. For an async node the event loop runs meanwhile."""
        return (
            self.guarded(name, self._loop.call, hook) if self.is_async else self.guarded(name, hook)
        )

    def expand(self, kind: str, result: Any) -> Iterator[Any]:
        """The outputs in the result of a call: iterates over iterators, awaits awaitables, drops
        None.
        """
        if isinstance(result, AsyncIterator):
            yield from self._from_async(kind, result)
        elif inspect.isawaitable(result):
            in_hand = [self._awaited(kind, result)]
            del result  # a task or a future keeps its result
            yield from self.expand(kind, in_hand.pop())
        elif is_lazy(result):
            yield from self._from_iterator(kind, result)
        elif result is not None:
            in_hand = [result]
            del result
            yield in_hand.pop()

    def _from_iterator(self, kind: str, items: Any) -> Iterator[Any]:
        try:
            while (in_hand := [self.guarded(kind, next_item, items, END)])[0] is not END:
                if in_hand[0] is not None:
                    yield in_hand.pop()
        finally:
            if isinstance(items, Generator):  # the node may want to continue any other iterator
                self.guarded(kind, items.close)

    def _from_async(self, kind: str, items: AsyncIterator[Any]) -> Iterator[Any]:
        try:
            while (in_hand := [self._awaited(kind, _next(items))])[0] is not END:
                if in_hand[0] is not None:
                    yield in_hand.pop()
        finally:
            if isinstance(items, AsyncGenerator):
                self.guarded(kind, lambda: self._loop.run(items.aclose()))

    def _open_stream(self) -> Stream:
        if self._stream is None or self._stream.has_ended():
            process = self.node.process
            make = self._loop.stream if self._generates_async else ThreadStream
            # `guarded` sets the node's id in the context, which the new thread or task copies.
            self._stream = self.guarded("process", make, process)
            self._has_streamed = True
        return self._stream

    def _stream_outputs(self, kind: str) -> Iterator[Any]:
        stream = self._stream
        while stream is not None:
            try:
                in_hand = [self.guarded(kind, stream.next)]
            except Fault:
                self._stream = None
                stream.abandon()  # the stream may still run if something else raised the error
                raise
            if in_hand[0] is END:
                return
            if in_hand[0] is not None:
                yield in_hand.pop()


def _is_inherited(flush: Any) -> bool:
    """Whether it is the `flush` of `Node`, which has no outputs."""
    base = sys.modules.get("remotemedia.core.node")
    return base is not None and getattr(flush, "__func__", None) is base.Node.flush


def is_lazy(result: Any) -> bool:
    """Whether a result is an iterator of outputs: any iterator that is not a file."""
    return isinstance(result, Iterator) and not isinstance(result, io.IOBase)


async def _next(items: AsyncIterator[Any]) -> Any:
    try:
        return await items.__anext__()
    except StopAsyncIteration:
        return END


def _is_function(is_kind: Callable[[Any], bool], process: Any) -> bool:
    """Whether `process` is a function of a kind, or a decorator's wrapper around such a
    function.
    """
    if is_kind(process):
        return True
    return is_kind(inspect.unwrap(process)) and not inspect.iscoroutinefunction(process)


def _takes_nothing(process: Any) -> bool:
    function = getattr(process, "__func__", process)
    if type(function) is FunctionType and not function.__dict__:
        # The fast way for a plain function or method, without making a signature.
        code = function.__code__
        takes = code.co_argcount - (function is not process)
        return takes <= 0 and not code.co_flags & inspect.CO_VARARGS
    try:
        parameters = signature(process).parameters.values()
    except (TypeError, ValueError):
        return False
    return not any(p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters)
