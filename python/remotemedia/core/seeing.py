"""What a pipeline shows of itself: the base class of `Pipeline` for its profile and its picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Unpack

from remotemedia.core._async import CancelPoint, PendingRun, is_loop_running, run_in_thread
from remotemedia.core.blueprint import Blueprint
from remotemedia.core.how import How, checked

if TYPE_CHECKING:
    from remotemedia.core.execution import Execution
    from remotemedia.core.explanation import Explanation
    from remotemedia.core.profiling import Profile


class Visible(Blueprint):
    """A pipeline that can be looked at. `Pipeline` adds running."""

    def profile(
        self,
        input_data: Any = None,
        *,
        trace: str | os.PathLike[str] | None = None,
        **how: Unpack[How],
    ) -> Any:
        """Run once like `run`, and return where the time went, as a `Profile`.

            print(pipeline.profile(audio, trace="run.json"))

        Blocks, unless an event loop runs in this thread: then it returns an awaitable.

        Args:
            input_data: see `run`.
            trace: a file for the single calls, which https://ui.perfetto.dev shows.
            **how: see `run`.
        """
        if is_loop_running():
            return PendingRun(self._profile_async(input_data, trace, {**checked(how)}))
        return self._profiled(input_data, trace, CancelPoint(), {**checked(how)})

    async def _profile_async(self, input_data: Any, trace: Any, how: dict[str, Any]) -> Profile:
        point = CancelPoint()
        how = {**how, "copy": True}
        return await run_in_thread(
            lambda: self._profiled(input_data, trace, point, how), point.cancel
        )

    def _profiled(
        self, input_data: Any, trace: Any, point: CancelPoint, how: dict[str, Any]
    ) -> Profile:
        from remotemedia.core.profiling import Profile

        result, execution = self._executed(input_data, point, {**how, "profile": True})
        profile = Profile.of(execution, result)
        assert profile is not None
        if trace is not None:
            profile.save(trace)
        return profile

    def _executed(
        self, input_data: Any, point: CancelPoint, how: dict[str, Any]
    ) -> tuple[Any, Execution]:
        """Run once. Returns the result of `run`, and the execution, which has closed."""
        raise NotImplementedError

    def get_metrics(self) -> dict[str, Any] | None:
        """The metrics of the last run."""
        raise NotImplementedError

    def explain(self) -> Explanation:
        """Where each node would run."""
        raise NotImplementedError

    def _repr_svg_(self) -> str:
        """The graph: where each node ran, or would run now, and its share of the time."""
        from remotemedia.core.picture import facts, svg

        runs_on, shares = facts(self.get_metrics())
        if not all(node_id in runs_on for node_id in self.graph.ids()):
            # A notebook shows every pipeline, also one that cannot run.
            try:
                planned = {node.node_id: node.runtime for node in self.explain()}
            except Exception:
                planned = {}
            runs_on = {**planned, **runs_on}
        return svg(self.graph, runs_on, shares)

    def _repr_html_(self) -> str:
        """The picture, with the name above."""
        from html import escape

        return f"<div><div><b>{escape(self.name)}</b></div>{self._repr_svg_()}</div>"


__all__ = ["Visible"]
