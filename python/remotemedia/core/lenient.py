"""Unknown fields and parameters: errors, or with `strict=False` one warning each."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from remotemedia._load import native
from remotemedia.core.exceptions import ManifestError

_OLDER = ("name", "enable_metrics")
"""Fields of older manifests, which `Pipeline.from_dict` reads."""
_told: set[str] = set()
"""The warnings that this process has had already."""


def without_unknown(manifest_json: str) -> str:
    """The manifest without the fields and parameters that are not known.

    Raises:
        ManifestError: it has another problem.
    """
    text: str
    left_out: list[str]
    text, left_out = native().without_unknown(manifest_json)
    for told in left_out:
        warn_once(f"left out of the manifest: {told}")
    return text


def check_fields(document: Mapping[str, Any], strict: bool) -> None:
    """Look for unknown fields of a manifest, outside of its nodes: these are checked when they run.

    Raises:
        ManifestError: there are some, and `strict` is set.
    """
    rest = {name: value for name, value in document.items() if name not in _OLDER}
    rest["nodes"] = [
        {"id": node.get("id"), "node_type": "PassThroughNode"} for node in rest["nodes"]
    ]
    try:
        _, unknown = native().without_unknown(json.dumps(rest, default=str))
    except (ImportError, ManifestError):  # the run tells
        return
    if unknown and strict:
        raise ManifestError("invalid manifest: " + "\n  - ".join(unknown), problems=unknown)
    for told in unknown:
        warn_once(f"left out of the manifest: {told}")


def warn_once(text: str) -> None:
    """Warn with a text, the first time only."""
    if text not in _told:
        _told.add(text)
        warnings.warn(text, UserWarning, stacklevel=3)


__all__ = ["check_fields", "warn_once", "without_unknown"]
