"""One run of a pipeline on the native runtime: opening it, feeding it, taking state back.

The steps between a `Pipeline` and `remotemedia._native`: describe the graph, pickle the node
objects that go to workers, open the native session, and after it has closed put changed attributes
back on the caller's objects. All calls block; threads and event loops are handled by the callers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

from remotemedia import _pickle
from remotemedia._load import native
from remotemedia.core._async import CancelPoint
from remotemedia.core.caller import this_process
from remotemedia.core.endpoints import CallerSink, CallerSource
from remotemedia.core.exceptions import (
    ConfigurationError,
    ManifestError,
    RemoteMediaError,
)
from remotemedia.core.function import FunctionNode
from remotemedia.core.manifest import (
    VERSION,
    flag_of,
    is_source,
    name_of,
    run_entry,
    runs_natively,
)
from remotemedia.core.manifest_node import ManifestNode
from remotemedia.core.outputs import Pairs, session_result
from remotemedia.core.shipping import Shipper

if TYPE_CHECKING:
    from remotemedia._native import Session as NativeSession
    from remotemedia.core.explanation import Explanation
    from remotemedia.core.graph import Graph
    from remotemedia.core.pipeline import Pipeline

_PASS_THROUGH = "PassThroughNode"


@dataclass
class RunPlan:
    """The graph as it is when the run opens, ready for the native runtime.

    `instances` are the node objects that go along, in the order of the manifest's `instance`
    numbers; `nodes` maps every id to the caller's object, `sinks` every sink's id to its name.
    """

    manifest: dict[str, Any]
    nodes: dict[str, Any]
    sinks: dict[str, str]
    roots: list[str]
    instances: dict[str, Any] = field(default_factory=dict)


def plan_run(graph: Graph, name: str, *, python_only: bool = False) -> RunPlan:
    """Describe the graph for a run.

    Args:
        graph: the nodes and their wiring.
        name: the pipeline's name.
        python_only: run the Python class also of nodes that have a native twin.

    Raises:
        ManifestError: there are no nodes.
        RemoteMediaError: a node is to run on another machine.
    """
    if not graph.entries:
        raise ManifestError("the pipeline has no nodes: add at least one node with add_node()")
    ids = dict(zip(graph.entries, graph.ids(), strict=True))
    sinks = graph.sinks()
    plan = RunPlan(
        manifest={"version": VERSION, "metadata": {"name": name[:255] or "pipeline"}},
        nodes={node_id: entry.node for entry, node_id in ids.items()},
        sinks={ids[entry]: name_of(entry.node) for entry in sinks},
        roots=[ids[entry] for entry in graph.roots()],
    )
    entries = []
    for entry, node_id in ids.items():
        node = entry.node
        if flag_of(node, "is_remote"):
            raise RemoteMediaError(
                "remote execution is not part of this version: run the node itself, "
                "without a remote configuration",
                node_id=node_id,
                operation="plan",
            )
        at_caller = isinstance(node, CallerSource) or (
            isinstance(node, CallerSink) and entry in sinks
        )
        if at_caller:
            entries.append({"id": node_id, "node_type": _PASS_THROUGH, "params": {}})
        elif isinstance(node, ManifestNode) or (runs_natively(node) and not python_only):
            entries.append(run_entry(node, node_id, None))
        else:
            entries.append(run_entry(node, node_id, len(plan.instances)))
            plan.instances[node_id] = node
    plan.manifest["nodes"] = entries
    plan.manifest["connections"] = graph.connections()
    return plan


class Execution:
    """An open native session with the caller's objects around it."""

    def __init__(
        self,
        pipeline: Pipeline,
        point: CancelPoint,
        *,
        python_only: bool = False,
        copy: bool = False,
        runtime: str | None = None,
        fallback: bool | None = None,
    ) -> None:
        """Open the session.

        Args:
            pipeline: whose graph runs.
            point: cancelling it stops the session, also while it is being opened.
            python_only: run the Python class also of nodes that have a native twin.
            copy: copy inputs instead of borrowing their memory, because the caller goes on while
                they are worked on.
            runtime: the interpreter of Python nodes; None is the pipeline's.
            fallback: whether nodes may move from RustPython to CPython; None is the pipeline's.
        """
        self.plan = plan_run(pipeline.graph, pipeline.name, python_only=python_only)
        self._pipeline = pipeline
        self._closed = False
        self._cancel_token = native().CancelToken()
        point.attach(self._cancel_token)
        self._caller_sinks = {
            node_id: node
            for node_id in self.plan.sinks
            if isinstance(node := self.plan.nodes[node_id], CallerSink)
        }
        self._native: NativeSession = pipeline.native_runtime().open(
            json.dumps(self.plan.manifest),
            objects=_shipper(pipeline, self.plan),
            runtime=pipeline.interpreter if runtime is None else runtime,
            fallback=pipeline.fallback if fallback is None else fallback,
            caller=this_process(),
            cancel=self._cancel_token,
            # A sink at the caller may change an input that is still in use.
            copy=copy or bool(self._caller_sinks),
        )
        pipeline.watch_metrics(self)

    def source_items(self) -> Iterable[Any] | None:
        """The items of a run without input: those of a source at the caller, or None when nodes of
        the graph give them.

        Raises:
            ConfigurationError: no node gives items.
        """
        roots = [self.plan.nodes[node_id] for node_id in self.plan.roots]
        at_caller = [node for node in roots if isinstance(node, CallerSource)]
        if at_caller:
            if len(roots) > 1:
                raise ConfigurationError(
                    f"{name_of(at_caller[0])} must be the only node without a predecessor"
                )
            return at_caller[0].items()
        # What a manifest entry names may be a source; only the orchestrator can tell.
        if not any(is_source(node) or isinstance(node, ManifestNode) for node in roots):
            names = ", ".join(name_of(node) for node in roots)
            raise ConfigurationError(
                f"run() got no input, and the first node ({names}) is no source: pass the input "
                "as in run(data), or set is_source = True on a first node whose process() yields "
                "items"
            )
        return None

    def run(self, items: Iterable[Any] | None) -> Pairs:
        """Feed everything, flush, and return all outputs. On an error the outputs so far are on the
        exception.
        """
        return self._all(lambda: self._native.run(items), lambda: self._native.begin_run(items))

    def process(self, item: Any) -> Pairs:
        """Feed one item and return its outputs."""
        return self._all(lambda: self._native.process(item), lambda: self._native.begin(item))

    def flush(self) -> Pairs:
        """End the input and return what the nodes had kept."""
        return self._all(self._native.flush, self._native.begin_flush)

    def begin(self, item: Any) -> None:
        """Feed one item; `next` returns the outputs."""
        self._native.begin(item)

    def begin_flush(self) -> None:
        """End the input; `next` returns what the nodes had kept."""
        self._native.begin_flush()

    def begin_produce(self) -> None:
        """Let the sources produce; `next` returns the outputs.

        Raises:
            ConfigurationError: no node gives items.
        """
        self._native.begin_run(self.source_items())

    def next(self) -> tuple[Pairs, bool]:
        """All outputs that are ready, at least one, and whether they are the last."""
        pairs, is_last = self._native.next()
        for node_id, value in pairs:
            if node_id in self._caller_sinks:
                self._caller_sinks[node_id].deliver(value)
        return pairs, is_last

    def _all(self, at_once: Callable[[], Pairs], begin: Callable[[], None]) -> Pairs:
        """All outputs; a sink at the caller sees each when it is made."""
        pairs: Pairs = []
        try:
            if not self._caller_sinks:
                return at_once()
            begin()
            is_last = False
            while not is_last:
                made, is_last = self.next()
                pairs += made
        except BaseException as error:
            partial = [*pairs, *(getattr(error, "partial_results", None) or ())]
            _set_partial(error, session_result(partial, self.plan.sinks))
            raise
        return pairs

    def metrics(self) -> str:
        """What the session has cost so far, as JSON."""
        return self._native.metrics()

    def cancel(self) -> None:
        """Stop the running call, from any thread."""
        self._cancel_token.cancel()

    def close(self, outputs: Pairs | None = None) -> None:
        """Clean up the nodes, keep the metrics, put changed attributes back. Idempotent.

        Args:
            outputs: what the run gave; when cleaning up fails they are on the exception.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._close()
        except BaseException as error:
            if outputs is not None:
                _set_partial(error, session_result(outputs, self.plan.sinks))
            raise

    def _close(self) -> None:
        try:
            changed, failure = self._native.close()
        finally:
            self._pipeline.keep_metrics(self._native.metrics())
        with self._pipeline.write_back_lock:
            for node_id, state in changed:
                _write_back(node_id, self.plan.nodes[node_id], state)
        if failure is not None:
            raise failure

    def close_after(self, error: BaseException) -> None:
        """Close because of `error`, which is the one that the caller gets."""
        if not isinstance(error, Exception):
            # Ctrl-C and the like: stop everything.
            self.cancel()
        try:
            self.close()
        except RemoteMediaError as further:
            error.add_note(f"Cleaning up after it failed too: {further}")


def _shipper(pipeline: Pipeline, plan: RunPlan) -> Shipper | None:
    return Shipper(plan.instances, pipeline.kept_buffers()) if plan.instances else None


def _write_back(node_id: str, node: Any, state: bytes) -> None:
    try:
        changes: Any = _pickle.loads(state)
        attributes, deleted = changes
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # any error of any user's __setstate__, even SystemExit
        import warnings

        warnings.warn(
            f"what node {node_id!r} changed in its worker could not be put back: "
            f"{type(problem).__name__}: {problem}",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    for name, value in attributes.items():
        if isinstance(node, FunctionNode) and name == "function":
            node.take_back(value)
        elif isinstance(getattr(type(node), name, None), MemberDescriptorType):
            object.__setattr__(node, name, value)  # a slot, perhaps of a frozen dataclass
        elif hasattr(node, "__dict__"):
            vars(node)[name] = value
    for name in deleted:
        with contextlib.suppress(AttributeError):
            object.__delattr__(node, name)


def explain(
    pipeline: Pipeline, *, python_only: bool, runtime: str | None, fallback: bool | None
) -> Explanation:
    """Where the nodes of a pipeline would run now, and why; arguments as for `Execution`."""
    from remotemedia.core.explanation import Explanation

    plan = plan_run(pipeline.graph, pipeline.name, python_only=python_only)
    explained = pipeline.native_runtime().explain(
        json.dumps(plan.manifest),
        objects=_shipper(pipeline, plan),
        runtime=pipeline.interpreter if runtime is None else runtime,
        fallback=pipeline.fallback if fallback is None else fallback,
        caller=this_process(),
    )
    return Explanation.read(explained)


def _set_partial(error: BaseException, partial: Any) -> None:
    # Any exception can end a run, not only those that declare the attribute.
    error.partial_results = partial  # type: ignore[attr-defined]


__all__ = ["Execution", "RunPlan", "explain", "plan_run"]
