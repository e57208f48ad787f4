"""What it costs to look: `profile`, `debug` and `capture` on, beside the same session without them.

    .venvs/peers/bin/python benches/peers/seeing.py [--items 300] [--rounds 15]

Three kinds of items: a number, 20 ms of audio, one second of audio through a node that computes its
spectrum. The sessions are open together and take turns; `off` stands twice in the table, and the
second line says how far two measurements of the same differ. Log records go to a file in memory.
"""

from __future__ import annotations

import argparse
import io
import logging
import statistics
import tempfile
import time
from contextlib import ExitStack
from typing import Any

import numpy as np

from remotemedia import Capture, Node, Pipeline, Runtime


class Same(Node):
    """Gives its input."""

    def process(self, item: Any) -> Any:
        """One item."""
        return item


class Spectrum(Node):
    """The mean spectrum of a second."""

    def process(self, item: Any) -> Any:
        """One item of 48,000 samples."""
        pieces = item.reshape(-1, 480)
        return np.abs(np.fft.rfft(pieces * np.hanning(480), axis=1)).mean(axis=0)


def main() -> None:
    """Measure, and print a table for each kind of item."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    logging.basicConfig(stream=io.StringIO())
    audio = np.random.default_rng(1).random(48_000, np.float32)
    kinds: list[tuple[str, Node, Any]] = [
        ("a number", Same(), 1),
        ("20 ms of audio", Same(), audio[:960]),
        ("a second, its spectrum", Spectrum(), audio),
    ]
    print("| | median, µs an item | beside off |\n|---|---:|---:|")  # noqa: T201
    for name, node, item in kinds:
        _measure(name, node, item, given)


def _measure(name: str, node: Node, item: Any, given: argparse.Namespace) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        runtime = stack.enter_context(Runtime("[workers]\nmax = 8\n"))
        pipeline = Pipeline(node, runtime=runtime)
        options: dict[str, dict[str, Any]] = {
            "off": {},
            "off again": {},
            "profile": {"profile": True},
            "debug": {"debug": True},
            "capture": {"capture": Capture(folder)},
        }
        sessions = {
            how: stack.enter_context(pipeline.session(**option)) for how, option in options.items()
        }
        times: dict[str, list[float]] = {how: [] for how in options}
        for number in range(given.rounds + 1):
            for how, session in sessions.items():
                began = time.perf_counter()
                for _ in range(given.items):
                    session.process(item)
                if number:  # the first round warms up
                    times[how].append((time.perf_counter() - began) / given.items * 1e6)
        off = statistics.median(times["off"])
        for how, each in times.items():
            took = statistics.median(each)
            print(f"| {name}: {how} | {took:.1f} | {took / off:.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()
