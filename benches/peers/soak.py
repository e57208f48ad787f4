"""Healthy pipelines beside one of which a tenth of the calls crash, hang, leak or raise.

    python soak.py [--minutes 30] [--phase 10] [--rate 20]

Two healthy pipelines run as fast as they can, each in a thread of its own. A third one makes
`--rate` calls a second. In every other phase a tenth of its calls is faulty, in turn: SIGSEGV, a
hang beyond `timeout_ms`, memory beyond `memory_hard`, an exception. Asserted: each faulty call
gives its error and nothing else, each other call its result, and nothing is left at the end.
Reported: the healthy calls in phases with faults against those without, and memory of the caller
and its shared memory, first and last. The criteria: the healthy pipelines keep 95 % of their calls
(median over the pairs of phases), and the memory of the caller grows by at most 5 % from the second
quarter of the phases to the last. The exit code is 1 when one is not met.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import FRAME, Array, family, machine, markdown, resident_kib, show

from remotemedia import (
    LimitExceeded,
    Node,
    NodeError,
    NodeTimeout,
    Pipeline,
    Runtime,
    WorkerCrashed,
)

FAULTS: dict[str, type[NodeError]] = {
    "crash": WorkerCrashed,
    "hang": NodeTimeout,
    "leak": LimitExceeded,
    "raise": NodeError,
}
KEPT = 0.95
GROWN = 1.05
CONFIG = '[workers]\nmax = 8\n[limits]\nmemory_hard = "96 MiB"\n'


class Healthy(Node):
    """A fresh array."""

    def process(self, data: Array) -> Array:
        """The work."""
        return data + 1


class Faulty(Node):
    """Does what its item says."""

    def process(self, what: str) -> str:
        """The work."""
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "hang":
            time.sleep(60)
        if what == "leak":
            kept = [bytearray(b"x") * (10 << 20) for _ in range(10)]
            time.sleep(1 + len(kept))
        if what == "raise":
            raise ValueError("as asked")
        return what


class Load:
    """Two healthy pipelines and a faulty one, until it is stopped."""

    def __init__(self, runtime: Runtime, rate: float) -> None:
        self.counts = [0, 0]
        self.is_faulty = False
        self.faults = 0
        self.problems: list[str] = []
        self._runtime = runtime
        self._rate = rate
        self._stop = threading.Event()
        work = [(self._healthy, 0), (self._healthy, 1), (self._ill, 2)]
        self._threads = [threading.Thread(target=self._guarded, args=it) for it in work]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all of it."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: Any, number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            self.problems.append(f"{type(error).__name__}: {error}")

    def _healthy(self, number: int) -> None:
        frame = np.zeros(FRAME, np.float32)
        with Pipeline(Healthy(), runtime=self._runtime).session() as session:
            while not self._stop.is_set():
                [out] = session.process(frame)
                if out[0] != 1:
                    raise AssertionError("a wrong result")
                self.counts[number] += 1

    def _ill(self, _number: int) -> None:
        dice = random.Random(1)
        kinds = list(FAULTS)
        node = Faulty(timeout_ms=1000)
        with Pipeline(node, runtime=self._runtime).session() as session:
            while not self._stop.wait(1 / self._rate):
                fault = ""
                if self.is_faulty and dice.random() < 0.1:
                    fault = kinds[self.faults % len(kinds)]
                    self.faults += 1
                try:
                    if session.process(fault or "well") != ["well"]:
                        raise AssertionError(f"{fault} gave a result")
                except NodeError as error:
                    if not fault or not isinstance(error, FAULTS[fault]):
                        raise


def shared_kib() -> int:
    """Shared memory with names, in KiB; what has none counts for the processes."""
    return sum(path.stat().st_size for path in Path("/dev/shm").iterdir()) // 1024


def grown(sizes: list[int]) -> float:
    """The last quarter of some sizes against the second: the first one has the warming up."""
    quarter = max(1, len(sizes) // 4)
    return statistics.median(sizes[-quarter:]) / statistics.median(sizes[quarter : 2 * quarter])


def main() -> int:
    """Read the options, run the phases, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--phase", type=float, default=10, help="seconds")
    parser.add_argument("--rate", type=float, default=20, help="calls a second of the faulty one")
    options = parser.parse_args()
    show(machine())
    rates: dict[bool, list[float]] = {False: [], True: []}
    memory = []
    before = set(family())
    with Runtime(CONFIG) as runtime:
        load = Load(runtime, options.rate)
        time.sleep(3)
        phases = max(2, round(options.minutes * 60 / options.phase))
        for phase in range(phases):
            load.is_faulty = phase % 2 == 1
            counted, began = sum(load.counts), time.monotonic()
            time.sleep(options.phase)
            rates[load.is_faulty].append((sum(load.counts) - counted) / (time.monotonic() - began))
            memory.append((resident_kib(os.getpid()), shared_kib(), len(runtime.workers())))
            if load.problems:
                break
        load.stop()
        if load.problems:
            raise AssertionError("\n".join(load.problems))
    time.sleep(1)
    if left := set(family()) - before:
        raise AssertionError(f"{len(left)} processes are left")
    calm, ill = (statistics.median(rates[key]) for key in (False, True))
    ratios = sorted(ill / calm for calm, ill in zip(rates[False], rates[True], strict=False))
    growth = grown([caller for caller, _, _ in memory])
    low, high = (ratios[len(ratios) * part // 4] for part in (1, 3))
    show(f"{load.faults} faulty calls in {phases} phases of {options.phase:.0f} s\n")
    rows = [
        ["healthy calls a second without faults", f"{calm:,.0f}"],
        ["with faults", f"{ill:,.0f}"],
        [
            "a phase with faults against the one before it",
            f"{statistics.median(ratios):.3f} (half of them {low:.3f} to {high:.3f})",
        ],
        ["memory of the caller, first and last, KiB", f"{memory[0][0]:,} and {memory[-1][0]:,}"],
        ["last quarter of it against the second", f"{growth:.3f}"],
        ["named shared memory, first and last, KiB", f"{memory[0][1]:,} and {memory[-1][1]:,}"],
        ["workers, most", f"{max(workers for _, _, workers in memory)}"],
    ]
    show(markdown(("what", "seen"), rows))
    kept = statistics.median(ratios)
    missed = [
        *([f"healthy calls: {kept:.3f}, and at least {KEPT} is wanted"] if kept < KEPT else []),
        *([f"memory: {growth:.3f}, and at most {GROWN} is wanted"] if growth > GROWN else []),
    ]
    show("criteria met" if not missed else "criteria missed: " + "; ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
