"""The nodes of one session and the calls of its stages."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterator
from types import CoroutineType
from typing import Any

from remotemedia import _pickle
from remotemedia._guest import faults, interrupts, loading, modules, output, process, saving, state
from remotemedia._guest.calling import OTHER, Caller, Meter, next_item
from remotemedia._guest.entrance import Entrance
from remotemedia._guest.faults import Fault
from remotemedia._guest.modules import LoadedModules
from remotemedia._guest.notes import PROCESS, caller_of
from remotemedia._guest.spec import NodeSpec, SessionSpec
from remotemedia._guest.streams import END, LazyLoop
from remotemedia._guest.warned import pass_all

OUTPUT = 1
"""Kind of a step that returned an output; more may follow."""
LAST = 2
"""Kind of a step that returned the last output; the call is complete."""
DONE = 3
"""Kind of a step that returned no output; the call is complete."""

Ready = tuple[str, bool, bool, bool, bool, bool]
"""Id of a node; whether it is a source, is streaming, uses asyncio, flushes, can save its state."""


class Guest:
    """Hosts one session at a time. All methods are called from one thread.

    The native side (`worker-shim/src/python_guest.rs`) calls `open_session`, `close`, `attend`,
    `facts` and the methods that take the number of a stage.

    Attributes:
        loop: the event loop of the session, made when a node needs it.
    """

    end_interrupt = staticmethod(interrupts.settle)

    @staticmethod
    def facts(error: BaseException) -> dict[str, Any]:
        """The exception as data; see `faults.facts`."""
        process.state.repair()
        return faults.facts(error)

    def __init__(self, meter: Meter, send: output.Send) -> None:
        self._meter = meter
        self._running = output.Running()
        self._output = output.OutputCapture(self._running, send)
        self.loop = LazyLoop()
        self._stages: dict[int, list[Caller]] = {}
        # The open call of each stage, or None. Keys are never removed, since dicts of RustPython
        # grow when keys are removed and added.
        self._calls: dict[int, Iterator[Any] | None] = {}
        self._snapshots: state.Snapshots | None = None
        self._has_shipment = False
        # The memory of large arrays, which the caller lends to this session.
        self._buffers: list[weakref.ref[Any]] = []
        self._modules = modules.at_start or LoadedModules()
        self._entrance = Entrance(self._modules, self._output)
        # Names of the rows of `hygiene` whose changes could not be undone after a session.
        self._left: list[str] = []
        # Not with the first session, which waits for it.
        process.state.begin()

    def open_session(self, fields: dict[str, Any]) -> list[Ready]:
        """Open the session with these fields of `SessionSpec`; see `open`."""
        return self.open(SessionSpec.of(fields))

    def open(self, spec: SessionSpec) -> list[Ready]:
        """Make and initialize the nodes. Returns what is known about each.

        Raises:
            Fault: the first failure. Nodes that were initialized before it have been cleaned up, in
                the same order.
        """
        self._entrance.enter(spec.surroundings, self._left)
        self._left = ["interpreter"]  # if anything but a node fails from here on
        made: list[Caller] = []
        initialized: list[Caller] = []
        try:
            self._caller_of = caller_of(spec.capture)
            instances, log_levels = self._instances(spec)
            specs = [node for _, nodes in spec.stages for node in nodes]
            found = [self._find(node, number) for number, node in enumerate(specs)]
            process.state.keep_imported()
            self._output.lower_levels(log_levels)
            for stage, nodes in spec.stages:
                self._stages[stage] = [
                    self._make(node, number, found[number], instances)
                    for number, node in enumerate(nodes, len(made))
                ]
                made += self._stages[stage]
            for caller in made:
                caller.initialize()
                initialized.append(caller)
            if spec.instances is not None:
                limit = spec.write_back_max_bytes
                by_id = {caller.node_id: caller.node for caller in made}
                self._snapshots = state.Snapshots(by_id, instances, limit)
            saving.restore(spec.saved, made)
        except Fault:
            for caller in initialized:
                with contextlib.suppress(Fault):  # only the first failure is reported
                    caller.cleanup()
            self._forget()
            raise
        self._left = []
        self._modules.note()
        return [
            (c.node_id, c.is_source, c.is_streaming, c.is_async, c.flushes(), c.saves())
            for c in made
        ]

    def _instances(self, spec: SessionSpec) -> tuple[list[Any], dict[str, int]]:
        if spec.instances is None:
            return [], {}
        pass_all()
        try:
            interrupts.begin()
            self._buffers = [weakref.ref(buffer) for buffer in spec.buffers]
            instances, log_levels = _pickle.open_shipment(spec.instances, spec.buffers)
        except BaseException as error:  # a module or a `__setstate__` can raise any exception
            raise loading.unopened(spec, error) from None
        finally:
            interrupts.end()
        self._has_shipment = True
        return instances, log_levels

    def _find(self, spec: NodeSpec, number: int) -> Any:
        """The class or function of a node, imported; None if the node came as an object."""
        if spec.instance is not None:
            return None
        self._running.enter(spec.node_id)
        self._meter.enter(number, OTHER)
        try:
            interrupts.begin()
            return loading.find(spec.node_id, spec.module, spec.name)
        finally:
            interrupts.end()
            self._meter.leave()

    def _make(self, spec: NodeSpec, number: int, found: Any, instances: list[Any]) -> Caller:
        self._running.enter(spec.node_id)
        self._meter.enter(number, OTHER)
        try:
            interrupts.begin()
            if spec.instance is None:
                about = f"{spec.module}:{spec.name}"
                node = loading.constructed(spec.node_id, about, found, spec.params)
            else:
                node = instances[spec.instance]
            loading.checked(spec.node_id, node)
            return self._caller_of(
                number,
                spec.node_id,
                node,
                spec.is_streaming,
                spec.keeps_failed,
                self._meter,
                self._running,
                self.loop,
            )
        except Fault:
            raise
        except BaseException as error:  # for instance raised by a property of the node
            raise Fault("construct", spec.node_id, error) from None
        finally:
            interrupts.end()
            self._meter.leave()

    def begin_start(self, stage: int) -> None:
        """Begin a call without an input, on a stage whose first node is a source."""
        callers = self._stages[stage]
        first = callers[0]
        self._calls[stage] = self._chain(lambda: first.tried(first.produced), callers[1:])

    def begin_flush(self, stage: int) -> None:
        """Begin a call for the end of the input."""
        self._calls[stage] = self._flush(self._stages[stage])

    def first_step(self, stage: int, value: Any) -> tuple[int, Any]:
        """Begin a call with one input, and run its first step; see `step`."""
        try:
            passed, value = self._pass_plain(stage, value)
        except BaseException:
            self._output.flush()
            raise
        if passed is None:
            self._output.flush()
            return (DONE, None) if value is None else (LAST, value)
        self._calls[stage] = passed
        return self.step(stage)

    def _pass_plain(self, stage: int, value: Any) -> tuple[Iterator[Any] | None, Any]:
        """Pass a value from node to node in a plain loop, which is enough for most calls. A result
        that is a coroutine is awaited.

        Returns:
            (None, result of the last node). If a node is streaming or returns an iterator: (an
            iterator over the outputs of the chain from that node on, None).
        """
        interrupts.begin()
        try:
            return self._pass(stage, value)
        finally:
            interrupts.end()

    def _pass(self, stage: int, value: Any) -> tuple[Iterator[Any] | None, Any]:
        callers = self._stages[stage]
        set_running, call_next = self._running.in_context.set, self._meter.call_next
        # `Caller.guarded` is inlined here, because this loop is most of the cost of a small node.
        for position, caller in enumerate(callers):
            if caller.is_special:
                if position:
                    self._meter.leave()
                return self._pass_on(callers[position:], value), None
            set_running(caller.node_id)
            self._running.last = caller.node_id
            call_next(caller.number)
            if caller.note is not None:
                caller.note.begin(PROCESS, value)
            try:
                result = caller.node.process(value)
                if type(result) is CoroutineType:
                    result = self.loop.run(result)
            except BaseException as error:
                fault = caller.failed(error)
                if fault.is_kept:
                    self._calls[stage] = self._pass_on(callers[position:], value)
                raise fault from None
            kind = type(result)
            if kind is not caller.plain_type and result is not None and not caller.is_plain(result):
                self._meter.leave()
                outputs = caller.begun(result, value)
                return self._chain(outputs.__iter__, callers[position + 1 :]), None
            if caller.note is not None:
                caller.note.end()
            if (value := result) is None:
                break
        self._meter.leave()
        return None, value

    def step(self, stage: int) -> tuple[int, Any]:
        """Run a call up to its next output.

        Returns:
            (OUTPUT, output) or (DONE, None).

        Raises:
            Fault: a node failed. The call is over, unless the fault is kept.
        """
        try:
            value = next_item(self._calls[stage], END)  # type: ignore[arg-type]  # it has begun
        except BaseException:
            self._calls[stage] = None
            self._output.flush()
            raise
        if type(value) is Fault:
            self._output.flush()
            raise value
        if value is not END:
            return OUTPUT, value
        self._calls[stage] = None
        self._output.flush()
        return DONE, None

    def _pass_on(self, callers: list[Caller], value: Any) -> Iterator[Any]:
        """The outputs of a chain of nodes for one item, depth first: a node continues only after
        its last output has passed through the rest of the chain.
        """
        in_hand = [value]
        del value
        if not callers:
            yield in_hand.pop()
            return
        first = callers[0]
        yield from self._chain(lambda: first.tried(first.outputs, in_hand.pop()), callers[1:])

    def _chain(self, first: Any, rest: list[Caller]) -> Iterator[Any]:
        outputs = first()
        try:
            for value in outputs:
                if type(value) is Fault:
                    yield value
                    continue
                passed_on = self._pass_on(rest, value)
                del value
                yield from passed_on
        except Fault:
            with contextlib.suppress(Fault):  # only the first failure is reported
                outputs.close()
            raise
        finally:
            outputs.close()

    def _flush(self, callers: list[Caller]) -> Iterator[Any]:
        for position, caller in enumerate(callers):
            flushed = caller.tried(caller.flushed)
            yield from self._chain(flushed.__iter__, callers[position + 1 :])

    def first_node(self, stage: int) -> str:
        """Id of a stage's first node."""
        return self._stages[stage][0].node_id

    def output_failed(self, stage: int) -> str:
        """Abort a call whose output cannot be sent, and return the id of that output's node."""
        self.abort(stage)
        return self._stages[stage][-1].node_id

    def abort(self, stage: int) -> None:
        """End a call early; generators of the nodes are closed."""
        call, self._calls[stage] = self._calls.get(stage), None
        if call is not None:
            with contextlib.suppress(Fault):  # errors of `finally` blocks are dropped
                call.close()  # type: ignore[attr-defined]  # calls are generators
        self._output.flush()

    def save(self) -> list[tuple[str, bytes]]:
        """The state of all nodes that can save it; see `saving.save`."""
        with self._output.flushed():
            return saving.save(self._callers())

    def restore(self, saved: list[tuple[str, bytes]]) -> None:
        """Give nodes saved state; see `saving.restore`."""
        with self._output.flushed():
            saving.restore(saved, self._callers())

    def _callers(self) -> list[Caller]:
        return [caller for callers in self._stages.values() for caller in callers]

    def attend(self, has_rung: bool) -> tuple[int, float | None, bool]:
        """Run background tasks that are due; see `asynchronous.Loop.attend`."""
        if self.loop.made is None:
            raise RuntimeError("no node of this session has needed an event loop")
        try:
            return self.loop.made.attend(has_rung)
        finally:
            self._output.flush()

    def close(self) -> tuple[list[state.Change], list[dict[str, Any]], list[str]]:
        """Clean up every node, drop the session, and undo its changes to the process.

        Returns:
            For each changed node its `state.Change`; the `facts` of each failed `cleanup`; and the
            result of `hygiene.Table.put_back`.
        """
        try:
            process.state.repair()
            self._left = ["interpreter"]
            for stage in list(self._stages):
                self.abort(stage)
            failures = saving.clean_up(self._callers())
            states = [] if self._snapshots is None else self._snapshots.changes()
        finally:
            self._modules.note()
            self._forget()
        return states, failures, self._left

    def loaded(self) -> list[str]:
        """The installed modules that sessions have loaded since the last time."""
        return self._modules.take_fresh()

    def _forget(self) -> None:
        process.calm()
        process.state.repair()
        self._entrance.is_first = False
        self._stages, self._calls, self._snapshots = {}, {}, None
        with contextlib.suppress(BaseException):  # errors of background tasks are dropped
            self.loop.close()
        self._output.flush()
        self._output.restore_levels()
        self._running.leave()
        interrupts.forget()
        if self._has_shipment:
            self._has_shipment = False
            _pickle.forget_shipment()
        buffers, self._buffers = self._buffers, []
        if any(buffer() is not None for buffer in buffers):
            gc.collect()  # frees reference cycles, such as a node that refers to itself
        self._left = process.state.put_back()
        if interrupts.has_cut_import:
            self._left.append("interrupted import")
