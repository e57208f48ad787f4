"""The functions that run manifests, with the errors they raise; see
`remotemedia.runtime.functions`.
"""

from __future__ import annotations

from remotemedia._native import __version__, get_available_nodes, get_node_metadata
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
from remotemedia.runtime.detection import get_runtime_version, is_available
from remotemedia.runtime.functions import (
    execute_pipeline,
    execute_pipeline_with_input,
    get_metrics,
    validate_manifest,
)

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
    "get_metrics",
    "get_node_metadata",
    "get_runtime_version",
    "is_available",
    "validate_manifest",
]
