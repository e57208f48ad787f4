"""The five functions that run manifests, with the errors they raise.

Pipelines built from Python objects are the business of the package `remotemedia`.
"""

from __future__ import annotations

from remotemedia._native import (
    __version__,
    execute_pipeline,
    execute_pipeline_with_input,
    get_available_nodes,
    get_node_metadata,
    validate_manifest,
)
from remotemedia.core.exceptions import (
    ConfigurationError,
    CycleError,
    GraphError,
    LimitExceeded,
    ManifestError,
    MarshalingError,
    NodeError,
    NodeNotFoundError,
    NodeTimeout,
    PipelineError,
    RemoteMediaError,
    RunCancelled,
    WorkerCrashed,
    WorkerStartError,
)


def get_runtime_version() -> str:
    """The version of the runtime, as MAJOR.MINOR.PATCH."""
    return __version__


def is_available() -> bool:
    """True: the runtime is loaded, or this module could not have been imported."""
    return True


__all__ = [
    "ConfigurationError",
    "CycleError",
    "GraphError",
    "LimitExceeded",
    "ManifestError",
    "MarshalingError",
    "NodeError",
    "NodeNotFoundError",
    "NodeTimeout",
    "PipelineError",
    "RemoteMediaError",
    "RunCancelled",
    "WorkerCrashed",
    "WorkerStartError",
    "__version__",
    "execute_pipeline",
    "execute_pipeline_with_input",
    "get_available_nodes",
    "get_node_metadata",
    "get_runtime_version",
    "is_available",
    "validate_manifest",
]
