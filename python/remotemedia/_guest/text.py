"""Text for the orchestrator, which accepts UTF-8 only."""

from __future__ import annotations


def sendable(text: str) -> str:
    """The text with lone surrogates escaped, since they cannot be encoded as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
