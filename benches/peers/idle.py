"""Eight warm workers with nothing to do: how much CPU time do they and their owner take?

python idle.py [--seconds 60]
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import ExitStack

import numpy as np
from common import FRAME, cpu_ns, family, machine, markdown, show, ticks_ns
from nodes import PlusOne

from remotemedia import Pipeline, Runtime

WORKERS = 8
CONFIG = f"[workers]\nmin = {WORKERS}\nmax = {WORKERS}\n"


def warm(runtime: Runtime) -> None:
    """Every worker does a call; all are free again afterwards."""
    frame = np.ones(FRAME, np.float32)
    with ExitStack() as alive:
        for _ in range(WORKERS):
            pipeline = Pipeline("warm", runtime=runtime)
            pipeline.add_node(PlusOne())
            (output,) = alive.enter_context(pipeline.session()).process(frame)
            if not np.array_equal(output, frame + 1):
                raise AssertionError("the result is wrong")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0, help="of idling")
    options = parser.parse_args()
    show(machine())
    with Runtime(CONFIG) as runtime:
        warm(runtime)
        time.sleep(2)  # what closing the sessions has left to do
        pids = family()
        workers = {int(worker["pid"]) for worker in runtime.workers()}
        if len(workers) != WORKERS or not workers <= set(pids):
            raise AssertionError(f"{len(workers)} workers, {len(pids)} processes")
        ticks = ticks_ns(pids)
        # The caller last before and first after, so that reading /proc does not count as its time.
        before = {pid: cpu_ns([pid]) for pid in reversed(pids)}
        measuring = time.thread_time_ns()
        time.sleep(options.seconds)
        measuring = time.thread_time_ns() - measuring
        used = {pid: cpu_ns([pid]) - before[pid] for pid in pids}
        ticks = ticks_ns(pids) - ticks
        if {int(worker["pid"]) for worker in runtime.workers()} != workers:
            raise AssertionError("the workers are not the same as before")
    mine = used.pop(os.getpid())
    total = mine + sum(used.values())
    show(f"\n{len(workers)} warm workers, idle for {options.seconds:g} s\n")
    rows = [
        ["caller", "1", f"{mine / 1e6:.3f}"],
        ["of it the thread that slept and measured", "", f"{measuring / 1e6:.3f}"],
        ["workers and other children", f"{len(used)}", f"{sum(used.values()) / 1e6:.3f}"],
        ["sum", f"{1 + len(used)}", f"{total / 1e6:.3f}"],
        ["sum by /proc/PID/stat", f"{1 + len(used)}", f"{ticks / 1e6:.0f}"],
    ]
    show(markdown(("", "processes", "CPU ms"), rows))
    show(f"\n{total / options.seconds / 1e7:.4f} % of one processor")


if __name__ == "__main__":
    main()
