"""From `session.interrupt()` to the first output of the next item; and from the end of a loop that
is left early to the caller's next line.

    python interrupts.py [--rounds 200]

A node computes, or a generator is between two outputs, when the session is interrupted; the next
item is one that takes no time. A loop over `pipeline.stream()` is left while the generator waits at
an output, computes the next one, or does so and takes no notice of being cancelled (a tenth of the
rounds, since each costs a worker). No time is asserted.
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


class Goes(Node):
    """Gives an output, and then does what the item says."""

    def process(self, item: str, /) -> Iterator[str]:
        """The outputs."""
        while True:
            yield item
            while item != "waiting":
                try:
                    sum(range(1000))
                except BaseException:
                    if item != "deaf":
                        raise


def left(what: str) -> int:
    """Nanoseconds from the last line of a loop to the line after it."""
    outputs = Pipeline(Goes()).stream([what])
    for _ in outputs:
        time.sleep(0.002)  # the node is where it should be
        began = time.perf_counter_ns()
        break
    outputs.close()
    return time.perf_counter_ns() - began


def shown(times: list[int]) -> list[str]:
    """Percentiles 50, 99 and 100 in milliseconds."""
    return [f"{percentile(sorted(times), percent) / 1000:.1f}" for percent in (50, 99, 100)]


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
                times = [turn(session, Path(folder) / "mark") for _ in range(chosen.rounds)]
            rows.append([f"interrupted: {turn.__name__}", *shown(times)])
    for what in ("waiting", "computing", "deaf"):
        rounds = chosen.rounds // 10 if what == "deaf" else chosen.rounds
        rows.append([f"left: {what}", *shown([left(what) for _ in range(rounds)])])
    show(markdown(["", "p50, ms", "p99, ms", "longest, ms"], rows))


if __name__ == "__main__":
    main()
