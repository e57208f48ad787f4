"""What goes on beside a measurement: nothing, as many busy processes as processors, that caller and
worker have to share one, or that every wake-up is slow, as on many virtual machines.

Each regime is measured in a process of its own, so that everything in it starts there. The regimes
take turns, run after run; of each figure the median of the runs is shown, and so are ratios: those
within a run, since neighbours on the same host change from run to run.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from common import markdown, microseconds, percentile, show

HAND = "pipe"
SLOW_WAKE_US = 60
HEADER = (
    "candidate",
    "p50 µs",
    "p99 µs",
    "p50 / hand-made",
    "of the runs",
    "p99 / hand-made",
    "of the runs",
)
# Of one run: by size and candidate, the percentiles 50 and 99 in µs.
Figures = dict[str, dict[str, tuple[float, float]]]


@contextmanager
def nothing() -> Iterator[None]:
    """The machine as it is."""
    yield


@contextmanager
def busy() -> Iterator[None]:
    """Processes that never wait, one for each processor and two at least."""
    program = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(program) for _ in range(max(2, os.cpu_count() or 1))]
    try:
        time.sleep(0.3)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def one_processor() -> Iterator[None]:
    """What is started meanwhile has one processor, the last."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def slow_wake_ups() -> Iterator[None]:
    """What is started meanwhile sleeps as on a host whose wake-ups take that much longer."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "slow_wake.so")
        source = Path(__file__).with_name("slow_wake.c")
        compiler = os.environ.get("CC", "cc")
        options = ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"]
        subprocess.run([compiler, *options], check=True)
        os.environ |= {"LD_PRELOAD": str(library), "SLOW_WAKE_US": str(SLOW_WAKE_US)}
        try:
            yield
        finally:
            del os.environ["LD_PRELOAD"], os.environ["SLOW_WAKE_US"]


@dataclass
class Regime:
    """A regime, and what was measured in it."""

    title: str
    during: Callable[[], object]
    runs: list[Figures] = field(default_factory=list)


def regimes() -> list[Regime]:
    """All of them."""
    return [
        Regime("machine idle", nothing),
        Regime(f"{max(2, os.cpu_count() or 1)} busy processes beside", busy),
        Regime("caller and worker on one processor", one_processor),
        Regime(f"idle, wake-ups {SLOW_WAKE_US} µs slower (slow_wake.c)", slow_wake_ups),
    ]


def measure(regime: Regime, table: str, options: Sequence[str]) -> None:
    """One run."""
    with regime.during():  # type: ignore[attr-defined]
        answer = subprocess.run(
            [sys.executable, table, "--json", *options], check=True, stdout=subprocess.PIPE
        ).stdout
    regime.runs.append(json.loads(answer))


def show_all(found: Sequence[Regime], titles: dict[str, str]) -> None:
    """A table for each regime and size."""
    for regime in found:
        for size in regime.runs[0]:
            show(f"\n{regime.title}, {size}, {len(regime.runs)} runs\n")
            show(markdown(HEADER, list(rows(regime.runs, size, titles))))


def rows(runs: Sequence[Figures], size: str, titles: dict[str, str]) -> Iterator[list[str]]:
    """The rows of one table."""
    for name, title in titles.items():
        figures = [run[size][name] for run in runs if name in run[size]]
        if not figures:
            continue
        row = [title, *(microseconds(statistics.median(f[i] for f in figures)) for i in (0, 1))]
        for which in (0, 1):
            ratios = [
                run[size][name][which] / run[size][HAND][which]
                for run in runs
                if name in run[size] and HAND in run[size]
            ]
            row.append(f"{statistics.median(ratios):.2f}" if ratios else "-")
            row.append(f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "-")
        yield row


def wake_up(count: int = 400) -> float:
    """What it takes to wake a process on another processor, in µs: half a round trip of a byte."""
    processors = sorted(os.sched_getaffinity(0))
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {processors[-1]})
        ours.close()
        while byte := theirs.recv(1):
            theirs.send(byte)
        os._exit(0)
    theirs.close()
    os.sched_setaffinity(0, {processors[0]})
    times = []
    for _ in range(count):
        start = time.perf_counter_ns()
        ours.send(b"x")
        ours.recv(1)
        times.append(time.perf_counter_ns() - start)
    ours.close()
    os.waitpid(child, 0)
    os.sched_setaffinity(0, processors)
    return percentile(sorted(times), 50) / 2
