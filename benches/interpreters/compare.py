"""CPython and RustPython workers side by side: `python benches/interpreters/compare.py`.

Prints a table in Markdown: medians, and the ratio of RustPython to CPython. The program
`remotemedia-rustpython` must lie beside the interpreter that runs this.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from remotemedia import Runtime
from remotemedia.core.caller import this_process

INTERPRETERS = {"CPython": "cpython", "RustPython": "rustpython"}
STARTS = 3
TURNS = 7


def opened(runtime: Runtime, node: str) -> Any:
    """A session with one node."""
    manifest = {"version": "v1", "nodes": [{"id": "node", "node_type": f"nodes:{node}"}]}
    return runtime.native.open(
        json.dumps(manifest),
        caller=this_process()._replace(sys_path=[str(Path(__file__).parent), *sys.path]),
    )


def runtime_of(interpreter: str) -> Runtime:
    """A runtime whose workers run this interpreter, and no other."""
    return Runtime(f'[python]\nruntime = "{interpreter}"\n[fallback]\nenabled = false\n')


def first_answer_ms(interpreter: str) -> float:
    """From nothing to the first answer, in milliseconds."""
    times = []
    for _ in range(STARTS):
        with runtime_of(interpreter) as runtime:
            started = time.perf_counter()
            session = opened(runtime, "Echo")
            session.process(1)
            times.append((time.perf_counter() - started) * 1e3)
            session.close()
    return statistics.median(times)


def proportional_mib(interpreter: str) -> float:
    """Memory of a worker that has answered once, shared pages counted in part, in MiB."""
    with runtime_of(interpreter) as runtime:
        session = opened(runtime, "Echo")
        session.process(1)
        (worker,) = runtime.workers()
        rollup = Path(f"/proc/{worker['pid']}/smaps_rollup").read_text().splitlines()
        session.close()
    return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024


def call_us(interpreter: str, node: str, item: Any, rounds: int) -> float:
    """One item there and back, in microseconds."""
    with runtime_of(interpreter) as runtime:
        session = opened(runtime, node)
        times = []
        for number in range(rounds + rounds // 10):
            started = time.perf_counter()
            session.process(item)
            if number >= rounds // 10:
                times.append((time.perf_counter() - started) * 1e6)
        session.close()
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    frame, second = np.zeros(960, np.float32), np.zeros(48_000, np.float32)
    large = np.zeros(2_621_440, np.float32)
    rows: dict[str, Any] = {
        "first answer after a cold start, ms": first_answer_ms,
        "memory of a worker (PSS), MiB": proportional_mib,
        "a number there and back, µs": lambda p: call_us(p, "Echo", 1, 5_000),
        "20 ms at 48 kHz there and back, µs": lambda p: call_us(p, "Echo", frame, 5_000),
        "10 MB there and back, µs": lambda p: call_us(p, "Echo", large, 200),
        "asynchronous node, µs": lambda p: call_us(p, "Waits", 1, 3_000),
        "each of 48 000 samples, µs": lambda p: call_us(p, "EachSample", second, 20),
        "48 000 samples in one call, µs": lambda p: call_us(p, "Bulk", second, 2_000),
    }
    print("| | CPython | RustPython | ratio |\n|---|---:|---:|---:|")  # noqa: T201
    for row, measure in rows.items():
        # In turn, with new workers each time: where its memory lies makes one worker faster
        # or slower than another of the same kind.
        turns = [[measure(name) for name in INTERPRETERS.values()] for _ in range(TURNS)]
        cpython, rustpython = (statistics.median(of_one) for of_one in zip(*turns, strict=True))
        print(f"| {row} | {cpython:.1f} | {rustpython:.1f} | {rustpython / cpython:.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()
