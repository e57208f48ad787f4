"""One run of a pipeline on the native runtime: opens a session, feeds it, and takes state back.

The steps between a `Pipeline` and `remotemedia._native`: describe the graph, pickle the node
objects that go to workers, open the native session, and after its end set changed attributes on the
caller's objects. All calls block; the callers handle threads and event loops.
"""

from __future__ import annotations

import contextlib
import json
import time
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
    PipelineError,
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
    """The graph at the time when the run opens, in the form for the native runtime.

    Attributes:
        manifest: the manifest.
        nodes: the caller's node object by id.
        sinks: the name of each sink by id.
        roots: ids of the nodes without a predecessor.
        instances: by id, the node objects to pickle, in the order of the manifest's `instance`
            numbers.
    """

    manifest: dict[str, Any]
    nodes: dict[str, Any]
    sinks: dict[str, str]
    roots: list[str]
    instances: dict[str, Any] = field(default_factory=dict)


def plan_run(graph: Graph, name: str, *, python_only: bool = False) -> RunPlan:
    """Describe the graph for a run.

    Args:
        graph: the nodes and connections.
        name: the pipeline's name.
        python_only: use the Python class even of nodes that also exist as native nodes.

    Raises:
        ManifestError: there are no nodes.
        RemoteMediaError: a node is marked to run on another machine.
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
    """An open native session together with the caller's node objects."""

    def __init__(
        self,
        pipeline: Pipeline,
        point: CancelPoint,
        *,
        python_only: bool = False,
        copy: bool = False,
        runtime: str | None = None,
        fallback: bool | None = None,
        is_run: bool = False,
        wait: bool = True,
    ) -> None:
        """Open the session.

        Args:
            pipeline: the pipeline whose graph runs.
            point: cancelling it stops the session, even while the session is being opened.
            python_only: use the Python class even of nodes that also exist as native nodes.
            copy: copy inputs instead of borrowing their memory, because the caller may change them
                while they are processed.
            runtime: the interpreter of Python nodes; None for the pipeline's.
            fallback: whether nodes may move from RustPython to CPython; None for the pipeline's
                setting.
            is_run: whether the session serves one run: errors that may pass are then tried again.
            wait: whether to wait for workers that other sessions use.
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
            is_run=is_run,
            wait=wait,
            breakers=pipeline.breakers(),
            cancel=self._cancel_token,
            # A sink in the caller's process may change an input that is still in use.
            copy=copy or bool(self._caller_sinks),
        )
        pipeline.watch_metrics(self)

    def source_items(self) -> Iterable[Any] | None:
        """The items of a run without input: those of a `CallerSource`, or None if source nodes
        produce them.

        Raises:
            ConfigurationError: there is no source.
        """
        roots = [self.plan.nodes[node_id] for node_id in self.plan.roots]
        at_caller = [node for node in roots if isinstance(node, CallerSource)]
        if at_caller:
            if len(roots) > 1:
                raise ConfigurationError(
                    f"{name_of(at_caller[0])} feeds the pipeline from your program, so it must be "
                    "the only node without a predecessor"
                )
            return at_caller[0].items()
        # The node of a manifest entry may be a source; only the orchestrator knows.
        if not any(is_source(node) or isinstance(node, ManifestNode) for node in roots):
            names = ", ".join(name_of(node) for node in roots)
            raise ConfigurationError(
                f"run() got no input, and the first node ({names}) is not a source: pass the input "
                "as in run(data), or set is_source = True on a first node whose process() yields "
                "items"
            )
        return None

    def run(self, items: Iterable[Any] | None) -> Pairs:
        """Feed all items, flush, and return all outputs. After an error, `partial_results` of the
        exception has the outputs that were made before.
        """
        return self._all(lambda: self._native.run(items), lambda: self._native.begin_run(items))

    def process(self, item: Any) -> Pairs:
        """Feed one item and return its outputs."""
        if self._caller_sinks:
            return self._all(lambda: self._native.process(item), lambda: self._native.begin(item))
        try:  # as `_all` does, for less than a small node costs
            return self._native.process(item)
        except BaseException as error:
            self._keep_partial(error, [])
            raise

    def process_until(self, item: Any, due: float) -> tuple[Pairs, bool]:
        """Feed one item and return its outputs as far as they are there at `due` (a time of
        `time.monotonic`), and whether these are all of them.

        Raises:
            PipelineError: a sink is at the caller: it gets outputs whenever they come.
        """
        if self._caller_sinks:
            raise PipelineError("`due` is not for pipelines with a sink at the caller")
        try:
            return self._native.process_until(item, max(0.0, due - time.monotonic()))
        except BaseException as error:
            self._keep_partial(error, [])
            raise

    def count_late(self) -> None:
        """Count an item whose outputs came after they were due."""
        self._native.count_late()

    def flush(self) -> Pairs:
        """End the input and return the nodes' last outputs."""
        return self._all(self._native.flush, self._native.begin_flush)

    def begin(self, item: Any) -> None:
        """Feed one item; `next` returns the outputs."""
        self._native.begin(item)

    def begin_flush(self) -> None:
        """End the input; `next` returns the nodes' last outputs."""
        self._native.begin_flush()

    def begin_produce(self) -> None:
        """Let the sources produce; `next` returns the outputs.

        Raises:
            ConfigurationError: there is no source.
        """
        self._native.begin_run(self.source_items())

    def next(self) -> tuple[Pairs, bool]:
        """Wait for outputs. Returns all that are ready, and whether they are the last."""
        pairs, is_last = self._native.next()
        for node_id, value in pairs:
            if node_id in self._caller_sinks:
                self._caller_sinks[node_id].deliver(value)
        return pairs, is_last

    def _all(self, at_once: Callable[[], Pairs], begin: Callable[[], None]) -> Pairs:
        """All outputs. A sink in the caller's process gets each as soon as it is made."""
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
            self._keep_partial(error, pairs)
            raise
        return pairs

    def _keep_partial(self, error: BaseException, before: Pairs) -> None:
        """Put the outputs that were made before an error into its `partial_results`."""
        partial = [*before, *(getattr(error, "partial_results", None) or ())]
        _set_partial(error, session_result(partial, self.plan.sinks))

    def metrics(self) -> str:
        """The metrics of the session so far, as JSON."""
        return self._native.metrics()

    def cancel(self) -> None:
        """Stop the running call, from any thread."""
        self._cancel_token.cancel()

    def close(self, outputs: Pairs | None = None) -> None:
        """Clean up the nodes, keep the metrics, and set changed attributes on the caller's objects.
        Further calls do nothing.

        Args:
            outputs: the outputs of the run, for `partial_results` of an error in cleaning up.
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
        """Close because of `error`; further errors are added to it as notes."""
        if not isinstance(error, Exception):
            # Ctrl-C and the like: stop all nodes.
            self.cancel()
        try:
            self.close()
        except RemoteMediaError as further:
            error.add_note(f"Closing the session after this error failed too: {further}")


def _shipper(pipeline: Pipeline, plan: RunPlan) -> Shipper | None:
    return Shipper(plan.instances, pipeline.kept_buffers()) if plan.instances else None


def _write_back(node_id: str, node: Any, state: bytes) -> None:
    try:
        changes: Any = _pickle.loads(state)
        attributes, deleted = changes
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # a `__setstate__` can raise any exception, even SystemExit
        import warnings

        warnings.warn(
            f"the attributes that node {node_id!r} changed in its worker could not be put back: "
            f"{type(problem).__name__}: {problem}",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    for name, value in attributes.items():
        if isinstance(node, FunctionNode) and name == "function":
            node.take_back(value)
        elif isinstance(getattr(type(node), name, None), MemberDescriptorType):
            object.__setattr__(node, name, value)  # a slot, which a frozen dataclass may protect
        elif hasattr(node, "__dict__"):
            vars(node)[name] = value
    for name in deleted:
        with contextlib.suppress(AttributeError):
            object.__delattr__(node, name)


def explain(
    pipeline: Pipeline, *, python_only: bool, runtime: str | None, fallback: bool | None
) -> Explanation:
    """Where the nodes of a pipeline would run now, and why; for the arguments see `Execution`."""
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
    # Any exception can end a run, also one whose class does not have this attribute.
    error.partial_results = partial  # type: ignore[attr-defined]


__all__ = ["Execution", "RunPlan", "explain", "plan_run"]
