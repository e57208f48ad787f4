"""Does memory stay flat? Resident memory and shared memory over many frames and large arrays.

    python flat.py [--frames 100000] [--arrays 1000]

Every result is checked; what memory does is only reported.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from common import (
    FRAME,
    LARGE,
    Array,
    distinct_inputs,
    family,
    machine,
    markdown,
    resident_kib,
    show,
)
from nodes import PlusOne
from turns import check

import remotemedia
from remotemedia import Pipeline, Runtime

POINTS = 5  # of each size
HEADER = ("after", "caller MiB", "workers MiB", "files open", "/dev/shm", "/dev/shm MiB", "s")


def shared_files() -> dict[str, int]:
    """What is in /dev/shm, with its size."""
    found = {}
    for path in Path("/dev/shm").iterdir():
        try:
            found[path.name] = path.stat().st_size
        except FileNotFoundError:
            continue
    return found


def point(title: str, started: float) -> list[str]:
    """A row of the table: now."""
    gc.collect()
    pids = family()
    files = shared_files()
    return [
        title,
        f"{resident_kib(os.getpid()) / 1024:.1f}",
        f"{sum(resident_kib(pid) for pid in pids[1:]) / 1024:.1f}",
        f"{sum(psutil.Process(pid).num_fds() for pid in pids)}",
        f"{len(files)}",
        f"{sum(files.values()) / 2**20:.1f}",
        f"{time.perf_counter() - started:.1f}",
    ]


def feed(call: Callable[[Array], list[Array]], samples: int, count: int, first: int) -> None:
    """So many calls, each checked."""
    inputs = distinct_inputs(samples)
    expected = [x + 1 for x in inputs]
    for number in range(first, first + count):
        which = number % len(inputs)
        (output,) = call(inputs[which])
        check(output, expected[which], thorough=number % 100 == 0)


def statistics() -> None:
    """What the package itself says about its shared memory."""
    stats = getattr(remotemedia, "shared_memory_stats", None)
    if stats is None:
        show("\nThis version of remotemedia has no shared_memory_stats.")
    else:
        show(f"\nshared_memory_stats(): {stats()}")


def main() -> None:
    """Read the options, feed, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=100_000, help="of 3,840 bytes")
    parser.add_argument("--arrays", type=int, default=1000, help="of 10 MB")
    options = parser.parse_args()
    show(machine())
    before = shared_files()
    started = time.perf_counter()
    with Runtime() as runtime:
        pipeline = Pipeline("flat", runtime=runtime)
        pipeline.add_node(PlusOne())
        with pipeline.session() as session:
            rows = []
            for samples, total, what in (
                (FRAME, options.frames, "frames"),
                (LARGE, options.arrays, "arrays of 10 MB"),
            ):
                feed(session.process, samples, min(10, total), 0)  # warms up
                rows.append(point(f"the first {what}", started))
                for step in range(POINTS):
                    first, last = (total * i // POINTS for i in (step, step + 1))
                    feed(session.process, samples, last - first, first)
                    rows.append(point(f"{last:,} {what}", started))
            workers = [worker["state"] for worker in runtime.workers()]
        rows.append(point("closing the session", started))
        show("\n" + markdown(HEADER, rows))
        statistics()
    time.sleep(0.5)
    left = sorted(set(shared_files()) - set(before))
    show(f"{len(workers)} worker(s) were in use; left in /dev/shm: {', '.join(left) or 'nothing'}")


if __name__ == "__main__":
    main()
