"""Runs a pipeline in this process, in plain Python: for debuggers, and to compare results with.

The nodes are the caller's own objects, called by the code that calls nodes in workers. There is no
isolation here: no deadlines, limits, retries or breakers, and nodes that follow one another share
items instead of copies.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from remotemedia._guest.calling import Caller
from remotemedia._guest.faults import Fault
from remotemedia._guest.output import Running
from remotemedia._guest.state import attributes_of
from remotemedia._guest.streams import LazyLoop
from remotemedia._load import native
from remotemedia.core.endpoints import CallerSink, CallerSource
from remotemedia.core.exceptions import GraphError, NodeError, RemoteMediaError
from remotemedia.core.graph import Entry, Graph
from remotemedia.core.manifest import flag_of, is_source, name_of
from remotemedia.core.manifest_node import ManifestNode
from remotemedia.core.outputs import Pairs, session_result


class _Counts:
    """Counts calls of nodes, by their numbers."""

    def __init__(self, nodes: int) -> None:
        self.calls = [0] * nodes
        self.errors = [0] * nodes

    def enter(self, node: int, operation: int) -> None:
        """Does nothing."""

    def leave(self) -> None:
        """Does nothing."""

    def runs_on(self, node: int) -> None:
        """Does nothing."""

    def call_next(self, node: int) -> None:
        """Count a call."""
        self.calls[node] += 1

    def count_call(self, node: int) -> None:
        """Count a call."""
        self.calls[node] += 1

    def count_error(self, node: int) -> None:
        """Count an error."""
        self.errors[node] += 1


class InProcess:
    """A run of a graph in this process.

    Attributes:
        outputs: the outputs so far, with the ids of their sinks.
        sinks: the name of each sink by id.
    """

    def __init__(self, graph: Graph) -> None:
        if not graph.entries:
            raise GraphError("the pipeline has no nodes: add at least one node with add_node()")
        self.outputs: Pairs = []
        self._began = time.perf_counter()
        self._order = _in_order(graph)
        self._ids = dict(zip(graph.entries, graph.ids(), strict=True))
        self._sinks = graph.sinks()
        self.sinks = {self._ids[entry]: name_of(entry.node) for entry in self._sinks}
        self._counts = _Counts(len(self._order))
        self._loop = LazyLoop()
        running = Running()
        self._callers = {
            entry: Caller(
                number,
                self._ids[entry],
                _runnable(entry.node, self._ids[entry]),
                flag_of(entry.node, "is_streaming"),
                False,
                self._counts,
                running,
                self._loop,
            )
            for number, entry in enumerate(self._order)
        }
        self._has_started = False

    def run(self, items: Iterable[Any] | None) -> Pairs:
        """Feed all items, flush, and return all outputs; None lets the sources produce.

        Raises:
            NodeError: a node failed; `partial_results` has the outputs before.
        """
        failed = True
        try:
            for entry in self._order:
                self._callers[entry].initialize()
            if items is None:
                self._round(None, is_flush=False)
            else:
                for item in items:
                    self._round((item,), is_flush=False)
            self._round(None, is_flush=True)
            failed = False
        except Fault as fault:
            raise self._node_error(fault)  # noqa: B904  # it has its cause
        finally:
            first = self._clean_up()
            if first is not None and not failed:
                raise self._node_error(first)
        return self.outputs

    def metrics(self) -> str:
        """Counts of the nodes' calls, as JSON in the form of `Pipeline.get_metrics`."""
        nodes = [
            {
                "node_id": self._ids[entry],
                "runtime": "in_process",
                "execution_count": self._counts.calls[number],
                "error_count": self._counts.errors[number],
            }
            for number, entry in enumerate(self._order)
        ]
        took_ms = (time.perf_counter() - self._began) * 1000
        return json.dumps({"total_time_ms": took_ms, "nodes": nodes})

    def _round(self, item: tuple[Any] | None, is_flush: bool) -> None:
        """Pass one input, or the flush, through all nodes."""
        made: dict[Entry, list[Any]] = {}
        for entry in self._order:
            caller = self._callers[entry]
            outputs: list[Any] = []
            made[entry] = outputs
            if not entry.after:
                outputs += self._begin(caller, item, is_flush)
            for value in _inputs(entry, made, caller.node_id):
                outputs += caller.outputs(value)
            if is_flush:
                outputs += caller.flushed()
            if entry in self._sinks:
                self._deliver(entry, outputs)
            elif isinstance(entry.node, CallerSink):
                for value in outputs:
                    entry.node.deliver(value)
        self._has_started = True

    def _begin(self, caller: Caller, item: tuple[Any] | None, is_flush: bool) -> Iterator[Any]:
        if is_flush:
            return iter(())
        if caller.is_source:
            return iter(()) if self._has_started else caller.produced()
        return iter(()) if item is None else caller.outputs(item[0])

    def _deliver(self, entry: Entry, outputs: list[Any]) -> None:
        for value in outputs:
            if isinstance(entry.node, CallerSink):
                entry.node.deliver(value)
                if entry.node.is_final:
                    continue
            self.outputs.append((self._ids[entry], value))

    def _node_error(self, fault: Fault) -> BaseException:
        return _node_error(fault, session_result(self.outputs, self.sinks))

    def _clean_up(self) -> Fault | None:
        """Clean up all nodes; return the first failure."""
        first: Fault | None = None
        for caller in self._callers.values():
            try:
                caller.cleanup()
            except Fault as fault:
                first = first or fault
        self._loop.close()
        for entry in self._order:
            if isinstance(entry.node, CallerSink):
                entry.node.end()
        return first


