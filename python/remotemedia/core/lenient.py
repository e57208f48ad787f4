"""What `strict=False` accepts: unknown fields and parameters, each with one warning."""

from __future__ import annotations

import warnings

from remotemedia._load import native

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


def warn_once(text: str) -> None:
    """Warn with a text, the first time only."""
    if text not in _told:
        _told.add(text)
        warnings.warn(text, UserWarning, stacklevel=3)


__all__ = ["warn_once", "without_unknown"]
