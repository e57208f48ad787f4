"""The class `RustExecutor`, a wrapper around the functions of `remotemedia_runtime`."""

from __future__ import annotations

import json
from typing import Any

from remotemedia._load import native


class RustExecutor:
    """Runs manifests. For pipelines built in Python, `Pipeline.run` is shorter."""

    def execute(self, manifest: dict[str, Any], input_data: Any) -> dict[str, Any]:
        """Validate the manifest and run it.

        Returns:
            A dict with `success`, `result`, `metrics` and `error`, the same as the function
            `execute_pipeline_with_input` returns.

        Raises:
            ValueError: the manifest is invalid.
            RuntimeError: the run failed.
        """
        runtime = native()
        manifest_json = json.dumps(manifest)
        runtime.validate_manifest(manifest_json)
        result: dict[str, Any] = runtime.execute_pipeline_with_input(manifest_json, input_data)
        if not result["success"]:
            raise RuntimeError(result["error"])
        return result

    @staticmethod
    def available_nodes() -> list[str]:
        """The names of all node types."""
        names: list[str] = native().get_available_nodes()
        return names


__all__ = ["RustExecutor"]
