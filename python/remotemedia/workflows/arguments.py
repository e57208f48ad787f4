"""Checks of arguments that tasks and workflows have in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from remotemedia.workflows.exceptions import WorkflowError

_LONGEST = 1e9
"""The longest time, in seconds: 31 years."""


def is_text(given: Any) -> bool:
    """Whether it is a text that is not empty and that a database can keep."""
    try:
        return isinstance(given, str) and bool(given.encode()) and "\0" not in given
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def milliseconds(what: str, given: Any, *, may_be_zero: bool = False) -> int | None:
    """A time in whole milliseconds, at least one where zero is not allowed.

    Raises:
        WorkflowError: it is no time, or too long.
    """
    if given is None:
        return None
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds < _LONGEST:
        raise WorkflowError(f"{what} is a number of seconds below 10**9, not {given!r}")
    if seconds == 0 and not may_be_zero:
        raise WorkflowError(f"{what} must be longer than 0")
    return max(0 if may_be_zero else 1, round(float(seconds) * 1000))


__all__ = ["is_text", "milliseconds"]
