"""A node with 1 GB of weights in eight workers of a map: memory, and how long the last one opens;
and a node that computes for 5 ms, with two replicas beside one.

    python replicas.py [--gigabytes 1] [--workers 8] [--rounds 5] [--only weights,stream]

The weights are an attribute of the node, or made by its `preload`. Every worker reads all of them.
Reported are the memory of all workers together (PSS: what several map counts in parts), and the
time that the last session of the map takes to open.

The stream is a run over 400 numbers, with one replica and with two in turns; its ratio is that of
the two in the same turn.

No time is asserted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, markdown, show

from remotemedia import Node, Pipeline, Runtime
from remotemedia.core._async import CancelPoint


class Given(Node):
    """Reads the weights that it was given; waits until as many workers as there are do so."""

    def __init__(self, elements: int, folder: str, workers: int) -> None:
        super().__init__()
        self.weights: Any = np.ones(elements, np.float32)
        self.folder = folder
        self.workers = workers

    def process(self, number: int, /) -> tuple[float, int]:
        """The sum of the weights, and the process."""
        total = float(self.weights.sum())
        if number >= 0:
            (Path(self.folder) / str(number)).touch()
            while len(os.listdir(self.folder)) < self.workers:  # noqa: PTH208
                time.sleep(0.002)
        return total, os.getpid()


class Made(Given):
    """Makes them."""

    def __init__(self, elements: int, folder: str, workers: int) -> None:
        super().__init__(1, folder, workers)
        self.elements = elements

    def preload(self) -> None:
        """Make the weights."""
        self.weights = np.ones(self.elements, np.float32)


def pss_bytes(pid: int) -> int:
    """Memory of a process; what several processes map counts in parts."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def memory(kind: type[Given], elements: int, workers: int, where: Runtime) -> tuple[int, int]:
    """The memory of all workers together, and of the greatest, while the map is open."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(kind(elements, folder, workers), runtime=where)
        with pipeline.map(range(workers + 1), workers=workers, batch=1) as results:
            pids = {next(results)[1] for _ in range(workers)}
            sizes = [pss_bytes(pid) for pid in pids]
        if len(pids) != workers:
            raise AssertionError(f"{len(pids)} workers")
    return sum(sizes), max(sizes)


def opening(elements: int, workers: int, where: Runtime) -> float:
    """Seconds until the last of several lanes is open."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(Given(elements, folder, workers), runtime=where)
        how = {"is_run": True, "copy": True, "lane": True}
        first = pipeline._execution(CancelPoint(), **how)
        lanes = [first]
        took = 0.0
        for _ in range(workers - 1):
            began = time.perf_counter()
            lanes.append(pipeline._execution(CancelPoint(), like=first, wait=False, **how))
            took = time.perf_counter() - began
        for lane in lanes:
            lane.end()
    return took


class Computes(Node):
    """Computes for 5 ms of processor time."""

    def process(self, number: int, /) -> int:
        """The number."""
        end = time.thread_time() + 0.005
        while time.thread_time() < end:
            pass
        return number


def stream(rounds: int) -> list[list[str]]:
    """The medians of runs with one replica and with two, and of their ratio."""
    numbers = range(400)
    rows = []
    with Runtime("[workers]\nmax = 2\n") as where:
        for is_ordered in (True, False):
            pipelines = [
                Pipeline(Computes(replicas=count, replicas_ordered=is_ordered), runtime=where)
                for count in (1, 2)
            ]
            turns = [
                [_seconds(pipeline, numbers) for pipeline in pipelines] for _ in range(rounds + 1)
            ]
            one, two = (statistics.median(turn[at] for turn in turns[1:]) for at in (0, 1))
            ratio = statistics.median(turn[1] / turn[0] for turn in turns[1:])
            order = "in order" if is_ordered else "as they come"
            rows.append([order, f"{one:.2f} s", f"{two:.2f} s", f"{ratio:.2f}"])
    return rows


def _seconds(pipeline: Pipeline, numbers: range) -> float:
    began = time.perf_counter()
    results = pipeline.run(iter(numbers))
    took = time.perf_counter() - began
    if sorted(results) != list(numbers):
        raise AssertionError("results are missing")
    return took


def weights(chosen: argparse.Namespace) -> None:
    """Measure memory and opening."""
    elements = int(chosen.gigabytes * 1e9 / 4)
    with Runtime(f"[workers]\nmax = {chosen.workers}\n") as where:
        rows = []
        for name, kind in (("attribute", Given), ("preload", Made)):
            total, largest = memory(kind, elements, chosen.workers, where)
            rows.append([name, f"{total / 1e9:.2f} GB", f"{largest / 1e9:.2f} GB"])
        show(markdown(["weights", "all workers (PSS)", "one"], rows))
        times = [opening(elements, chosen.workers, where) * 1e3 for _ in range(chosen.rounds)]
        show(f"\nthe last of {chosen.workers} opens in {statistics.median(times):.1f} ms (p50)\n")


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--gigabytes", type=float, default=1.0)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", default="weights,stream")
    chosen = options.parse_args()
    show(machine())
    if "weights" in chosen.only:
        weights(chosen)
    if "stream" in chosen.only:
        head = ["400 items of 5 ms", "one replica", "two", "two beside one"]
        show(markdown(head, stream(chosen.rounds)))


if __name__ == "__main__":
    main()
