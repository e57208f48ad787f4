"""Signatures of functions whose annotations may use names that are missing in this interpreter."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Like `inspect.signature`. From Python 3.14 on, which evaluates annotations only when they are
    read, annotations stay text, so the names in them may be missing.

    Raises:
        TypeError, ValueError: the function has no signature.
    """
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.STRING)
    return inspect.signature(function)


__all__ = ["signature"]
