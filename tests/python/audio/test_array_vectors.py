"""A table of expressions over arrays is true of numpy, and of `AudioView` in a RustPython worker.

`array_vectors.py` makes the table with numpy. Sums and powers of floats agree within the rounding
of their dtype, everything else in dtype, shape and every bit but those of NaN.
"""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import worker_programs
from array_expressions import evaluated
from array_vectors import TABLE, described
from remotemedia import AudioView

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
"""Of sums and powers, relative and absolute: views add up in double precision, numpy in pairs."""

Row = dict[str, Any]
Evaluate = Callable[[dict[str, Any], list[str]], list[Any]]


def array_of(described: list[Any]) -> Any:
    """The array that a line of the table describes."""
    _, dtype, shape, numbers = described
    if dtype.startswith("complex"):
        numbers = [complex(*number) for number in numbers]
    return np.array(numbers, dtype).reshape(shape)


def table() -> tuple[dict[str, Any], list[Row]]:
    """The arrays by name, and the vectors."""
    first, *rows = map(json.loads, TABLE.read_text(encoding="utf-8").splitlines())
    return {name: array_of(one) for name, one in first.items()}, rows


def is_same(made: Any, expected: list[Any], tolerance: float | None) -> bool:
    """Whether a result is as described."""
    if expected[0] == "list":
        if not isinstance(made, list | tuple) or len(made) != len(expected[1]):
            return False
        return all(
            is_same(one, other, tolerance) for one, other in zip(made, expected[1], strict=True)
        )
    if expected[0] == "array":
        wanted = array_of(expected)
        if (type(made), str(made.dtype), made.shape) != (np.ndarray, expected[1], wanted.shape):
            return False
        if tolerance is not None and wanted.dtype.kind == "f":
            within = TOLERANCE[expected[1]]
            return np.allclose(made, wanted, rtol=within, atol=within, equal_nan=True)
        if wanted.dtype.kind != "f":
            return np.array_equal(made, wanted)
        numbers = ~np.isnan(wanted)
        same_signs = np.array_equal(np.signbit(made[numbers]), np.signbit(wanted[numbers]))
        return same_signs and np.array_equal(made, wanted, equal_nan=True)
    kind, value = described(made)
    if kind != expected[0]:
        return False
    if kind != "float":
        return bool(value == expected[1])
    if math.isnan(expected[1]):
        return math.isnan(value)
    return math.isclose(value, expected[1], rel_tol=tolerance or 0, abs_tol=tolerance or 0)


def failures(evaluate: Evaluate, *, is_view: bool) -> list[str]:
    """A line for every vector that does not hold."""
    arrays, rows = table()
    cube = arrays["s"]
    failed: list[str] = []
    for kind, group in itertools.groupby(rows, key=lambda row: row["s"]):
        same_kind = list(group)
        found = evaluate({**arrays, "s": cube.astype(kind)}, [row["of"] for row in same_kind])
        for row, (word, *made) in zip(same_kind, found, strict=True):
            if "error" in row:
                holds = word == "error" and made[0] == row["error"]
            elif "moves" in row and is_view:
                holds = word == "error" and made[0] in ("TypeError", "AttributeError")
                holds = holds and "AudioView'" in made[1]
            elif "moves" in row:
                holds = word == "result"
            else:
                tolerance = 2e-6 if "close" in row else None
                holds = word == "result" and is_same(made[0], row["result"], tolerance)
            if not holds:
                failed.append(f"{row} gave {word} {made}")
    return failed


def test_the_table_is_true_of_numpy() -> None:
    """spec: CARD-05"""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")

        def evaluate(arrays: dict[str, Any], expressions: list[str]) -> list[Any]:
            found = evaluated(arrays, expressions)
            return [
                (word, made[0].item()) if isinstance(made[0], np.generic) else (word, *made)
                for word, *made in found
            ]

        failed = failures(evaluate, is_view=False)
    assert not failed, "\n".join(failed)


@pytest.mark.rustpython
def test_the_table_is_true_of_views_in_a_worker_without_numpy() -> None:
    """spec: CARD-05, IOP-36"""
    runtime = worker_programs.runtime("rustpython")
    with worker_programs.session(runtime, "array_expressions:Evaluate") as opened:

        def evaluate(arrays: dict[str, Any], expressions: list[str]) -> list[Any]:
            ((_, found),) = opened.process([arrays, expressions])
            return list(found)

        failed = failures(evaluate, is_view=True)
    assert not failed, "\n".join(failed)


def test_the_table_has_every_kind_of_vector() -> None:
    """A table that lost its lines would hold of anything."""
    _, rows = table()
    counts = {word: sum(word in row for row in rows) for word in ("result", "error", "moves")}
    assert counts["result"] > 2_000
    assert counts["error"] > 200
    assert counts["moves"] > 100


def test_new_arrays_are_numpys_on_cpython_and_views_on_rustpython() -> None:
    """spec: CARD-05, IOP-12"""
    for program, kind in (("rustpython", "remotemedia.AudioView"), ("cpython", "numpy.ndarray")):
        runtime = worker_programs.runtime(program)
        with worker_programs.session(runtime, "array_expressions:Told") as opened:
            ((_, told),) = opened.process(np.zeros(3))
        assert told == [kind] * 4
    assert AudioView is np.ndarray
