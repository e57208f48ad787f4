"""`Pipeline.map` beside the maps of others: `x + 1` for many arrays, a worker for each processor.

    python maps.py [--rounds 5] [--only remotemedia,executor,chunked,joblib,ray]

Two sizes: 4 KB and 10 MB of float32. Every candidate keeps its warm workers and takes turns with
the others; each result is looked at and dropped when it comes. The first, untimed turn checks every
result wholly. Shown are the medians of the turns, and the ratio to RemoteMedia's in the same turn.

`chunked` is `ProcessPoolExecutor.map` with a `chunksize` of 64 for the small arrays. joblib chooses
its batches by itself, as `Pipeline.map` does. Ray gets a task for each array, 32 at a time.

No time is asserted.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import os
import secrets
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import Any, cast

import numpy as np
from candidates.face import plus_one
from common import LARGE, Array, distinct_inputs, machine, markdown, show

SMALL = 1024  # samples: 4 KB
COUNTS = {SMALL: 4000, LARGE: 40}
Map = Callable[[list[Array]], Iterable[Array]]


def remotemedia(stack: ExitStack, workers: int) -> Map:
    """`Pipeline.map`, with its defaults."""
    from remotemedia import Pipeline, Runtime

    where = stack.enter_context(Runtime(f"[workers]\nmax = {max(workers, 4)}\n"))
    pipeline = Pipeline(plus_one, runtime=where)
    return lambda items: pipeline.map(items, workers=workers)


def executor(stack: ExitStack, workers: int) -> Map:
    """The standard library's, one array at a time."""
    pool = stack.enter_context(_executor(workers))
    return lambda items: pool.map(plus_one, items)


def chunked(stack: ExitStack, workers: int) -> Map:
    """The same in chunks."""
    pool = stack.enter_context(_executor(workers))
    return lambda items: pool.map(plus_one, items, chunksize=64 if items[0].size == SMALL else 1)


def _executor(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def joblib(stack: ExitStack, workers: int) -> Map:
    """Joblib with loky, and arrays above 1 MB in files that workers map."""
    from joblib import Parallel, delayed

    run = stack.enter_context(Parallel(n_jobs=workers, return_as="generator"))
    return lambda items: cast("Iterable[Array]", run(delayed(plus_one)(item) for item in items))


def ray(stack: ExitStack, workers: int) -> Map:
    """A task of Ray for each array."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray as library

    library.init(
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=1024 * 1024 * 1024,
    )
    stack.callback(library.shutdown)
    task: Any = cast(Any, library.remote(plus_one))

    def results(items: list[Array]) -> Iterator[Array]:
        waiting: list[Any] = []
        for item in items:
            waiting.append(task.remote(item))
            if len(waiting) == 32:
                yield library.get(waiting.pop(0))
        for reference in waiting:
            yield library.get(reference)

    return results


CANDIDATES = {f.__name__: f for f in (remotemedia, executor, chunked, joblib, ray)}


def turn(mapped: Map, items: list[Array]) -> float:
    """Seconds for each item of one map."""
    gc.collect()
    began = time.perf_counter()
    count = 0
    for result in mapped(items):
        count += result[0] > 0
    took = time.perf_counter() - began
    if count != len(items):
        raise AssertionError(f"{count} of {len(items)} results")
    return took / len(items)


def check(mapped: Map, items: list[Array]) -> None:
    """Compare every result of one map."""
    few = items[:16]
    for item, result in zip(few, mapped(few), strict=True):
        np.testing.assert_array_equal(result, item + 1)


def main() -> None:
    """Measure, and print a table for each size."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", default=",".join(CANDIDATES))
    chosen = options.parse_args()
    workers = len(os.sched_getaffinity(0))
    show(f"{machine()}; {workers} workers")
    with ExitStack() as stack:
        maps = {name: CANDIDATES[name](stack, workers) for name in chosen.only.split(",")}
        for samples, count in COUNTS.items():
            distinct = distinct_inputs(samples)
            items = [distinct[number % len(distinct)] for number in range(count)]
            for mapped in maps.values():
                check(mapped, items)
                turn(mapped, items)
            times: dict[str, list[float]] = {name: [] for name in maps}
            for _ in range(chosen.rounds):
                for name, mapped in maps.items():
                    times[name].append(turn(mapped, items))
            ours = times.get("remotemedia")
            rows = []
            for name, took in times.items():
                ratios = [o / t for o, t in zip(ours or took, took, strict=True)]
                median = statistics.median(took) * 1e6
                rows.append([name, f"{median:,.1f}", f"{statistics.median(ratios):.2f}"])
            show(f"\n{samples * 4:,} bytes, {count} items\n")
            show(markdown(["", "µs an item", "RemoteMedia's to it"], rows))


if __name__ == "__main__":
    main()
