"""Pools that pickle: `concurrent.futures.ProcessPoolExecutor` and loky, one warm process each."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from common import Array

from candidates.face import Call, plus_one


@contextmanager
def executor(_example: Array) -> Iterator[Call]:
    """`submit(plus_one, x).result()` of the standard library."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        yield lambda x: pool.submit(plus_one, x).result(60)


@contextmanager
def loky(_example: Array) -> Iterator[Call]:
    """The same of loky."""
    from loky import ProcessPoolExecutor as Loky

    pool = Loky(max_workers=1, timeout=None)
    try:
        yield lambda x: pool.submit(plus_one, x).result(60)
    finally:
        pool.shutdown(wait=True, kill_workers=True)
