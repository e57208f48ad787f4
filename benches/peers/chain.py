"""A chain of ten Python nodes against one: what does a node more cost?

    python chain.py [--rounds 5] [--seconds 1]

Both pipelines are open at the same time and take turns. Every result is checked.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack

from common import FRAME, Array, distinct_inputs, machine, markdown, microseconds, percentile, show
from nodes import PlusOne
from turns import turn

from remotemedia import Pipeline, Runtime

LENGTHS = (1, 10)
SIZES = ((FRAME, "3,840 bytes"), (65_536, "256 KiB"))


def opened(length: int, alive: ExitStack) -> tuple[Callable[[Array], Array], Runtime]:
    """The call of a chain of so many nodes, with the defaults of every setting."""
    runtime = alive.enter_context(Runtime())
    pipeline = Pipeline("chain", runtime=runtime)
    for _ in range(length):
        pipeline.add_node(PlusOne())
    session = alive.enter_context(pipeline.session())

    def call(x: Array) -> Array:
        outputs: list[Array] = session.process(x)
        if len(outputs) != 1:
            raise AssertionError(f"{len(outputs)} outputs")
        return outputs[0]

    return call, runtime


def after(x: Array, length: int) -> Array:
    """What the chain must give."""
    for _ in range(length):
        x = x + 1
    return x


def measured(samples: int, rounds: int, seconds: float) -> list[list[str]]:
    """For each length: its workers and percentiles."""
    inputs = distinct_inputs(samples)
    expected = {length: [after(x, length) for x in inputs] for length in LENGTHS}
    times: dict[int, list[int]] = {length: [] for length in LENGTHS}
    with ExitStack() as alive:
        chains = {length: opened(length, alive) for length in LENGTHS}
        for length, (call, _) in chains.items():
            turn(call, inputs, expected[length], 0.5)  # warms up
        for _ in range(rounds):
            for length, (call, _) in chains.items():
                times[length] += turn(call, inputs, expected[length], seconds)
        workers = {length: len(runtime.workers()) for length, (_, runtime) in chains.items()}
    rows = []
    base = [percentile(sorted(times[LENGTHS[0]]), percent) for percent in (50, 99)]
    for length in LENGTHS:
        ordered = sorted(times[length])
        p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
        rows.append(
            [
                f"{length}",
                f"{workers[length]}",
                *(microseconds(value) for value in (p50, p95, p99)),
                f"{p50 / base[0]:.2f}",
                f"{p99 / base[1]:.2f}",
                f"{len(ordered):,}",
            ]
        )
    return rows


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each chain")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    options = parser.parse_args()
    show(machine())
    header = ("nodes", "workers", "p50 µs", "p95 µs", "p99 µs", "p50 / one", "p99 / one", "calls")
    for samples, title in SIZES:
        show(f"\n{title}, {options.rounds} rounds of {options.seconds:g} s\n")
        show(markdown(header, measured(samples, options.rounds, options.seconds)))


if __name__ == "__main__":
    main()
