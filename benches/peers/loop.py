"""How long an event loop is blocked by the sessions and runs that it awaits.

    python loop.py [--sessions 100] [--seconds 60] [--every-ms 100]

One event loop has `--sessions` tasks, each of which awaits an item every `--every-ms`: in a session
of its own (`session.process`), or as a run of its own (`await pipeline.run`). A timer of 1 ms is
late by as long as the loop is blocked. Beside them, in turns within one process: tasks that only
sleep, and tasks that call a function in a thread of `asyncio.to_thread`. Runs come at a tenth of
the rate, after the others: each opens a session.

Every result is checked. No time is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from common import machine, markdown, percentile, show

from remotemedia import Pipeline, Runtime

ROUNDS = 3
"""Turns of each candidate."""

Call = Callable[[int], Awaitable[object]]


def answer(number: int) -> int:
    """The work of a node: next to nothing."""
    return number + 1


async def late(lateness: list[int], end: float) -> None:
    """Note by how many nanoseconds each timer of 1 ms is late."""
    while time.perf_counter() < end:
        began = time.perf_counter_ns()
        await asyncio.sleep(0.001)
        lateness.append(time.perf_counter_ns() - began - 1_000_000)


async def user(call: Call, first: float, every: float, end: float) -> int:
    """Await items at regular times; returns how many."""
    done = 0
    await asyncio.sleep(max(0.0, first - time.perf_counter()))
    while time.perf_counter() < end:
        due = first + (done + 1) * every
        result = await call(done)
        assert result in (done + 1, [done + 1]), result
        done += 1
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return done


async def turn(calls: list[Call], every: float, seconds: float) -> tuple[list[int], int]:
    """The lateness of timers while all tasks work, and the number of items."""
    lateness: list[int] = []
    start = time.perf_counter()
    users = [
        user(call, start + every * place / len(calls), every, start + seconds)
        for place, call in enumerate(calls)
    ]
    *counts, _ = await asyncio.gather(*users, late(lateness, start + seconds))
    return lateness, sum(count for count in counts if count is not None)


async def nothing(number: int) -> int:
    """What the tasks cost without any work."""
    await asyncio.sleep(0)
    return number + 1


async def in_thread(number: int) -> int:
    """The work in a thread of asyncio."""
    return await asyncio.to_thread(answer, number)


async def measure(sessions: int, seconds: float, every: float) -> None:
    """Open the sessions, take turns, print the table."""
    with Runtime(workers={"max": sessions + 2}) as runtime:
        pipelines = [Pipeline(answer, runtime=runtime) for _ in range(sessions)]
        async with AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(p.session()) for p in pipelines]
            candidates: dict[str, list[Call]] = {
                "asyncio alone": [nothing] * sessions,
                "asyncio.to_thread": [in_thread] * sessions,
                "session.process": [session.process for session in opened],
            }
            found: dict[str, list[int]] = {name: [] for name in candidates}
            items = dict.fromkeys(candidates, 0)
            for _ in range(ROUNDS):
                for name, calls in candidates.items():
                    lateness, count = await turn(calls, every, seconds / ROUNDS)
                    found[name] += lateness
                    items[name] += count
        name = "pipeline.run"
        runs: list[Call] = [pipeline.run for pipeline in pipelines]
        found[name], items[name] = await turn(runs, every * 10, seconds)
    alone = max(found["asyncio alone"])
    rows = [
        [
            name,
            f"{items[name]:,}",
            *(f"{percentile(sorted(times), q) / 1e3:.2f}" for q in (50, 99, 99.9)),
            f"{max(times) / 1e6:.2f}",
            f"{max(times) / alone:.2f}",
        ]
        for name, times in found.items()
    ]
    heads = ["tasks await", "items", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "to alone"]
    show(markdown(heads, rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60, help="of each candidate")
    parser.add_argument("--every-ms", type=float, default=100)
    given = parser.parse_args()
    show(machine())
    asyncio.run(measure(given.sessions, given.seconds, given.every_ms / 1e3))


if __name__ == "__main__":
    main()
