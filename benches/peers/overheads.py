"""What the kinds of calls cost, beside a hand-made pipe and `ProcessPoolExecutor` in the same run.

    .venvs/peers/bin/python benches/peers/overheads.py [--rounds 20]

All take turns. The work is none: a number goes there and comes back. A generated value is one of
100 that a node yields for an item. Each result is checked; no time is asserted.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from common import machine, markdown, show

from remotemedia import Node, NodeError, Pipeline, Runtime

VALUES = 100
"""How many values a generator yields for an item."""
Call = Callable[[], object]


def same(number: int) -> int:
    """Gives its input."""
    return number


def fails(number: int) -> int:
    """Raises."""
    raise ValueError(number)


class Waits(Node):
    """Gives its input, as a coroutine."""

    async def process(self, data: int) -> int:
        """The same."""
        return data


class Yields(Node):
    """Gives its input many times."""

    def process(self, data: int) -> Iterator[int]:
        """The same, again and again."""
        for _ in range(VALUES):
            yield data


def answer(pipe: Connection) -> None:
    """Send back what comes."""
    while (item := pipe.recv()) is not None:
        pipe.send(item)


def hand_made(stack: ExitStack) -> Call:
    """A process behind a pipe."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs,))
    process.start()
    stack.callback(process.join)
    stack.callback(ours.send, None)

    def call() -> object:
        ours.send(7)
        return ours.recv()

    return call


def caught(call: Call, kind: type[Exception]) -> Call:
    """A call that has to fail."""

    def attempt() -> object:
        try:
            call()
        except kind:
            return 7
        raise AssertionError("it did not fail")

    return attempt


def candidates(stack: ExitStack) -> dict[str, tuple[Call, int]]:
    """What is measured, with the number of values of a call."""
    where = stack.enter_context(Runtime("[workers]\nmax = 8\n"))
    executor = stack.enter_context(
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    )

    def session(node: Any) -> Any:
        return stack.enter_context(Pipeline(node, runtime=where).session())

    one, waits, yields, broken = session(same), session(Waits()), session(Yields()), session(fails)
    small = Pipeline(same, runtime=where)

    def opened() -> object:
        with small.session():
            return 7

    return {
        "hand-made pipe, a number": (hand_made(stack), 1),
        "a number, one by one": (lambda: one.process(7)[0], 1),
        "a number, asynchronous node": (lambda: waits.process(7)[0], 1),
        "a generated value": (lambda: yields.process(7)[VALUES - 1], VALUES),
        "an exception": (caught(lambda: broken.process(7), NodeError), 1),
        "ProcessPoolExecutor, a number": (lambda: executor.submit(same, 7).result(), 1),
        "ProcessPoolExecutor, an exception": (
            caught(lambda: executor.submit(fails, 7).result(), ValueError),
            1,
        ),
        "opening and closing a session": (opened, 1),
        "run() of a number": (lambda: small.run(7), 1),
    }


def turn_us(call: Call, values: int) -> float:
    """Microseconds for each value, over some milliseconds."""
    count, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < 0.02 or count < 20:
        if call() != 7:
            raise AssertionError("another result")
        count += 1
    return took * 1e6 / count / values


def main() -> None:
    """Measure in turns, and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=20)
    rounds = options.parse_args().rounds
    show(machine())
    with ExitStack() as stack:
        calls = candidates(stack)
        times: dict[str, list[float]] = {name: [] for name in calls}
        for call, values in calls.values():
            turn_us(call, values)
        for _ in range(rounds):
            for name, (call, values) in calls.items():
                times[name].append(turn_us(call, values))
    medians = {name: statistics.median(found) for name, found in times.items()}
    unit = next(iter(medians.values()))
    rows = [[name, f"{took:,.1f}", f"{took / unit:.2f}"] for name, took in medians.items()]
    show(markdown(("what", "median µs", "beside the pipe"), rows))


if __name__ == "__main__":
    main()
