"""The class `Pipeline`, the main entry point of the package.

It inherits building and describing the graph from `blueprint`; `execution` and `session` implement
the steps of a run.
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
    from remotemedia._native import Breakers, KeptBuffers
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
        nodes: the nodes; each follows the previous one.
        name: the pipeline's name.
        enable_metrics: accepted for compatibility; metrics are always kept.
        runtime: the `Runtime` that runs the pipeline, by default that of the process. Or the
            interpreter of Python nodes without a `runtime_hint`: "cpython", "rustpython", "auto".
        fallback: whether a node that RustPython cannot run moves to CPython; by default as set by
            the environment (REMOTEMEDIA_ENABLE_FALLBACK) or the configuration.

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
        self._breakers: Breakers | None = None
        self._active: AsyncSession | None = None
        super().__init__(*args, nodes=nodes, name=name, enable_metrics=enable_metrics)

    def _node_added(self, node: Any) -> None:
        # The first node that needs a worker starts one.
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
        wait: bool = True,
    ) -> Any:
        """Run once and return the outputs.

        Blocks, unless an event loop runs in this thread: then it returns an awaitable (`await
        pipeline.run(x)`). `run_sync` always blocks.

        Args:
            input_data: each element of a list is an item, and so is each value of an iterator,
                taken when the pipeline is ready for it; any other value (tuple, dict, array,
                number) is one item. With None the first node must be a source.
            use_rust: False uses the Python class even of nodes that also exist as native nodes, and
                runs it in a worker like any Python node.
            runtime: the interpreter of Python nodes without a `runtime_hint`, for this run.
            fallback: whether nodes may move from RustPython to CPython in this run.
            wait: False raises `Overloaded` at once when all workers are in use, instead of waiting
                up to `[workers] acquire_timeout` for other sessions to end.

        Returns:
            The output if there is one, a list of several, or None; for several sinks a dict of
            these by node id.

        Raises:
            NodeError: a node failed, crashed or exceeded its deadline; `partial_results` has the
                outputs that were made before, and all outputs if only `cleanup` failed.
            ValueError: the graph or a parameter is invalid, or there is neither input nor source.
            Overloaded: see `wait`.
        """
        if runtime is not None:
            _known(runtime)
        how = {"python_only": not use_rust, "runtime": runtime, "fallback": fallback, "wait": wait}
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
        wait: bool = True,
    ) -> Any:
        """Like `run`, but always blocks, even where an event loop runs."""
        how = {"python_only": not use_rust, "runtime": runtime, "fallback": fallback, "wait": wait}
        return self._run_blocking(input_data, CancelPoint(), how)

    async def _run_async(self, input_data: Any, how: dict[str, Any]) -> Any:
        point = CancelPoint()
        return await run_in_thread(
            lambda: self._run_blocking(input_data, point, {**how, "copy": True}), point.cancel
        )

    def _run_blocking(self, input_data: Any, point: CancelPoint, how: dict[str, Any]) -> Any:
        items = None if input_data is None else items_of(input_data)
        execution = self._execution(point, is_run=True, **how)
        try:
            pairs = execution.run(execution.source_items() if items is None else items)
        except BaseException as error:
            execution.close_after(error)
            raise
        execution.close(pairs)
        return run_result(pairs, execution.plan.sinks)

    def session(
        self, *, runtime: str | None = None, fallback: bool | None = None, wait: bool = True
    ) -> Session:
        """A session, to feed items one by one: `with pipeline.session() as s: ...` or `async with
        pipeline.session() as s: ...`. The arguments are those of `run`.
        """
        if runtime is not None:
            _known(runtime)
        from remotemedia.core.session import Session

        return Session(
            lambda point, copy: self._execution(
                point, copy=copy, runtime=runtime, fallback=fallback, wait=wait
            )
        )

    def _execution(self, point: CancelPoint, **how: Any) -> Execution:
        # Imported here, since the first worker is starting at the same time.
        from remotemedia.core.execution import Execution

        return Execution(self, point, **how)

    def explain(
        self, *, use_rust: bool = True, runtime: str | None = None, fallback: bool | None = None
    ) -> Explanation:
        """Explain where each node would run now, and why; earlier runs may have moved nodes.

        This starts no worker. The arguments are those of `run`. Print the result, or read from it:
        `pipeline.explain()["node id"].runtime`.
        """
        from remotemedia.core.execution import explain

        return explain(self, python_only=not use_rust, runtime=runtime, fallback=fallback)

    async def initialize(self) -> None:
        """Load the nodes for `process`. Does nothing if they are loaded."""
        if self._active is None:
            self._active = await self.session().__aenter__()

    async def cleanup(self) -> None:
        """Undo `initialize`. Does nothing if the nodes are not loaded."""
        active, self._active = self._active, None
        if active is not None:
            await active.close()

    @asynccontextmanager
    async def managed_execution(self) -> AsyncIterator[Pipeline]:
        """A context manager that calls `initialize` on entering and `cleanup` on leaving."""
        await self.initialize()
        try:
            yield self
        finally:
            await self.cleanup()

    async def process(self, stream: Any = None) -> AsyncIterator[Any]:
        """Yield the outputs for a stream of items, each as soon as it is made.

        Args:
            stream: an async iterator or any iterable of items. With None the first node must be a
                source.

        For several sinks the values are `(node id, output)`. Leaving the loop early stops the
        running nodes (`aclose`, or `contextlib.aclosing`). The next `process` then begins with
        fresh copies of your node objects.

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
                # The caller has left the loop early: stop the running nodes, and use fresh ones
                # next time.
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
        """Copies, in shared memory, of the nodes' large arrays; they live as long as the
        pipeline.
        """
        if self._kept is None:
            self._kept = native().KeptBuffers()
        return self._kept

    def breakers(self) -> Breakers:
        """The breakers of this pipeline's nodes, from run to run."""
        if self._breakers is None:
            self._breakers = native().Breakers()
        return self._breakers

    def get_metrics(self) -> dict[str, Any] | None:
        """The metrics of the open run so far, otherwise of the last run; None before the first run.

        The entry `nodes` is a list of dicts with `node_id`, `runtime`, `worker_pid`,
        `peak_memory_bytes`, times in microseconds, and counts of calls and errors.
        """
        import json

        execution = None if self._open is None else self._open()
        metrics = self._metrics if execution is None else execution.metrics()
        return None if metrics is None else json.loads(metrics)

    def watch_metrics(self, execution: Execution) -> None:
        """Have `get_metrics` read from an execution while it is open."""
        self._open = weakref.ref(execution)

    def keep_metrics(self, metrics: str) -> None:
        """Keep the metrics (JSON) of an execution that has ended, for `get_metrics`."""
        self._metrics, self._open = metrics, None


def _known(interpreter: str) -> str:
    """Check the name of an interpreter and return it.

    Raises:
        ConfigurationError: the name is unknown; the message lists the known names.
    """
    native().check_runtime(interpreter)
    return interpreter


__all__ = ["Pipeline"]
