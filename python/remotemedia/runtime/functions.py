"""The functions of `remotemedia_runtime`: they run manifests, pipelines and lists of nodes.

They block and return a dict, whose `await` gives the bare outputs. Where an event loop runs, the
run goes on in a thread, and what they return stands for its result: awaiting it does not block the
loop, reading it does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from remotemedia._load import native
from remotemedia.core._async import CancelPoint, is_loop_running
from remotemedia.runtime.results import PendingResult, RunResult

if TYPE_CHECKING:
    from remotemedia.core.pipeline import Pipeline

_NO_INPUT = object()


def execute_pipeline(
    pipeline: Any, enable_metrics: bool | None = None, *, strict: bool = True
) -> Any:
    """Run a pipeline whose first nodes are sources.

    Args:
        pipeline: a manifest as JSON text or as a dict, a `Pipeline`, or a list of nodes, each
            following the one before. If the first of these nodes is no source, it gets an empty
            text.
        enable_metrics: whether awaiting the result gives `{"outputs", "metrics"}`, the metrics as
            JSON text, and not the outputs alone.
        strict: False leaves out fields and parameters of a manifest that are not known, with a
            warning each.

    Returns:
        `{"success": True, "result", "metrics", "error": None}`; `result` is what `Pipeline.run`
        returns, and so is what `await` gives.

    Raises:
        TypeError: the first argument is none of these.
        ValueError: the list is empty.
        Exception: the errors of `Pipeline.run`, and `ManifestError` for an invalid manifest.
    """
    return _execute(pipeline, _NO_INPUT, enable_metrics, strict)


def execute_pipeline_with_input(
    pipeline: Any,
    input_data: Any,
    enable_metrics: bool | None = None,
    *,
    strict: bool = True,
) -> Any:
    """Run a pipeline on an input: each element of a list is an item, anything else is one item.

    The other arguments, the result and the errors are those of `execute_pipeline`.
    """
    return _execute(pipeline, input_data, enable_metrics, strict)


def validate_manifest(pipeline: Any, *, strict: bool = True) -> bool:
    """Check a manifest without running it; for the arguments see `execute_pipeline`.

    Returns:
        True.

    Raises:
        ManifestError: it has problems; the message lists all of them.
    """
    text = pipeline if isinstance(pipeline, str) else _text_of(pipeline)
    return bool(native().validate_manifest(_checked(text, strict)))


def get_metrics(metrics_json: str) -> dict[str, Any]:
    """The metrics in the JSON text that a run with `enable_metrics` gives, as a dict."""
    metrics: dict[str, Any] = json.loads(metrics_json)
    return metrics


def _execute(
    pipeline: Any, input_data: Any, enable_metrics: bool | None, strict: bool
) -> RunResult | PendingResult:
    keeps_metrics = bool(enable_metrics)
    if isinstance(pipeline, str) and not _names_registered(pipeline):
        text = _checked(pipeline, strict)
        if not is_loop_running():
            runtime = native()
            if input_data is _NO_INPUT:
                return RunResult(runtime.execute_pipeline(text), keeps_metrics)
            return RunResult(runtime.execute_pipeline_with_input(text, input_data), keeps_metrics)
        native().validate_manifest(text)  # its errors are told at once, and all together
    elif isinstance(pipeline, str):
        text = pipeline
    else:
        text = None
    made = _pipeline_of(pipeline if text is None else json.loads(text), strict)
    if input_data is _NO_INPUT:
        input_data = _without_input(made, is_manifest=text is not None)
    run = partial(_run, made, input_data)
    if is_loop_running():
        return PendingResult(lambda point: run(point, copy=True), keeps_metrics)
    return RunResult(run(CancelPoint(), copy=False), keeps_metrics)


def _run(pipeline: Pipeline, input_data: Any, point: CancelPoint, copy: bool) -> dict[str, Any]:
    result = pipeline.run_until(point, input_data, copy=copy)
    return {"success": True, "result": result, "metrics": pipeline.get_metrics(), "error": None}


def _checked(text: str, strict: bool) -> str:
    if strict:
        return text
    from remotemedia.core.lenient import without_unknown

    return without_unknown(text)


def _names_registered(text: str) -> bool:
    """Whether a node type of a manifest is a name that only Python knows.

    The manifest may have any fault: what reads it next tells.
    """
    registered = sys.modules.get("remotemedia.core.registered")
    if registered is None or not registered.classes:
        return False
    try:
        nodes = json.loads(text)["nodes"]
        return any(registered.classes.get(node.get("node_type")) for node in nodes)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


def _pipeline_of(given: Any, strict: bool) -> Pipeline:
    from remotemedia.core.pipeline import Pipeline

    if isinstance(given, Pipeline):
        return given
    if isinstance(given, Mapping):
        return Pipeline.from_dict(dict(given), strict=strict)
    if not isinstance(given, list | tuple):
        raise TypeError(
            "a pipeline is a manifest (JSON text or a dict), a Pipeline or a list of nodes, not "
            f"{type(given).__name__}"
        )
    if not given:
        raise ValueError("the list of nodes is empty")
    wrong = [
        f"{place} ({type(node).__name__})"
        for place, node in enumerate(given)
        if not (
            isinstance(node, dict) or callable(node) or callable(getattr(node, "process", None))
        )
    ]
    if wrong:
        raise TypeError(f"these elements of the list are no nodes: {', '.join(wrong)}")
    return Pipeline(nodes=given, name="pipeline", strict=strict)


def _text_of(given: Any) -> str:
    return (
        json.dumps(given) if isinstance(given, Mapping) else _pipeline_of(given, True).serialize()
    )


def _without_input(pipeline: Pipeline, is_manifest: bool) -> Any:
    """The input of a run without one: None if the first node is a source, else an empty text."""
    from remotemedia.core.manifest import is_source

    roots = [entry.node for entry in pipeline.graph.roots()]
    has_source = is_manifest or any(is_source(node) for node in roots)
    return None if has_source else ""


__all__ = ["execute_pipeline", "execute_pipeline_with_input", "get_metrics", "validate_manifest"]
