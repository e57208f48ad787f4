"""How long is a pipeline without its worker: from a crash to the next right result?

    python recovery.py [--crashes 100] [--hangs 100] [--starts 100] [--workers 8]

A node of numpy reads address 0, and the time counts from right before that until the same
pipeline has given its next right result, in a session and over `run()`. Beside it, in turns, the
same with workers that are all started on their own (`[workers] zygote = false`). The same for a
node that hangs, from its deadline on: asleep in Python, and in C code that holds the interpreter's
lock. Then the start of a worker, from the pool's decision to the handshake, and the memory of idle
workers with numpy.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, markdown, percentile, show

from remotemedia import Node, NodeTimeout, Pipeline, Runtime, WorkerCrashed

WAYS = {"zygote": "", "plain start": "[workers]\nzygote = false\n"}
HANG_MS = 100
CRASH = np.zeros(0, dtype=np.float32)
ITEM = np.ones(960, dtype=np.float32)


class Loudness(Node):
    """The sum of a frame; nothing reads address 0."""

    def process(self, data: Any) -> Any:
        """The sum, or the crash."""
        if data.size == 0:
            return ctypes.string_at(0)
        return float(np.sum(data)), os.getppid()


class Hangs(Node):
    """The sum of a frame; an empty one takes a minute."""

    def __init__(self, holds_lock: bool) -> None:
        super().__init__(timeout_ms=HANG_MS)
        self.holds_lock = holds_lock

    def process(self, data: Any) -> Any:
        """The sum, or a wait."""
        if data.size == 0:
            if self.holds_lock:
                ctypes.PyDLL(None).sleep(60)
            time.sleep(60)
        return float(np.sum(data)), os.getppid()


def with_keys(config: str, keys: str) -> str:
    """A configuration with more keys of `[workers]`."""
    return f"{config or '[workers]'}\n{keys}\n"


def await_zygote(runtime: Runtime) -> None:
    """Until workers are forked."""
    pipeline = Pipeline([Loudness()], runtime=runtime)
    parent = os.getpid()
    while parent == os.getpid():
        crash(lambda: pipeline.run(CRASH))
        _, parent = pipeline.run(ITEM)
        time.sleep(0.02)


def crash(call: Callable[[], Any]) -> None:
    """A call whose worker dies."""
    try:
        call()
    except WorkerCrashed:
        return
    raise AssertionError("the worker lives")


def right_result_ns(call: Callable[[Any], Any]) -> int:
    """The time of the next right result."""
    result = call(ITEM)
    end = time.perf_counter_ns()
    if result[0] != float(ITEM.sum()):
        raise AssertionError(result)
    return end


def recovery_ns(call: Callable[[Any], Any], errors: list[int]) -> int:
    """From before a crash to the next right result."""
    start = time.perf_counter_ns()
    crash(lambda: call(CRASH))
    errors.append(time.perf_counter_ns() - start)
    return right_result_ns(call) - start


def in_session(pipeline: Pipeline, stack: ExitStack) -> Callable[[Any], Any]:
    """Calls of one session."""
    session = stack.enter_context(pipeline.session())
    return lambda item: session.process(item)[0]


def start_ns(runtime: Runtime) -> int:
    """From the pool's decision to replace a spare worker to the handshake of the new one, as the
    runtime's list of workers shows them.
    """
    (spare,) = (worker["pid"] for worker in runtime.workers())
    os.kill(spare, 9)
    start = time.perf_counter_ns()
    while True:
        now = time.perf_counter_ns()
        states = [worker["state"] for worker in runtime.workers() if worker["pid"] != spare]
        if states == ["ready"]:
            return time.perf_counter_ns() - start
        if not states:
            start = now
        time.sleep(0.0001)


def pss_mb(pid: int) -> float:
    """Proportional memory of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("the kernel does not tell")


def row(name: str, taken: list[int]) -> list[str]:
    """Percentiles in milliseconds."""
    ordered = sorted(taken)
    at = [percentile(ordered, percent) / 1000 for percent in (50, 99)]
    return [name, *(f"{ms:.1f}" for ms in at), f"{ordered[-1] / 1e6:.1f}"]


