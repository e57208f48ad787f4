"""The constants of conditions as JSON, in which they are kept with a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from remotemedia.workflows.exceptions import WorkflowError

NUMBER = "remotemedia.number"
"""Key of a dict with one entry, whose value is the text of a number. It stands for numbers that
JSON does not hold exactly; `durable/src/condition/number.rs` reads it."""

_EXACT_DIGITS, _EXACT_EXPONENT = 15, 22
"""A decimal number within these bounds is read as the float that it was written from."""


def constant(op: str, given: Any) -> Any:
    """The constant with which an operator compares.

    Raises:
        WorkflowError: nothing can be compared with it so.
    """
    form = _form(given)
    is_number = isinstance(form, bool | int | float) or (isinstance(form, dict) and NUMBER in form)
    if op == "in" and (is_number or form is None):
        raise WorkflowError(f"a condition tests `in` with a list, dict or text, not {given!r}")
    if op in ("<", "<=", ">", ">=") and not (is_number or isinstance(form, str)):
        raise WorkflowError(f"a condition tests `{op}` with a number or text, not {given!r}")
    return form


def _form(given: Any) -> Any:
    if given is None or isinstance(given, bool):
        return given
    if isinstance(given, str):
        return str(given)
    if type(given).__module__ == "numpy" and getattr(given, "shape", None) == ():
        plain = given.item()
        if plain is not given and not hasattr(plain, "shape"):
            return _form(plain)
    if isinstance(given, int):
        given = int(given)
        return given if -(1 << 63) <= given < 1 << 64 else {NUMBER: str(given)}
    if isinstance(given, float):
        return _float_form(float(given))
    if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
        if NUMBER not in given:
            return {str(key): _form(item) for key, item in given.items()}
    elif isinstance(given, list | tuple | set | frozenset):
        return [_form(item) for item in _ordered(given)]
    raise WorkflowError(
        f"a condition compares with numbers, texts, None, lists and dicts of them, not {given!r}"
    )


def _float_form(number: float) -> Any:
    if math.isfinite(number):
        _, digits, exponent = Decimal(repr(number)).as_tuple()
        is_short = len(digits) <= _EXACT_DIGITS
        if is_short and isinstance(exponent, int) and abs(exponent) <= _EXACT_EXPONENT:
            return number
    return {NUMBER: repr(number)}


def _ordered(items: Iterable[Any]) -> Iterable[Any]:
    # The order of a set changes from process to process, and with it would the workflow's digest.
    return sorted(items, key=repr) if isinstance(items, set | frozenset) else items


__all__ = ["NUMBER", "constant"]
