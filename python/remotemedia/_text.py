"""Texts of exceptions of user code, and texts for the orchestrator, which accepts UTF-8 only."""

from __future__ import annotations


def described(error: BaseException) -> str:
    """The type and message of an exception of node code, whose `__str__` may raise."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except BaseException as broken:
        return f"{kind} (no message: {type(broken).__name__} in __str__)"


def sendable(text: str) -> str:
    """The text with lone surrogates escaped, since they cannot be encoded as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