def measure_recovery(crashes: int) -> None:
    """Crashes in turns of both ways."""
    rows: dict[str, list[int]] = {}
    with ExitStack() as stack:
        calls: dict[str, Callable[[Any], Any]] = {}
        # Each has a pool of its own, with one worker: none finds an idle worker of another.
        for way, config in WAYS.items():
            for is_session in (True, False):
                runtime = stack.enter_context(Runtime(with_keys(config, "max = 1")))
                pipeline = Pipeline([Loudness()], runtime=runtime)
                pipeline.run(ITEM)
                if way == "zygote":
                    await_zygote(runtime)
                name = f"{'session' if is_session else 'run()'}, {way}"
                calls[name] = in_session(pipeline, stack) if is_session else pipeline.run
        for _ in range(crashes):
            for name, call in calls.items():
                taken = rows.setdefault(f"{name}: to the next result", [])
                taken.append(recovery_ns(call, rows.setdefault(f"{name}: to the error", [])))
                call(ITEM)
    show(markdown(("from the crash, ms", "p50", "p99", "longest"), [row(*r) for r in rows.items()]))


def hang_ns(call: Callable[[Any], Any], errors: list[int]) -> int:
    """From the deadline of a call that hangs to the next right result."""
    due = time.perf_counter_ns() + HANG_MS * 1_000_000
    try:
        call(CRASH)
    except NodeTimeout:
        errors.append(time.perf_counter_ns() - due)
    else:
        raise AssertionError("the call came back")
    return right_result_ns(call) - due


def measure_hangs(hangs: int) -> None:
    """Hangs in turns of all ways."""
    rows: dict[str, list[int]] = {}
    with ExitStack() as stack:
        calls: dict[str, Callable[[Any], Any]] = {}
        for holds_lock in (False, True):
            for is_session in (True, False):
                runtime = stack.enter_context(Runtime(with_keys("", "max = 1")))
                Pipeline([Loudness()], runtime=runtime).run(ITEM)
                await_zygote(runtime)
                pipeline = Pipeline([Hangs(holds_lock)], runtime=runtime)
                name = (
                    f"{'session' if is_session else 'run()'}, {'in C' if holds_lock else 'asleep'}"
                )
                calls[name] = in_session(pipeline, stack) if is_session else pipeline.run
        for _ in range(hangs):
            for name, call in calls.items():
                taken = rows.setdefault(f"{name}: to the next result", [])
                taken.append(hang_ns(call, rows.setdefault(f"{name}: to the error", [])))
                call(ITEM)
    show(
        markdown(
            ("from the deadline, ms", "p50", "p99", "longest"), [row(*r) for r in rows.items()]
        )
    )


def measure_start(starts: int) -> None:
    """Spare workers, one after the other."""
    rows = []
    for way, config in WAYS.items():
        with Runtime(with_keys(config, "min = 1\nmax = 1")) as runtime:
            pipeline = Pipeline([Loudness()], runtime=runtime)
            pipeline.run(ITEM)
            if way == "zygote":
                await_zygote(runtime)
            while [worker["state"] for worker in runtime.workers()] != ["ready"]:
                time.sleep(0.01)
            rows.append(row(way, [start_ns(runtime) for _ in range(starts)]))
    show(markdown(("start of a worker, ms", "p50", "p99", "longest"), rows))


def measure_memory(count: int) -> None:
    """Idle workers with numpy."""
    rows = []
    for way, config in WAYS.items():
        with Runtime(with_keys(config, f"max = {count + 1}")) as runtime:
            with ExitStack() as stack:
                pipeline = Pipeline([Loudness()], runtime=runtime)
                pipeline.run(ITEM)
                if way == "zygote":
                    await_zygote(runtime)
                for _ in range(count):
                    stack.enter_context(pipeline.session()).process(ITEM)
            pids = [worker["pid"] for worker in runtime.workers()]
            each = [pss_mb(pid) for pid in pids]
            rows.append([way, f"{each[-1]:.1f}", f"{statistics.mean(each):.1f}"])
    show(markdown((f"PSS of idle workers, MB, of {count}", "the last", "mean"), rows))


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--crashes", type=int, default=100, help="crashes of each kind")
    parser.add_argument("--hangs", type=int, default=100, help="hangs of each kind")
    parser.add_argument("--starts", type=int, default=100, help="workers started in each way")
    parser.add_argument("--workers", type=int, default=8, help="idle workers for the memory")
    options = parser.parse_args()
    show(machine() + "\n")
    measure_recovery(options.crashes)
    show()
    measure_hangs(options.hangs)
    show()
    measure_start(options.starts)
    show()
    measure_memory(options.workers)
    show(f"\nload {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
