"""What it costs to look: `profile`, `debug` and `capture` on, beside the same without them.

    .venvs/peers/bin/python benches/peers/seeing.py [--items 300] [--rounds 15]

Three kinds of items: a number, 20 ms of audio, one second of audio through a node that computes its
spectrum. Each goes through an open session, one by one, and through `run`, all together. The
sessions are open together and take turns; `off` stands twice in the table, and the second line says
how far two measurements of the same differ. Log records go to a file in memory.

The quartile is the first one: it has less of what else the machine does.
"""

from __future__ import annotations

import argparse
import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
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
    print("| µs an item | median | beside off | quartile | beside off |")  # noqa: T201
    print("|---|---:|---:|---:|---:|")  # noqa: T201
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
        with ExitStack() as open_sessions:
            sessions = {
                how: open_sessions.enter_context(pipeline.session(**option))
                for how, option in options.items()
            }

            def one_by_one(how: str) -> None:
                process = sessions[how].process
                for _ in range(given.items):
                    process(item)

            _turns(f"{name}, one by one", list(options), one_by_one, given)
        items = [item] * given.items
        del options["profile"]  # `run` does not have it
        _turns(
            f"{name}, run", list(options), lambda how: pipeline.run(items, **options[how]), given
        )


def _turns(
    name: str, hows: list[str], take_turn: Callable[[str], object], given: argparse.Namespace
) -> None:
    times: dict[str, list[float]] = {how: [] for how in hows}
    for number in range(given.rounds + 1):
        for how in hows:
            began = time.perf_counter()
            take_turn(how)
            if number:  # the first round warms up
                times[how].append((time.perf_counter() - began) / given.items * 1e6)
    off = statistics.quantiles(times["off"], n=4)
    for how, each in times.items():
        quarter, half, _ = statistics.quantiles(each, n=4)
        row = f"{half:.1f} | {half / off[1]:.2f} | {quarter:.1f} | {quarter / off[0]:.2f}"
        print(f"| {name}: {how} | {row} |")  # noqa: T201


if __name__ == "__main__":
    main()
