"""Workers that use large libraries, forked by a zygote and started on their own.

    python libraries.py [--only numpy,onnxruntime,grpc,torch] [--kills 10] [--workers 4]

For each library that is installed: a pipeline whose node uses it runs, its worker is killed by
SIGKILL, and so on, always with the right result. Reported are the time from the kill to the next
right result, whether the library was imported before the fork or after, and why, the threads of a
worker that has used it, and the memory (PSS) of idle workers. The nodes are in
`tests/python/fixtures/library_nodes.py`.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from common import machine, markdown, show
from recovery import pss_mb

from remotemedia import Pipeline, Runtime

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "python" / "fixtures"))

from library_nodes import LIBRARIES, RIGHT, use

WAYS = {"zygote": "true", "plain start": "false"}
SETTLED_SECONDS = 30.0
"""How long to wait for a zygote that has imported the library, or cannot."""


def used(pipeline: Pipeline, library: str) -> dict[str, Any]:
    """A run, checked."""
    facts: dict[str, Any] = pipeline.run(library)
    if facts["result"] != RIGHT[library]:
        raise AssertionError(facts)
    return facts


def kill(runtime: Runtime, pid: int) -> None:
    """End an idle worker."""
    os.kill(pid, signal.SIGKILL)
    while any(worker["pid"] == pid for worker in runtime.workers()):
        time.sleep(0.001)


def settle(runtime: Runtime, pipeline: Pipeline, library: str) -> dict[str, Any]:
    """Kill workers until they are forked, with the library if that can be."""
    until = time.monotonic() + SETTLED_SECONDS
    while True:
        facts = used(pipeline, library)
        is_forked = facts["parent"] != os.getpid()
        if (is_forked and facts["was_there"]) or time.monotonic() > until:
            return facts
        kill(runtime, facts["pid"])
        time.sleep(0.3)


@contextmanager
def notes(found: list[str]) -> Iterator[None]:
    """Collects what the pool says about modules."""

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if "after the fork" in text or "zygote" in text:
                found.append(text)

    logger, handler = logging.getLogger("remotemedia"), Keeps()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def measure(library: str, way: str, kills: int, workers: int) -> list[str]:
    """One row."""
    found: list[str] = []
    config = f"[workers]\nzygote = {WAYS[way]}\nmax = {workers}\n[python]\nthreads = 2\n"
    with notes(found), Runtime(config) as runtime:
        pipeline = Pipeline(use, runtime=runtime)
        facts = settle(runtime, pipeline, library) if way == "zygote" else used(pipeline, library)
        times = []
        for _ in range(kills):
            pid = facts["pid"]
            start = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            # The pool may hand out the dead worker; the run is then an error, as any crash is.
            while (facts := tried(pipeline, library)) is None:
                continue
            times.append((time.perf_counter() - start) * 1e3)
            if facts["pid"] == pid:
                raise AssertionError("the worker lives")
        with ExitStack() as stack:
            for _ in range(workers):
                session = stack.enter_context(Pipeline(use, runtime=runtime).session())
                session.process(library)
            pids = [worker["pid"] for worker in runtime.workers()]
            memory = [pss_mb(pid) for pid in pids]
    where = "before the fork" if facts["was_there"] else "after the fork"
    for text in dict.fromkeys(found):
        show(f"{library}, {way}: {text}")
    return [
        library,
        way,
        where if way == "zygote" else "",
        f"{statistics.median(times):.0f}",
        f"{max(times):.0f}",
        f"{memory[-1]:.1f}",
        str(facts["threads"]),
    ]


def tried(pipeline: Pipeline, library: str) -> dict[str, Any] | None:
    """A run; None if its worker was dead."""
    try:
        return used(pipeline, library)
    except Exception as problem:
        if "crashed" not in str(problem):
            raise
        return None


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default=",".join(LIBRARIES))
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    show(machine())
    rows = []
    for library in options.only.split(","):
        if importlib.util.find_spec(library) is None:
            rows.append([library, "is not installed", "", "", "", "", ""])
            continue
        rows += [measure(library, way, options.kills, options.workers) for way in WAYS]
    header = (
        "library",
        "workers",
        "imported",
        "kill to next result, p50 ms",
        "longest",
        "PSS of the last, MB",
        "threads after use",
    )
    show(markdown(header, rows))


if __name__ == "__main__":
    main()
