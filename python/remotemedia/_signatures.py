"""Signatures of the callers' functions. Names that only annotations use may be missing."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """As `inspect.signature`, with annotations as texts where they are evaluated late (from Python
    3.14 on): what only they name may be missing in this interpreter.

    Raises:
        TypeError, ValueError: it has none.
    """
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.STRING)
    return inspect.signature(function)


__all__ = ["signature"]
