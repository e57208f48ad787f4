"""The class `Pipeline`, the main entry point of the package.

It inherits building and describing the graph from `blueprint`, and what is kept from run to run
from `between_runs`; `execution` and `session` implement the steps of a run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, Unpack

from remotemedia import _progress
from remotemedia.core import warming
from remotemedia.core._async import CancelPoint, PendingRun, is_loop_running, run_in_thread
from remotemedia.core.between_runs import BetweenRuns
from remotemedia.core.how import How, checked, known
from remotemedia.core.outputs import items_of, run_result
from remotemedia.core.seeing import Visible

if TYPE_CHECKING:
    from remotemedia.core import capturing
    from remotemedia.core.execution import Execution
    from remotemedia.core.explanation import Explanation
    from remotemedia.core.mapping import Mapped
    from remotemedia.core.session import Session
    from remotemedia.core.streaming import OnError
    from remotemedia.runtime import Runtime


class Pipeline(BetweenRuns, Visible):
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
        strict: False leaves out fields and parameters of manifest entries that are not known, with
            a warning each, instead of raising ManifestError.
        pool: name of the pool that the workers of nodes come from which name none themselves: a
            section `[pools.NAME]` of the configuration.
        debug: whether each crossing between processes is logged; None: as REMOTEMEDIA_DEBUG says.
        capture: "on_error" keeps failing items for `remotemedia replay`; a `Capture` says where.

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
        strict: bool = True,
        pool: str | None = None,
        debug: bool | None = None,
        capture: capturing.Option = None,
    ) -> None:
        self.runtime = None if isinstance(runtime, str) else runtime
        self.interpreter = known(runtime) if isinstance(runtime, str) else None
        self.fallback = fallback
        self.debug, self.capture = debug, capture
        self._begin()
        super().__init__(
            *args,
            nodes=nodes,
            name=name,
            enable_metrics=enable_metrics,
            strict=strict,
            pool=pool,
        )

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
        overlap: bool | None = None,
        debug: bool | None = None,
        capture: capturing.Option = None,
        progress: _progress.Option = False,
    ) -> Any:
        """Run once and return the outputs.

        Blocks, unless an event loop runs in this thread: then it returns an awaitable (`await
        pipeline.run(x)`). `run_sync` always blocks.

        Args:
            input_data: each element of a list is an item, and so is each value of an iterator,
                taken when the pipeline is ready for it; any other value (tuple, dict, array) is
                one item. With None the first node must be a source.
            use_rust: False runs your node objects in this process, in plain Python, for debuggers:
                without isolation, deadlines and retries.
            runtime: the interpreter of Python nodes without a `runtime_hint`, for this run.
            fallback: whether nodes may move from RustPython to CPython in this run.
            wait: False raises `Overloaded` at once when all workers are in use, instead of waiting
                up to `[workers] acquire_timeout` for other sessions to end.
            overlap: whether nodes that follow one another work at the same time, each on its own
                item: None, if that saves time by what they took in the last run (see `explain`);
                True, where it is possible; False, never. Nodes that may share an object or a
                global stay together in any case.
            debug: whether crossings between processes are logged; None for the pipeline's setting.
            capture: where failing items are kept; None for the pipeline's setting.
            progress: True shows a bar after half a second, in the terminal or the notebook; a
                function is called with the number of items that are done and their total.

        Returns:
            The output if there is one, a list of several, or None; for several sinks a dict of
            these by node id.

        Raises:
            NodeError: a node failed, crashed or exceeded its deadline; `partial_results` has the
                outputs that were made before, and all outputs if only `cleanup` failed.
            ValueError: the graph or a parameter is invalid, or there is neither input nor source.
            Overloaded: see `wait`.
        """
        how: dict[str, Any] = {"runtime": runtime, "fallback": fallback, "wait": wait}
        how = checked({**how, "debug": debug, "capture": capture})
        how |= {"use_rust": use_rust, "progress": progress, "overlap": overlap}
        if is_loop_running():
            return PendingRun(self._run_async(input_data, how))
        return self._executed(input_data, CancelPoint(), how)[0]

    def run_sync(
        self,
        input_data: Any = None,
        use_rust: bool = True,
        *,
        overlap: bool | None = None,
        progress: _progress.Option = False,
        **how: Unpack[How],
    ) -> Any:
        """Like `run`, but always blocks, even where an event loop runs."""
        given = {**checked(how), "use_rust": use_rust, "progress": progress, "overlap": overlap}
        return self._executed(input_data, CancelPoint(), given)[0]

    async def run_async(self, input_data: Any = None, use_rust: bool = True, **how: Any) -> Any:
        """Like `run`, as a coroutine: for `asyncio.run(pipeline.run_async(x))`, where no event loop
        runs yet.
        """
        return await self.run(input_data, use_rust, **how)

    async def _run_async(self, input_data: Any, how: dict[str, Any]) -> Any:
        point = CancelPoint()
        return await run_in_thread(
            lambda: self._executed(input_data, point, {**how, "copy": True})[0], point.cancel
        )

    def run_until(self, point: CancelPoint, input_data: Any, *, copy: bool = False) -> Any:
        """Like `run_sync`, and another thread can end it through `point`. `copy` copies the input,
        which the caller may change meanwhile.
        """
        return self._executed(input_data, point, {"copy": copy})[0]

    def _executed(self, input_data: Any, point: CancelPoint, how: dict[str, Any]) -> Any:
        items = None if input_data is None else items_of(input_data)
        progress = how.pop("progress", False)
        if progress is False or items is None:
            return self._run_items(items, point, how)
        with _progress.Progress(progress, _progress.total_of(items), self.name) as bar:
            return self._run_items(items, point, how, bar)

    def _run_items(self, items: Any, point: CancelPoint, how: Any, bar: Any = None) -> Any:
        if not how.pop("use_rust", True):
            return self._run_in_process(items if bar is None else bar.over(items)), None
        apart = self.overlapping(items, how.pop("overlap", None)).nodes
        execution = self._execution(point, is_run=True, apart=apart, **how)
        try:
            given = execution.plan.source_items() if items is None else items
            pairs = execution.run(given, bar)
        except BaseException as error:
            execution.close_after(error)
            raise
        execution.close(pairs)
        return run_result(pairs, execution.plan.sinks), execution

    def _run_in_process(self, items: Iterable[Any] | None) -> Any:
        from remotemedia.core.in_process import InProcess, source_items

        run = InProcess(self.graph)
        try:
            pairs = run.run(source_items(self.graph) if items is None else items)
        finally:
            self.keep_metrics(run.metrics())
        return run_result(pairs, run.sinks)

    def session(self, *, profile: bool = False, **how: Unpack[How]) -> Session:
        """A session, to feed items one by one: `with pipeline.session() as s: ...` or `async with
        pipeline.session() as s: ...`.

        Args:
            profile: whether the session records where its time goes, for `Session.profile`.
            **how: see `run`.
        """
        from remotemedia.core.session import Session

        given = {**checked(how), "profile": profile}
        return Session(lambda point, copy: self._execution(point, copy=copy, **given))

    def stream(
        self,
        items: Iterable[Any] | None = None,
        *,
        on_error: OnError = "raise",
        progress: _progress.Option = False,
        **how: Unpack[How],
    ) -> Iterator[Any]:
        """Iterate over the outputs for items, each as soon as it is made.

            for output in pipeline.stream(microphone()):
                ...

        Nothing begins before the first output is asked for, and an item is taken when all outputs
        of the one before have been handed over, or where nodes have replicas, when one of these is
        free: the items may be endless. The nodes' last outputs
        (`flush`) follow. Leaving the loop early ends the run at once; the changes of the nodes'
        attributes come back then, as at the end.

        Args:
            items: an iterable of items. With None the first node must be a source.
            on_error: "raise" ends the stream with the error of an item, at its place. "skip" goes
                on with the next item, and so does a function, which is called with the error.
            progress: see `run`.
            **how: see `run`.

        For several sinks the values are `(node id, output)`.
        """
        from remotemedia.core.streaming import check

        check(on_error, items)
        session = self.session(**how)
        if progress is False or items is None:
            return self._stream(session, items, on_error)
        bar = _progress.Progress(progress, _progress.total_of(items), self.name)
        return bar.shown(self._stream(session, bar.over(items), on_error))

    def _stream(self, session: Session, items: Any, on_error: OnError) -> Iterator[Any]:
        try:
            yield from session.open().stream(items, on_error=on_error)
        except GeneratorExit:
            session.close()
            raise
        except BaseException as error:
            session.close_after(error)
            raise
        session.close()

    def map(
        self,
        items: Any,
        *,
        workers: int | None = None,
        ordered: bool = True,
        batch: int | None = None,
        errors: Literal["raise", "return"] = "raise",
        progress: _progress.Option = False,
        **how: Unpack[How],
    ) -> Mapped:
        """Process items side by side, each by itself, and iterate over the results.

            for path, text in zip(paths, pipeline.map(paths, workers=8)):
                ...

        Each worker has its own instances of all nodes, so nodes keep nothing from item to item, and
        what they change about themselves stays there. Items are taken when workers are free for
        them: they may be endless. `async for` works as well, also for an async iterable.

        Args:
            items: the items; each element is one.
            workers: how many items are processed at the same time, at most; by default the number
                of processors. Where the pool has fewer workers it is fewer.
            ordered: whether results come in the order of the items; otherwise as they are made.
            batch: how many items a worker gets at once. None: by the time that they take.
            errors: "raise" ends the map with the first error; "return" gives the error of an item
                in place of its result.
            progress: True shows a bar, in terminals and notebooks. A function is called with the
                number of items that are done, and of all items (None if that is not known).
            **how: see `run`; `wait` is for the first worker.

        Returns:
            An iterator over the results, each as `run` returns it for the item: the output if there
            is one, a list of several, or None.

        Raises:
            ConfigurationError: an argument is out of range, or a node is streaming, a source or one
                with a checkpoint.
        """
        from remotemedia.core.dispatch import Dispatch
        from remotemedia.core.mapping import Mapped, lanes_of

        given = checked(how) | {"is_run": True, "copy": True, "lane": True}
        wait = given.pop("wait", True)

        def opened(point: CancelPoint, like: Execution | None) -> Execution:
            return self._execution(point, wait=wait and like is None, like=like, **given)

        lanes = lanes_of(self.graph, workers, batch, errors)
        mapped = Mapped(items, opened, Dispatch(lanes, ordered, batch), self.keep_metrics)
        mapped.returns_errors = errors == "return"
        if progress is not False:
            mapped.progress = _progress.Progress(progress, mapped.total, label=self.name)
        return mapped

    def _execution(self, point: CancelPoint, **how: Any) -> Execution:
        # Imported here, since the first worker is starting at the same time.
        from remotemedia.core.execution import Execution

        return Execution(self, point, **how)

    def explain(self, *, runtime: str | None = None, fallback: bool | None = None) -> Explanation:
        """Explain where each node would run now, and why; earlier runs may have moved nodes.

        This starts no worker. The arguments are those of `run`. Print the result, or read from it:
        `pipeline.explain()["node id"].runtime`.
        """
        from remotemedia.core.execution import explain

        return explain(self, runtime=runtime, fallback=fallback)

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

    async def process(
        self, stream: Any = None, *, on_error: OnError = "raise"
    ) -> AsyncIterator[Any]:
        """Like `stream`, for coroutines: `async for output in pipeline.process(items)`.

        Between `initialize` and `cleanup` (`managed_execution`) the loaded nodes are used,
        otherwise nodes are loaded for this stream. Leaving the loop early stops the running nodes
        (`aclose`, or `contextlib.aclosing`); the next `process` then begins with fresh copies of
        your node objects.

        Args:
            stream: an async iterator or any iterable of items. With None the first node must be a
                source.
            on_error: see `stream`.
        """
        from remotemedia.core.streaming import check

        check(on_error)
        active = self.session().asynchronous() if self._active is None else self._active
        is_own = self._active is None
        try:
            async with aclosing(active.stream(stream, on_error=on_error)) as outputs:
                async for output in outputs:
                    yield output
        finally:
            if is_own:
                await active.close()
            elif active.is_live and self._active is active:
                # The caller has left the loop early: stop the running nodes, and use fresh ones
                # next time.
                self._active = self.session().asynchronous()
                await active.close()


__all__ = ["Pipeline"]
