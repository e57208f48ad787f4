"""How much longer does a program take to end that has used a Python node?

    python exit.py [--pairs 20] [--workers 1] [--runtime cpython]

Two programs take turns, the same but for the node: one of the script, or the native
`PassThroughNode`. Their time counts from the last line to the end of the process.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from common import machine, markdown, show

PROGRAM = """
import sys, time
from contextlib import ExitStack
from remotemedia import Node, PassThroughNode, Pipeline

class Same(Node):
    def process(self, data):
        return data

kind, workers, runtime = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with ExitStack() as opened:
    for _ in range(workers):
        node = PassThroughNode() if kind == "native" else Same()
        pipeline = Pipeline([node])
        session = opened.enter_context(pipeline.session(runtime=runtime))
        assert session.process(1) == [1]
print(time.monotonic_ns(), flush=True)
"""


def end_ms(kind: str, workers: int, runtime: str) -> float:
    """From the last line of the program to its end, in milliseconds."""
    command = [sys.executable, "-c", PROGRAM, kind, str(workers), runtime]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        last_line = int(running.stdout.readline())
        running.wait()
        ended = time.monotonic_ns()
    if running.returncode != 0:
        raise AssertionError(f"the program ended with {running.returncode}")
    return (ended - last_line) / 1e6


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=20, help="turns of each program")
    parser.add_argument("--workers", type=int, default=1, help="idle workers at the end")
    parser.add_argument("--runtime", default="cpython", help="cpython or rustpython")
    options = parser.parse_args()
    show(machine())
    times: dict[str, list[float]] = {"native": [], "python": []}
    for _ in range(options.pairs):
        for kind, taken in times.items():
            taken.append(end_ms(kind, options.workers, options.runtime))
    native, python = (statistics.median(taken) for taken in times.values())
    rows = [
        ["PassThroughNode", f"{native:.1f}", f"{max(times['native']):.1f}"],
        [f"Python node, {options.runtime}", f"{python:.1f}", f"{max(times['python']):.1f}"],
        ["difference", f"{python - native:.1f}", ""],
    ]
    show(f"\nfrom the last line to the end, {options.workers} workers, {options.pairs} pairs\n")
    show(markdown(("", "median ms", "longest ms"), rows))


if __name__ == "__main__":
    main()
