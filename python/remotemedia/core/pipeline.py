"""`Pipeline`: the face of the package. Nodes go in, `run()` comes out.

Building and describing the graph are inherited from `blueprint`; the steps of a run are those of
`execution` and `session`.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from remotemedia._load import native
from remotemedia.core import warming
from remotemedia.core._async import CancelPoint, PendingRun, is_loop_running, run_in_thread
from remotemedia.core.blueprint import Blueprint
from remotemedia.core.exceptions import PipelineError
from remotemedia.core.outputs import asynchronous, items_of, run_result

if TYPE_CHECKING:
    from remotemedia._native import KeptBuffers
    from remotemedia._native import Runtime as NativeRuntime
    from remotemedia.core.execution import Execution
    from remotemedia.core.explanation import Explanation
    from remotemedia.core.session import AsyncSession, Session
    from remotemedia.runtime import Runtime


class Pipeline(Blueprint):
    """A graph of nodes.

    Args:
        *args: nodes, lists of nodes, or a name, in any order: `Pipeline("name")`,
            `Pipeline([a, b])` and `Pipeline(a, b)` are all fine. A function is a node:
            `Pipeline(read, lambda audio: audio * 2)`.
        nodes: the nodes, each following the one before it.
        name: the pipeline's name.
        enable_metrics: accepted for compatibility; metrics are always kept.
        runtime: where it runs, a `Runtime`, by default the process's own; or the interpreter of
            its Python nodes that name none: "cpython", "rustpython" or "auto".
        fallback: whether a node that RustPython cannot run moves to CPython; by default what the
            environment (REMOTEMEDIA_ENABLE_FALLBACK) or the configuration says.

    A node is a `Node`, any object with a `process` method, a function or another callable (see
    `FunctionNode`), or a manifest entry as a dict.
    """

    def __init__(
        self,
        *args: Any,
        nodes: Iterable[Any] | None = None,
        name: str | None = None,
        enable_metrics: bool = False,
        runtime: Runtime | str | None = None,
        fallback: bool | None = None,
    ) -> None:
        self.runtime = None if isinstance(runtime, str) else runtime
        self.interpreter = _known(runtime) if isinstance(runtime, str) else None
        self.fallback = fallback
        self.write_back_lock = threading.Lock()
        self._metrics: str | None = None
        self._open: weakref.ref[Execution] | None = None
        self._kept: KeptBuffers | None = None
        self._active: AsyncSession | None = None
        super().__init__(*args, nodes=nodes, name=name, enable_metrics=enable_metrics)

    def _node_added(self, node: Any) -> None:
        # With the first node that needs a worker one starts.
        warming.start_worker_for(self, node)

    @property
    def is_initialized(self) -> bool:
        """Whether `initialize` has run and `cleanup` has not."""
        return self._active is not None

    def run(
        self,
        input_data: Any = None,
        use_rust: bool = True,
        *,
        runtime: str | None = None,
        fallback: bool | None = None,
    ) -> Any:
        """Run once and return the outputs.

        Blocks, except where an event loop runs: there it gives an awaitable (`await
        pipeline.run(x)`); `run_sync` always blocks.

        Args:
            input_data: a list is one item per element, and an iterator gives items as the
                pipeline gets to them; anything else (tuple, dict, array, number) is one item.
                None needs a source as the first node.
            use_rust: False runs the Python class also of nodes that have a native twin, in a
                worker like every Python node.
            runtime: the interpreter of Python nodes that name none, for this run.
            fallback: whether nodes may move from RustPython to CPython in this run.

        Returns:
            The only output, a list of several, None for none; with several sinks a dict of these
            by node id.

        Raises:
            NodeError: a node failed, crashed or took too long; `partial_results` has the outputs
                before that, all of them when only cleaning up failed.
            ValueError: the graph or a parameter is wrong, or there is neither input nor source.
        """
        if runtime is not None:
            _known(runtime)
        how = {"python_only": not use_rust, "runtime": runtime, "fallback": fallback}
        if is_loop_running():
            return PendingRun(self._run_async(input_data, how))
        return self._run_blocking(input_data, CancelPoint(), how)

    def run_sync(
        self,
        input_data: Any = None,
        use_rust: bool = True,
        *,
        runtime: str | None = None,
        fallback: bool | None = None,
    ) -> Any:
        """As `run`, but always blocks, even where an event loop runs."""
        how = {"python_only": not use_rust, "runtime": runtime, "fallback": fallback}
        return self._run_blocking(input_data, CancelPoint(), how)

    async def _run_async(self, input_data: Any, how: dict[str, Any]) -> Any:
        point = CancelPoint()
        return await run_in_thread(
            lambda: self._run_blocking(input_data, point, {**how, "copy": True}), point.cancel
        )

    def _run_blocking(self, input_data: Any, point: CancelPoint, how: dict[str, Any]) -> Any:
        items = None if input_data is None else items_of(input_data)
        execution = self._execution(point, **how)
        try:
            pairs = execution.run(execution.source_items() if items is None else items)
        except BaseException as error:
            execution.close_after(error)
            raise
        execution.close(pairs)
        return run_result(pairs, execution.plan.sinks)

    def session(self, *, runtime: str | None = None, fallback: bool | None = None) -> Session:
        """The pipeline held open, to feed items one by one: `with pipeline.session() as s: ...`
        or `async with pipeline.session() as s: ...`. The arguments are those of `run`.
        """
        if runtime is not None:
            _known(runtime)
        from remotemedia.core.session import Session

        return Session(
            lambda point, copy: self._execution(
                point, copy=copy, runtime=runtime, fallback=fallback
            )
        )

    def _execution(self, point: CancelPoint, **how: Any) -> Execution:
        # Imported while the first worker starts.
        from remotemedia.core.execution import Execution

        return Execution(self, point, **how)

    def explain(
        self, *, use_rust: bool = True, runtime: str | None = None, fallback: bool | None = None
    ) -> Explanation:
        """Which node would run where now, and why; after a run also what that has shown.

        Nothing is started for it. The arguments are those of `run`. Print what it gives, or look
        at it: `pipeline.explain()["node id"].runtime`.
        """
        from remotemedia.core.execution import explain

        return explain(self, python_only=not use_rust, runtime=runtime, fallback=fallback)

    async def initialize(self) -> None:
        """Load the nodes for `process`. Does nothing when they are loaded."""
        if self._active is None:
            self._active = await self.session().__aenter__()

    async def cleanup(self) -> None:
        """Undo `initialize`. Does nothing when nothing is loaded."""
        active, self._active = self._active, None
        if active is not None:
            await active.close()

    @asynccontextmanager
    async def managed_execution(self) -> AsyncIterator[Pipeline]:
        """`initialize` on entering, `cleanup` on leaving."""
        await self.initialize()
        try:
            yield self
        finally:
            await self.cleanup()

    async def process(self, stream: Any = None) -> AsyncIterator[Any]:
        """The outputs for a stream of items, as they come.

        Args:
            stream: an async iterator or any iterable of items; None needs a source as the first
                node.

        With several sinks the values are `(node id, output)`. Each output comes when it is made.
        Leaving the loop early stops the running nodes (`aclose`, or
        `contextlib.aclosing`); the next `process` begins with fresh nodes, made from yours as they
        are then.

        Raises:
            PipelineError: `initialize` has not run.
        """
        if self._active is None:
            raise PipelineError(
                "the pipeline is not initialised: use `async with pipeline.managed_execution()`"
            )
        active = self._active
        try:
            if stream is None:
                async for output in self._live(active, methodcaller("begin_produce")):
                    yield output
                return
            async for item in asynchronous(stream):
                async for output in self._live(active, methodcaller("begin", item)):
                    yield output
            async for output in self._live(active, methodcaller("begin_flush")):
                yield output
        finally:
            if active.is_live and self._active is active:
                # The caller has left early: stop the running nodes, and make fresh ones next time.
                self._active = self.session().asynchronous()
                await active.close()

    async def _live(
        self, active: AsyncSession, begin: Callable[[Execution], None]
    ) -> AsyncGenerator[Any]:
        has_one_sink = len(self.graph.sinks()) == 1
        async with aclosing(active.live(begin)) as pairs:
            async for pair in pairs:
                yield pair[1] if has_one_sink else pair

    def native_runtime(self) -> NativeRuntime:
        """The native runtime that runs this pipeline."""
        if self.runtime is not None:
            return self.runtime.native
        runtime: NativeRuntime = native().default_runtime()
        return runtime

    def kept_buffers(self) -> KeptBuffers:
        """The copies of its nodes' large arrays in shared memory, which live as long as it does."""
        if self._kept is None:
            self._kept = native().KeptBuffers()
        return self._kept

    def get_metrics(self) -> dict[str, Any] | None:
        """What the run that is open has measured so far, else the last one; None before the first.

        `nodes` is a list of dicts with `node_id`, `runtime`, `worker_pid`, `peak_memory_bytes`,
        times in microseconds, and counts of calls and errors.
        """
        import json

        execution = None if self._open is None else self._open()
        metrics = self._metrics if execution is None else execution.metrics()
        return None if metrics is None else json.loads(metrics)

    def watch_metrics(self, execution: Execution) -> None:
        """Have `get_metrics` look at an execution as long as it is open."""
        self._open = weakref.ref(execution)

    def keep_metrics(self, metrics: str) -> None:
        """Make `metrics` (JSON), of an execution that has ended, what `get_metrics` gives."""
        self._metrics, self._open = metrics, None


def _known(interpreter: str) -> str:
    """The name of an interpreter, as long as it is one.

    Raises:
        ConfigurationError: it is none; the message lists those that are known.
    """
    native().check_runtime(interpreter)
    return interpreter


__all__ = ["Pipeline"]
