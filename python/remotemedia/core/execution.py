"""One run of a pipeline on the native runtime: opens a session, feeds it, and takes state back.

The steps between a `Pipeline` and `remotemedia._native`: describe the graph, pickle the node
objects that go to workers, open the native session, and after its end set changed attributes on the
caller's objects. All calls block; the callers handle threads and event loops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from remotemedia import _warned
from remotemedia._load import native
from remotemedia.core._async import CancelPoint
from remotemedia.core.caller import this_process
from remotemedia.core.endpoints import CallerSink
from remotemedia.core.exceptions import PipelineError, RemoteMediaError
from remotemedia.core.how import captures, is_debugged, opener
from remotemedia.core.outputs import Pairs, session_result
from remotemedia.core.preload import preloaded
from remotemedia.core.replicas import is_replicated
from remotemedia.core.run_plan import RunPlan, plan_run
from remotemedia.core.shipping import Shipper
from remotemedia.core.writing_back import write_back

if TYPE_CHECKING:
    from remotemedia._native import Item
    from remotemedia._native import Session as NativeSession
    from remotemedia._progress import Progress
    from remotemedia.core import capturing
    from remotemedia.core.explanation import Explanation
    from remotemedia.core.pipeline import Pipeline

T = TypeVar("T")


class Execution:
    """An open native session together with the caller's node objects."""

    def __init__(
        self,
        pipeline: Pipeline,
        point: CancelPoint,
        *,
        copy: bool = False,
        runtime: str | None = None,
        fallback: bool | None = None,
        is_run: bool = False,
        wait: bool = True,
        lane: bool = False,
        like: Execution | None = None,
        apart: Collection[str] = (),
        profile: bool = False,
        debug: bool | None = None,
        capture: capturing.Option = None,
    ) -> None:
        """Open the session.

        Args:
            pipeline: the pipeline whose graph runs.
            point: cancelling it stops the session, even while the session is being opened.
            copy: copy inputs instead of borrowing their memory, because the caller may change them
                while they are processed.
            runtime: the interpreter of Python nodes; None for the pipeline's.
            fallback: whether nodes may move from RustPython to CPython; None for the pipeline's
                setting.
            is_run: whether the session serves one run: errors that may pass are then tried again.
            wait: whether to wait for workers that other sessions use.
            lane: whether further sessions are opened like this one, for the same map.
            like: the first of these sessions: this one gets the same node objects.
            apart: ids of nodes that get workers of their own.
            profile: whether the session records where its time goes.
            debug: whether crossings are logged; None for the pipeline's setting.
            capture: where failing items are kept; None for the pipeline's setting.
        """
        self.plan: RunPlan = like.plan if like else _plan(pipeline, apart, lane=lane)
        if like is None:
            objects = self.plan.instances.items()
            shared = {node_id: node for node_id, node in objects if lane or is_replicated(node)}
            self.plan.instances.update(
                preloaded(pipeline, shared, point, capture or pipeline.capture)
            )
        self._shipper: Shipper | None = (
            like._shipper if like else _shipper(pipeline, self.plan, shares=lane)
        )
        _warned.take_refused()  # of a session that could not be opened
        debug = is_debugged(pipeline.debug if debug is None else debug)
        self._captures = captures(capture or pipeline.capture, self.plan.nodes)
        self._pipeline = pipeline
        self._closed = False
        self._cancel_token = native().CancelToken()
        point.attach(self._cancel_token)
        self._caller_sinks = {
            node_id: node
            for node_id in self.plan.sinks
            if isinstance(node := self.plan.nodes[node_id], CallerSink)
        } | self.plan.taps
        try:
            self._native: NativeSession = opener(pipeline.native_runtime(), debug)(
                self.plan.manifest_text(pipeline.strict),
                objects=self._shipper,
                runtime=pipeline.interpreter if runtime is None else runtime,
                fallback=pipeline.fallback if fallback is None else fallback,
                caller=this_process(),
                is_run=is_run,
                wait=wait,
                breakers=pipeline.breakers(),
                cancel=self._cancel_token,
                copy=copy
                or self.plan.keeps_items
                or (self._captures is not None and self.plan.hears_pieces),
                profile=profile,
                debug=debug,
                capture=None if self._captures is None else self._captures.terms,
            )
        except BaseException as error:
            if self._captures is not None:  # `initialize` of a node has failed
                self._captures.keep(error)
                self._captures.close()
            raise
        if like is None:
            pipeline.watch_metrics(self)

    def run(self, items: Iterable[Any] | None, bar: Progress | None = None) -> Pairs:
        """Feed all items, flush, and return all outputs; `bar` shows how many items are done. After
        an error, `partial_results` of the exception has the outputs that were made before.
        """
        if bar is not None and items is not None:
            if not self._caller_sinks:
                taken, done = bar.counted(items), bar.completed
                return self._all(lambda: self._native.run(taken, done), lambda: None)
            items = bar.over(items)
        return self._all(lambda: self._native.run(items), lambda: self._native.begin_run(items))

    def process(self, item: Any) -> Pairs:
        """Feed one item and return its outputs."""
        if self._caller_sinks:
            return self._all(lambda: self._native.process(item), lambda: self._native.begin(item))
        try:  # as `_all` does, for less than a small node costs
            pairs = self._native.process(item)
        except BaseException as error:
            self._keep_partial(error, [])
            raise
        if _warned.refused:
            self._refuse(pairs)
        return pairs

    def convert(self, item: Any) -> Item:
        """An item as `process_each` takes it, also of an execution like this one.

        Raises:
            MarshalingError: it cannot travel.
        """
        return self._native.convert(item)

    def process_each(self, items: list[Item]) -> list[tuple[Pairs | None, BaseException | None]]:
        """Feed items one after the other. Returns for each its outputs, or the exception that it
        ended with.

        Raises:
            RunCancelled: the session was cancelled.
        """
        if self._captures is None:
            pairs = self._native.process_each(items)
            _warned.raise_refused()
            return pairs
        # One by one: the note of a call that has failed is there until the node fails again.
        each = []
        for item in items:
            each += self._native.process_each([item])
            if (error := each[-1][1]) is not None:
                self._capture(error)
        _warned.raise_refused()
        return each

    def process_until(self, item: Any, due: float) -> tuple[Pairs, bool]:
        """Feed one item and return its outputs as far as they are there at `due` (a time of
        `time.monotonic`), and whether these are all of them.

        Raises:
            PipelineError: a sink is at the caller: it gets outputs whenever they come.
        """
        if self._caller_sinks:
            raise PipelineError("`due` is not for pipelines with a sink at the caller")
        try:
            pairs, is_all = self._native.process_until(item, max(0.0, due - time.monotonic()))
        except BaseException as error:
            self._keep_partial(error, [])
            raise
        self._refuse(pairs)
        return pairs, is_all

    def interrupt(self) -> None:
        """Drop what is at work, from any thread."""
        self._native.interrupt()

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
            GraphError: there is no source.
        """
        self._native.begin_run(self.plan.source_items())

    def next(self) -> tuple[Pairs, bool]:
        """Wait for outputs. Returns all that are ready, and whether they are the last."""
        pairs, is_last = self._next(self._native.next)
        return self._handed_over(pairs), is_last

    @property
    def native(self) -> NativeSession:
        """The native session, for the steps of a stream."""
        return self._native

    def step(self, source: str) -> tuple[str, Pairs]:
        """Wait for the next step of a stream: "output", or what is to be done. `source`: whether
        there is an item now, "empty", "slow" or "quick".
        """
        step, pairs = self._next(lambda: self._native.next_of_stream(source))
        return step, self._handed_over(pairs or [])

    def _next(self, call: Callable[[], T]) -> T:
        try:
            made = call()
        except BaseException as error:
            _warned.take_refused()
            self._capture(error)
            raise
        _warned.raise_refused()
        return made

    def _handed_over(self, pairs: Pairs) -> Pairs:
        """Outputs, without those that a sink in this process keeps."""
        left: Pairs = []
        for node_id, value in pairs:
            sink = self._caller_sinks.get(node_id)
            if sink is not None:
                sink.deliver(value)
            if sink is None or not (sink.is_final or node_id in self.plan.taps):
                left.append((node_id, value))
        return left

    def _all(self, at_once: Callable[[], Pairs], begin: Callable[[], None]) -> Pairs:
        """All outputs. A sink in the caller's process gets each as soon as it is made."""
        pairs: Pairs = []
        try:
            if not self._caller_sinks:
                pairs = at_once()
                _warned.raise_refused()
                return pairs
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
        """Put the outputs before an error into its `partial_results`, and capture its item."""
        _warned.take_refused()
        self._capture(error)
        made = [*before, *(getattr(error, "partial_results", None) or ())]
        partial = [(node_id, value) for node_id, value in made if node_id in self.plan.sinks]
        _set_partial(error, session_result(partial, self.plan.sinks))

    def _refuse(self, pairs: Pairs) -> None:
        """Raise a warning of the call that is an error, with these outputs."""
        error = _warned.take_refused()
        if error is not None:
            self._keep_partial(error, pairs)
            raise error

    def _capture(self, error: BaseException) -> None:
        if self._captures is not None:
            self._captures.keep(error)

    def metrics(self) -> str:
        """The metrics of the session so far, as JSON."""
        return self._native.metrics()

    def trace(self) -> str | None:
        """Where the session's time went so far, as JSON; None unless it is profiled."""
        return self._native.trace()

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
            self._pipeline.keep_metrics(self._native.kept_metrics())
            if self._captures is not None:
                self._captures.close()
            for sink in self._caller_sinks.values():
                sink.end()
        with self._pipeline.write_back_lock:
            write_back(changed, self.plan.nodes, self.plan.instances)
        if failure is not None:
            _warned.take_refused()
            raise failure
        _warned.raise_refused()

    def end(self) -> None:
        """Clean up the nodes, and leave the caller's objects as they are."""
        if not self._closed:
            self._closed = True
            _, failure = self._native.close()
            if self._captures is not None:
                self._captures.close()
            if failure is not None:
                raise failure

    def close_after(self, error: BaseException) -> None:
        """Close because of `error`; further errors are added to it as notes."""
        if not isinstance(error, Exception):
            # Ctrl-C and the like: stop all nodes.
            self.cancel()
        try:
            self.close()
        except (RemoteMediaError, Warning) as further:
            error.add_note(f"Closing the session after this error failed too: {further}")


