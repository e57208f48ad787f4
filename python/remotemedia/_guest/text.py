"""Text that goes to the orchestrator, which takes UTF-8 only."""

from __future__ import annotations


def sendable(text: str) -> str:
    """The text with lone surrogates escaped: they have no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
