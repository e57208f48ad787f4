"""From `session.interrupt()` to the first output of the next item.

    python interrupts.py [--rounds 200]

A node computes, or a generator is between two outputs, when the session is interrupted; the next
item is one that takes no time. No time is asserted.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import machine, markdown, percentile, show

from remotemedia import Node, Pipeline


class Works(Node):
    """Computes for a text, the path of a file that says so; gives outputs for ever for None."""

    def process(self, item: Any, /) -> Iterator[Any]:
        """The outputs."""
        if isinstance(item, str):
            Path(item).touch()
            while True:
                sum(range(1000))
        yield from itertools.count() if item is None else [item]


def computing(session: Any, mark: Path) -> int:
    """Nanoseconds from the interrupt of code that computes."""
    mark.unlink(missing_ok=True)
    caller = threading.Thread(target=session.process, args=(str(mark),))
    caller.start()
    while not mark.exists():
        time.sleep(0.0005)
    began = time.perf_counter_ns()
    session.interrupt()
    session.process(1)
    took = time.perf_counter_ns() - began
    caller.join()
    return took


def generating(session: Any, _mark: Path) -> int:
    """Nanoseconds from the interrupt of a generator."""
    outputs = session.stream([None, 1])
    next(outputs)
    began = time.perf_counter_ns()
    session.interrupt()
    next(outputs)
    took = time.perf_counter_ns() - began
    list(outputs)
    return took


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=200)
    chosen = options.parse_args()
    show(machine())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in (computing, generating):
            with Pipeline(Works()).session() as session:
                session.process(1)
                times = sorted(turn(session, Path(folder) / "mark") for _ in range(chosen.rounds))
            shown = [f"{percentile(times, percent) / 1000:.1f}" for percent in (50, 99, 100)]
            rows.append([turn.__name__, *shown])
    show(markdown(["interrupted while", "p50, ms", "p99, ms", "longest, ms"], rows))


if __name__ == "__main__":
    main()