def _plan(pipeline: Pipeline, apart: Collection[str] = (), *, lane: bool = False) -> RunPlan:
    return plan_run(pipeline.graph, pipeline.name, pipeline.pool, apart=apart, lane=lane)


def _shipper(pipeline: Pipeline, plan: RunPlan, *, shares: bool = False) -> Shipper | None:
    if not plan.instances:
        return None
    return Shipper(
        plan.instances, pipeline.kept_buffers(), pipeline.kept_definitions(), shares=shares
    )


def explain(pipeline: Pipeline, *, runtime: str | None, fallback: bool | None) -> Explanation:
    """Where the nodes of a pipeline would run now, and why; for the arguments see `Execution`."""
    from remotemedia.core.explanation import Explanation

    choice = pipeline.overlapping(iter(()))
    plan = _plan(pipeline, choice.nodes)
    explained = pipeline.native_runtime().explain(
        plan.manifest_text(pipeline.strict),
        objects=_shipper(pipeline, plan),
        runtime=pipeline.interpreter if runtime is None else runtime,
        fallback=pipeline.fallback if fallback is None else fallback,
        caller=this_process(),
    )
    return Explanation.read(explained, choice)


def _set_partial(error: BaseException, partial: Any) -> None:
    # Any exception can end a run, also one whose class does not have this attribute.
    error.partial_results = partial  # type: ignore[attr-defined]


__all__ = ["Execution", "explain"]
