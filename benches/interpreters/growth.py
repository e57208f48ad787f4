"""What a RustPython worker keeps of a million items: `python benches/interpreters/growth.py`.

Prints a table in Markdown: resident memory of the worker after ever more items, for a node without
and for one with `async`, which takes some minutes. The program `remotemedia-rustpython` must lie
beside the interpreter that runs this.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compare import INTERPRETERS, opened, runtime_of

from remotemedia import Runtime

ITEMS = 1_000_000
POINTS = [1, 1_000, 10_000, 100_000, 250_000, 500_000, 750_000, ITEMS]


def resident_kib(runtime: Runtime) -> int:
    """Resident memory of the only worker, in KiB."""
    (worker,) = runtime.workers()
    status = Path(f"/proc/{worker['pid']}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def items_per_point(session: Any, runtime: Runtime) -> Iterator[tuple[int, int]]:
    """Pairs of items sent so far and resident memory."""
    for number in range(1, ITEMS + 1):
        session.process(number)
        if number in POINTS:
            yield number, resident_kib(runtime)


def main() -> None:
    """Print the table."""
    print("| node | items | resident, MiB | since the point before, bytes an item |")  # noqa: T201
    print("|---|---:|---:|---:|")  # noqa: T201
    for node in ("Echo", "Waits"):
        with runtime_of(INTERPRETERS["RustPython"]) as runtime:
            session = opened(runtime, node)
            before = (0, 0)
            for items, kib in items_per_point(session, runtime):
                each = (kib - before[1]) * 1024 / (items - before[0]) if before[0] else 0.0
                before = items, kib
                print(f"| {node} | {items} | {kib / 1024:.1f} | {each:.1f} |", flush=True)  # noqa: T201
            session.close()


if __name__ == "__main__":
    main()
