"""The base class of `Pipeline` with what outlives a run: its runtime, copies of large arrays,
breakers, metrics.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from remotemedia._load import native
from remotemedia.core.blueprint import Blueprint

if TYPE_CHECKING:
    from remotemedia._definitions import Definitions
    from remotemedia._native import Breakers, KeptBuffers, Metrics
    from remotemedia._native import Runtime as NativeRuntime
    from remotemedia.core.async_session import AsyncSession
    from remotemedia.core.execution import Execution
    from remotemedia.core.overlap import Choice
    from remotemedia.runtime import Runtime


class BetweenRuns(Blueprint):
    """A graph of nodes with what is kept from run to run.

    Attributes:
        runtime: the runtime that runs the pipeline; None for that of the process.
        interpreter: the interpreter of Python nodes that name none; None: by other settings.
        write_back_lock: held while changed attributes are set on node objects.
    """

    runtime: Runtime | None
    interpreter: str | None

    def _begin(self) -> None:
        """Set what belongs to this process."""
        self.write_back_lock = threading.Lock()
        self._metrics: str | Metrics | None = None
        self._open: weakref.ref[Execution] | None = None
        self._kept: KeptBuffers | None = None
        self._definitions: Definitions | None = None
        self._breakers: Breakers | None = None
        self._active: AsyncSession | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The graph and the settings. A `Runtime` stays in its process: a pipeline that was sent to
        another one runs on the default runtime there.
        """
        own = {
            "write_back_lock",
            "_metrics",
            "_open",
            "_kept",
            "_breakers",
            "_active",
            "_definitions",
        }
        state = {name: value for name, value in vars(self).items() if name not in own}
        return {**state, "runtime": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the graph and the settings."""
        vars(self).update(state)
        self._begin()

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

    def kept_definitions(self) -> Definitions:
        """Pickles of the nodes' classes and functions; they live as long as the pipeline."""
        if self._definitions is None:
            from remotemedia._definitions import Definitions

            self._definitions = Definitions()
        return self._definitions

    def breakers(self) -> Breakers:
        """The breakers of this pipeline's nodes, from run to run."""
        if self._breakers is None:
            self._breakers = native().Breakers()
        return self._breakers

    def overlapping(self, items: Any, wanted: bool | None = None) -> Choice:
        """The nodes that a run over these items gives workers of their own.

        Args:
            items: a list, None for a run without input, or an iterator.
            wanted: True: all that can have one; False: none; None: by the times of the last run.
        """
        from remotemedia.core.overlap import SLOW_SECONDS, Choice, choose, times_of

        count = len(items) if isinstance(items, list) else None
        if wanted is False or items is None or (count is not None and count < 2):
            return Choice()
        from remotemedia.core.run_plan import shares_worker
        from remotemedia.core.sharing import groups

        metrics = self.get_metrics() or {"nodes": []}
        times = times_of(metrics)
        nodes = {
            node_id: entry.node
            for entry, node_id in zip(self.graph.entries, self.graph.ids(), strict=True)
            if shares_worker(entry.node)
        }
        seconds = {node_id: times.get(node_id, 0.0) for node_id in nodes}
        is_slow = max(seconds.values(), default=0.0) >= SLOW_SECONDS
        if len(nodes) < 2 or not (wanted or is_slow):
            return Choice()
        return choose(
            seconds, groups(nodes), workers=self._free_workers(), items=count, forced=bool(wanted)
        )

    def _free_workers(self) -> int:
        """How many workers of the pipeline's pool are not in use."""
        import json

        names = (self.pool, self.interpreter, "cpython")
        pools = {pool["name"]: pool for pool in json.loads(self.native_runtime().pools())}
        pool = next(pools[name] for name in names if name in pools)
        busy = [worker for worker in pool["workers"] if worker["state"] == "busy"]
        most: int = pool["max"]
        return most - len(busy)

    def get_metrics(self) -> dict[str, Any] | None:
        """The metrics of the open run so far, otherwise of the last run; None before the first run.

        The entry `nodes` is a list of dicts with `node_id`, `runtime`, `worker_pid`,
        `peak_memory_bytes`, times in microseconds, and counts of calls and errors.
        """
        import json

        execution = None if self._open is None else self._open()
        metrics = self._metrics if execution is None else execution.metrics()
        return None if metrics is None else json.loads(str(metrics))

    def watch_metrics(self, execution: Execution) -> None:
        """Have `get_metrics` read from an execution while it is open."""
        self._open = weakref.ref(execution)

    def keep_metrics(self, metrics: str | Metrics) -> None:
        """Keep the metrics of an execution that has ended, for `get_metrics`; `str` gives JSON."""
        self._metrics, self._open = metrics, None


__all__ = ["BetweenRuns"]
