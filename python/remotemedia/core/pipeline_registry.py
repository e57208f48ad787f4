"""Pipelines by name in this process: definitions, the pipelines made of them, how often they ran.

Nothing is stored: `Pipeline.serialize` gives a text to keep.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remotemedia.core.exceptions import PipelineError
from remotemedia.core.pipeline import Pipeline


@dataclass
class PipelineMetrics:
    """How a registered pipeline ran; times in milliseconds, the timestamp in seconds since 1970."""

    total_executions: int = 0
    total_errors: int = 0
    total_execution_time_ms: float = 0.0
    last_execution_timestamp: float | None = None

    @property
    def average_execution_time_ms(self) -> float:
        """The mean time of a run; 0 before the first."""
        runs = self.total_executions
        return self.total_execution_time_ms / runs if runs else 0.0

    def record_execution(self, execution_time_ms: float, success: bool = True) -> None:
        """Count a run."""
        self.total_executions += 1
        self.total_errors += not success
        self.total_execution_time_ms += execution_time_ms
        self.last_execution_timestamp = time.time()


@dataclass
class RegisteredPipeline:
    """A definition with what is known about it."""

    pipeline_id: str
    name: str
    definition: dict[str, Any]
    metadata: dict[str, Any]
    registered_timestamp: float
    usage_count: int = 0
    category: str = "general"
    description: str = ""
    dependencies: list[str] = field(default_factory=list)
    metrics: PipelineMetrics = field(default_factory=PipelineMetrics)


class PipelineRegistry:
    """Definitions of pipelines, by id.

    Args:
        db_path: accepted for compatibility.
        enable_persistence: accepted for compatibility; nothing is stored.
    """

    def __init__(self, db_path: str | None = None, enable_persistence: bool = False) -> None:
        self.pipelines: dict[str, RegisteredPipeline] = {}
        self.pipeline_instances: dict[str, Pipeline] = {}
        self.session_pipelines: dict[str, str] = {}
        self.enable_persistence = False

    async def initialize(self) -> None:
        """Does nothing."""

    async def register_pipeline(
        self,
        name: str,
        definition: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        dependencies: Sequence[str] | None = None,
        category: str = "general",
        description: str = "",
        **ownership: Any,
    ) -> str:
        """Keep a definition and return its id. Owners and access levels are ignored."""
        pipeline_id = f"pipeline_{name}_{len(self.pipelines)}_{time.time_ns() // 1_000_000}"
        self.pipelines[pipeline_id] = RegisteredPipeline(
            pipeline_id,
            name,
            dict(definition),
            dict(metadata or {}),
            time.time(),
            category=category,
            description=description,
            dependencies=list(dependencies or ()),
        )
        return pipeline_id

    async def unregister_pipeline(self, pipeline_id: str) -> bool:
        """Forget a definition; False if there is none with this id."""
        made = self.pipeline_instances.pop(pipeline_id, None)
        if made is not None:
            await made.cleanup()
        return self.pipelines.pop(pipeline_id, None) is not None

    async def get_pipeline_instance(
        self, pipeline_id: str, create_if_missing: bool = True
    ) -> Pipeline | None:
        """The pipeline of a definition, made once; None if it is missing and not to be made.

        Raises:
            PipelineError: there is no definition with this id, or no pipeline can be made of it.
        """
        registered = self._registered(pipeline_id)
        if create_if_missing:
            return self._made(registered)
        return self.pipeline_instances.get(pipeline_id)

    def _made(self, registered: RegisteredPipeline) -> Pipeline:
        made = self.pipeline_instances.get(registered.pipeline_id)
        if made is None:
            try:
                made = Pipeline.from_dict(registered.definition)
            except Exception as problem:
                told = f"no pipeline can be made of {registered.pipeline_id!r}: {problem}"
                raise PipelineError(told) from problem
            self.pipeline_instances[registered.pipeline_id] = made
            registered.usage_count += 1
        return made

    async def execute_pipeline(
        self, pipeline_id: str, input_data: Any, runtime_config: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a pipeline for one item and return its last output, or the list of all outputs if a
        node is streaming.

        Raises:
            PipelineError: there is no such definition, or the run has failed.
        """
        registered = self._registered(pipeline_id)
        pipeline = self._made(registered)
        began = time.perf_counter()
        succeeded = False
        try:
            async with pipeline.session() as session:
                outputs = await session.process(input_data)
                outputs = [*outputs, *await session.flush()]
            succeeded = True
        except Exception as problem:
            raise PipelineError(f"the run of {pipeline_id!r} has failed: {problem}") from problem
        finally:
            took_ms = (time.perf_counter() - began) * 1000
            registered.metrics.record_execution(took_ms, success=succeeded)
        if any(getattr(node, "is_streaming", False) is True for node in pipeline.nodes):
            return outputs
        return outputs[-1] if outputs else None

    def list_pipelines(
        self, category: str | None = None, include_definitions: bool = False
    ) -> list[dict[str, Any]]:
        """What is known about each definition, of one category if that is given."""
        return [
            _info(registered, include_definitions)
            for registered in self.pipelines.values()
            if category is None or registered.category == category
        ]

    def get_pipeline_info(
        self, pipeline_id: str, include_definition: bool = False, include_metrics: bool = False
    ) -> dict[str, Any] | None:
        """What is known about a definition, or None."""
        registered = self.pipelines.get(pipeline_id)
        if registered is None:
            return None
        info = {**_info(registered, include_definition), "dependencies": registered.dependencies}
        if include_metrics:
            metrics = registered.metrics
            average = metrics.average_execution_time_ms
            info["metrics"] = {
                "total_executions": metrics.total_executions,
                "total_errors": metrics.total_errors,
                "average_execution_time_ms": average,
                "last_execution_timestamp": metrics.last_execution_timestamp,
            }
        return info

    def create_streaming_session(self, pipeline_id: str, session_id: str) -> None:
        """Note which pipeline a session id of the program belongs to."""
        self.session_pipelines[session_id] = pipeline_id

    def get_session_pipeline(self, session_id: str) -> str | None:
        """The id that `create_streaming_session` has noted, or None."""
        return self.session_pipelines.get(session_id)

    def _registered(self, pipeline_id: str) -> RegisteredPipeline:
        if pipeline_id not in self.pipelines:
            known = ", ".join(self.pipelines) or "none"
            raise PipelineError(f"no pipeline is registered as {pipeline_id!r}; known: {known}")
        return self.pipelines[pipeline_id]


def _info(registered: RegisteredPipeline, include_definition: bool) -> dict[str, Any]:
    info = dict(vars(registered))
    del info["metrics"], info["dependencies"]
    if not include_definition:
        del info["definition"]
    return info


_global: list[PipelineRegistry] = []


def get_global_registry() -> PipelineRegistry:
    """The registry of this process, made at the first call."""
    if not _global:
        _global.append(PipelineRegistry())
    return _global[0]


__all__ = ["PipelineMetrics", "PipelineRegistry", "RegisteredPipeline", "get_global_registry"]
