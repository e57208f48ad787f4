"""One turn of a candidate: calls for some time, each checked, each timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from common import Array

COLD = 3  # calls at the start of each turn that do not count


def turn(
    call: Callable[[Array], Array],
    inputs: Sequence[Array],
    expected: Sequence[Array],
    seconds: float,
) -> list[int]:
    """Call with one input after the other, and give the nanoseconds of each call."""
    times: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)
    done = 0
    while done < COLD + 2 or time.perf_counter_ns() < end:
        which = done % len(inputs)
        x = inputs[which]
        start = time.perf_counter_ns()
        y = call(x)
        took = time.perf_counter_ns() - start
        check(y, expected[which], thorough=done < COLD)
        # Letting go of the result belongs to a call: some give memory back only then.
        start = time.perf_counter_ns()
        del y
        took += time.perf_counter_ns() - start
        if done >= COLD:
            times.append(took)
        done += 1
    return times


def check(y: Array, expected: Array, thorough: bool) -> None:
    """The result is right: all of it, or samples of it from one end to the other."""
    step = 1 if thorough else max(1, expected.size // 64)
    if y.shape != expected.shape or y.dtype != expected.dtype:
        raise AssertionError(f"the result is {y.dtype}{y.shape}")
    if not np.array_equal(y[::step], expected[::step]) or y[-1] != expected[-1]:
        raise AssertionError("the result is wrong")
