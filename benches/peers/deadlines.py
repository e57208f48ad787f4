"""How late deadlines are noticed: 200 of them, between 50 and 500 ms, in eight threads, while other
sessions of the same runtime open, die and close.

    python deadlines.py [--count 200]

Late is the time from the moment when a call should have been over until its `NodeTimeout` is there,
stack of the node and end of its worker included.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import sys
import threading
import time
from typing import Any

from remotemedia import Node, NodeTimeout, Pipeline, Runtime, WorkerCrashed

THREADS = 8


class Hangs(Node):
    """Works for ever; its item is the time in milliseconds that it has."""

    def process(self, item: Any) -> Any:
        """Never end."""
        while True:
            time.sleep(0.01)


class Dies(Node):
    """Ends its process."""

    def process(self, item: Any) -> Any:
        """End the process."""
        os._exit(1)


class Passes(Node):
    """Gives its item back."""

    def process(self, item: Any) -> Any:
        """Give it back."""
        return item


def entry(node: Node, timeout_ms: int) -> dict[str, Any]:
    """The node as a manifest entry with its time."""
    return {"node_type": f"deadlines:{type(node).__name__}", "timeout_ms": timeout_ms}


def measure(runtime: Runtime, count: int, late: list[float]) -> None:
    """Let calls go over their time, and note by how much the error comes late, in milliseconds."""
    dice = random.Random(threading.get_ident())
    for _ in range(count):
        timeout_ms = dice.randint(50, 500)
        with pipeline_of(runtime, timeout_ms).session() as session:
            began = time.perf_counter()
            try:
                session.process(timeout_ms)
            except NodeTimeout:
                late.append((time.perf_counter() - began) * 1e3 - timeout_ms)


def pipeline_of(runtime: Runtime, timeout_ms: int) -> Pipeline:
    """One node that hangs, with so much time."""
    return Pipeline(entry(Hangs(), timeout_ms), runtime=runtime)


def disturb(runtime: Runtime, is_over: threading.Event) -> None:
    """Open, run, let die and close other sessions meanwhile."""
    while not is_over.is_set():
        Pipeline(Passes(), runtime=runtime).run([1, 2])
        with contextlib.suppress(WorkerCrashed):
            Pipeline(Dies(), runtime=runtime).run(1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    count = parser.parse_args().count
    late: list[float] = []
    is_over = threading.Event()
    with Runtime(f"[workers]\nmax = {THREADS + 2}\n") as runtime:
        others = threading.Thread(target=disturb, args=(runtime, is_over))
        others.start()
        threads = [
            threading.Thread(target=measure, args=(runtime, count // THREADS, late))
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        is_over.set()
        others.join()
    late.sort()
    sys.stdout.write(
        f"{len(late)} deadlines; late: median {statistics.median(late):.1f} ms, "
        f"p95 {late[int(len(late) * 0.95)]:.1f} ms, longest {late[-1]:.1f} ms\n"
    )


if __name__ == "__main__":
    main()
