"""Runs a small pipeline on each interpreter: a result, an array, a crash, and the next result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from remotemedia.core.exceptions import RemoteMediaError, WorkerCrashed
from remotemedia.core.pipeline import Pipeline
from remotemedia.doctor import probe
from remotemedia.doctor.finding import Finding, ok, problem
from remotemedia.runtime import Runtime

_SAMPLES = 100_000  # above what travels inside messages
_CONFIG = """
[python]
runtime = "{interpreter}"
[fallback]
enabled = false
[workers]
open_timeout = "60 s"
[calls]
timeout = "30 s"
"""
_ADVICE = "read the error; `remotemedia doctor --chaos --runtime {interpreter}` shows more"


def findings(interpreters: list[str]) -> Iterator[Finding]:
    """A finding for each interpreter."""
    for interpreter in interpreters:
        name = f"self-test on {interpreter}"
        try:
            text = _run(interpreter)
        except (RemoteMediaError, _Wrong) as error:
            yield problem(name, str(error), _ADVICE.format(interpreter=interpreter))
        else:
            yield ok(name, text)


class _Wrong(Exception):
    """A result was not what it must be."""


def _run(interpreter: str) -> str:
    """The steps. Returns what was measured.

    Raises:
        RemoteMediaError: a step failed.
        _Wrong: a result was wrong.
    """
    entry = {"node_type": f"{probe.__name__}:Probe"}
    began = time.monotonic()
    with Runtime(_CONFIG.format(interpreter=interpreter)) as runtime:
        pipeline = Pipeline(entry, runtime=runtime)
        _expect(pipeline.run(21), 42)
        first = time.monotonic() - began
        has_array = _check_array(pipeline)
        try:
            pipeline.run(probe.DIE)
        except WorkerCrashed as error:
            if error.signal not in ("SIGSEGV", None):
                raise _Wrong(f"a crash by SIGSEGV was reported as {error.signal}") from error
        else:
            raise _Wrong("a crash was not reported")
        died = time.monotonic()
        _expect(pipeline.run(22), 44)
        again = time.monotonic() - died
    arrays = "an array" if has_array else "no array (numpy is missing)"
    return (
        f"first result after {first * 1000:.0f} ms, {arrays}, a crash, "
        f"next result after {again * 1000:.0f} ms"
    )


def _check_array(pipeline: Pipeline) -> bool:
    """Whether there is numpy; if so an array goes there and back."""
    try:
        import numpy as np
    except ImportError:
        return False
    result: Any = pipeline.run(np.ones(_SAMPLES, np.float32))
    if not (result.shape == (_SAMPLES,) and float(result.sum()) == 2 * _SAMPLES):
        raise _Wrong("an array came back wrong")
    return True


def _expect(result: Any, wanted: int) -> None:
    if result != wanted:
        raise _Wrong(f"the result was {result!r}, not {wanted}")


__all__ = ["findings"]