class Repeated:
    """A call of a node in this process, from the state that the node had then.

    Args:
        node: the node as its program has made it.
        node_id: its id.
        state: its attributes before the call.
        needs_initialize: whether attributes are missing that only `initialize` can make.

    Attributes:
        node: the node object that is called.
    """

    def __init__(
        self, node: Any, node_id: str, state: dict[str, Any], *, needs_initialize: bool
    ) -> None:
        self.node = _runnable(node, node_id)
        self._loop = LazyLoop()
        self._caller = Caller(
            0,
            node_id,
            self.node,
            flag_of(node, "is_streaming"),
            False,
            _Counts(1),
            Running(),
            self._loop,
        )
        if needs_initialize:
            self._caller.initialize()
        else:
            for name in attributes_of(self.node).keys() - state.keys():
                object.__delattr__(self.node, name)
        for name, value in state.items():
            object.__setattr__(self.node, name, value)

    @classmethod
    def of_native(cls, node: Any, node_id: str, before: list[Any]) -> Repeated:
        """A call of a native node, which has heard these items before."""
        made = cls(node, node_id, attributes_of(_runnable(node, node_id)), needs_initialize=False)
        for item in before:
            with contextlib.suppress(Fault):  # it may have failed then, too
                list(made._caller.outputs(item))
        return made

    def outputs(self, operation: str, item: tuple[Any, ...]) -> list[Any]:
        """The outputs of the call; the node's own exception is raised.

        Args:
            operation: "process", "flush" or "initialize".
            item: the item; empty for a source and for the others.
        """
        caller = self._caller
        try:
            if operation == "initialize":
                caller.initialize()
                return []
            if operation == "flush":
                return list(caller.flushed())
            outputs = list(caller.outputs(item[0]) if item else caller.produced())
            # A node that takes a stream gives the rest at its end.
            return outputs + (list(caller.flushed()) if caller.is_streaming else [])
        except Fault as fault:
            raise fault.__context__ or fault from None
        finally:
            self._loop.close()


def _in_order(graph: Graph) -> list[Entry]:
    """The entries, each after its predecessors.

    Raises:
        GraphError: the connections form a cycle.
    """
    order: list[Entry] = []
    left = list(graph.entries)
    while left:
        ready = [entry for entry in left if all(before in order for before in entry.after)]
        if not ready:
            raise GraphError(f"the nodes form a cycle: {', '.join(name_of(e.node) for e in left)}")
        order += ready
        left = [entry for entry in left if entry not in ready]
    return order


def _inputs(entry: Entry, made: dict[Entry, list[Any]], node_id: str) -> Iterator[Any]:
    """What a node gets in a round from the nodes before it."""
    branches = [made[before] for before in entry.after]
    if getattr(entry.node, "join", "interleave") != "zip" or len(branches) < 2:
        for branch in branches:
            yield from branch
        return
    if len({len(branch) for branch in branches}) > 1:
        counts = ", ".join(str(len(branch)) for branch in branches)
        raise NodeError(
            f"the inputs to join have different numbers of items: {counts}", node_id=node_id
        )
    yield from zip(*branches, strict=True)


def _node_error(fault: Fault, partial: Any) -> BaseException:
    """The error of a node as a run in workers raises it. A KeyboardInterrupt is the user's."""
    error = fault.__context__
    if isinstance(error, KeyboardInterrupt):
        return error
    made = NodeError(
        f"{fault.remote_type}: {fault.message}",
        node_id=fault.node_id,
        operation=fault.kind,
        remote_type=fault.remote_type,
        remote_message=fault.message,
        remote_traceback=fault.traceback,
    )
    made.partial_results = partial
    made.__cause__ = error
    return made


def _runnable(node: Any, node_id: str) -> Any:
    """An object with `process` for a node of the graph."""
    if flag_of(node, "is_remote"):
        raise RemoteMediaError(
            "remote execution is not part of this version: run the node itself, without a remote "
            "configuration",
            node_id=node_id,
            operation="plan",
        )
    if isinstance(node, CallerSource | CallerSink):
        return _Passes()
    return _of_entry(node) if isinstance(node, ManifestNode) else node


class _Passes:
    def process(self, data: Any) -> Any:
        return data


class _Native:
    """A native node by its name."""

    def __init__(self, node_type: str, params: dict[str, Any]) -> None:
        self._node = native().NativeNode(node_type, json.dumps(params))

    def process(self, data: Any) -> Iterator[Any]:
        yield from self._node.process(data)

    def flush(self) -> Iterator[Any]:
        yield from self._node.flush()


def _of_entry(node: ManifestNode) -> Any:
    """The node that a manifest entry describes."""
    from remotemedia import nodes

    node_type: str = node.manifest_entry["node_type"]
    module, _, name = node_type.rpartition(":")
    if module:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found(**node.config) if isinstance(found, type) else _Function(found, node.config)
    of_python = any(node_type in names for names in nodes.HOMES.values())
    cls = getattr(nodes, node_type) if of_python else None
    if cls is None or "native_type" in vars(cls):
        return _Native(node_type, node.config)
    return cls(**node.config)


class _Function:
    def __init__(self, function: Any, keywords: dict[str, Any]) -> None:
        from functools import partial

        self.process = partial(function, **keywords) if keywords else function


def source_items(graph: Graph) -> Iterable[Any] | None:
    """The items of a run without input, or None if source nodes produce them.

    Raises:
        GraphError: there is no source.
    """
    roots = [entry.node for entry in graph.roots()]
    at_caller = [node for node in roots if isinstance(node, CallerSource)]
    if at_caller:
        return at_caller[0].items()
    if not any(is_source(node) or isinstance(node, ManifestNode) for node in roots):
        names = ", ".join(name_of(node) for node in roots)
        raise GraphError(f"run() got no input, and the first node ({names}) is not a source")
    return None


__all__ = ["InProcess", "Repeated", "source_items"]
